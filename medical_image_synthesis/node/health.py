"""How a node is, by HTTP on this machine: ``GET /health``, without a value of any patient."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from common.errors import ConfigError
from medical_image_synthesis.node.settings import LOCAL, POLL


class Health:
    """A server on 127.0.0.1 that answers with JSON: 200 while the node works, 503 while something keeps it from that.

    Args:
        port: 0 for a free one.
        state: what is answered; ``status`` is ``ok`` where all is well.

    Raises:
        ConfigError: the port is not to be had.
    """

    def __init__(self, port: int, state: Callable[[], dict[str, Any]]) -> None:
        class Handler(BaseHTTPRequestHandler):
            timeout = 10
            server_version, sys_version = "health", ""

            def do_GET(self) -> None:  # noqa: N802  # the name that http.server calls
                if self.path != "/health":
                    self.send_error(404)
                    return
                try:
                    said = state()
                except (OSError, sqlite3.Error) as error:  # the spool is gone, or the node is ending
                    said = {"status": f"the state cannot be read ({type(error).__name__})"}
                body = json.dumps(said).encode()
                self.send_response(200 if said["status"] == "ok" else 503)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        try:
            self._server = ThreadingHTTPServer((LOCAL, port), Handler)
        except OSError as error:
            fault = f"cannot listen on {LOCAL}:{port} ({error.strerror})"
            raise ConfigError(fault, "choose another health_port") from error
        self.port = int(self._server.server_address[1])
        threading.Thread(target=self._server.serve_forever, args=(POLL,), name="health", daemon=True).start()

    def close(self) -> None:
        """Answer no more."""
        self._server.shutdown()
        self._server.server_close()
