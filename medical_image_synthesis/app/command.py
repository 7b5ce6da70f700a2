"""``synthesize app``: start the server on this machine, and open its page."""

from __future__ import annotations

import argparse
import contextlib
import secrets
import signal
import socket
import sys
import tempfile
import threading
import webbrowser

from common.errors import ConfigError, UserError

GB = 10**9


def add(command: argparse.ArgumentParser, _: str) -> None:
    """Add the options of the server."""
    command.add_argument("--host", default="127.0.0.1", help="address to listen on (default: this machine alone)")
    command.add_argument("--port", type=int, default=0, help="port to listen on (default: a free one)")
    command.add_argument("--no_browser", action="store_true", help="print the address, open nothing")
    command.add_argument("--max_gb", type=float, default=4.0, help="largest upload, and content of a zip (default: 4)")
    examples = "examples:\n  synthesize app\n  synthesize app --port 8000 --no_browser"
    command.epilog = f"{examples}\n\nCtrl-C ends it and removes what was uploaded."
    command.set_defaults(run=serve)


def serve(options: argparse.Namespace) -> int:
    """Serve until Ctrl-C, and remove what was uploaded.

    Raises:
        ConfigError: the address is not to be had, or the limit is none.
    """
    if not 0 < options.max_gb < 1000:
        raise ConfigError(f"--max_gb is {options.max_gb:g}", "give a number above 0 and below 1000")
    try:
        import uvicorn

        from medical_image_synthesis.app.server import app_of
    except ModuleNotFoundError as error:
        raise UserError(
            "synthesize app needs FastAPI and uvicorn", 'pip install "medical-image-synthesis-bundles[app]"'
        ) from error
    from medical_image_synthesis.app.case_queue import CaseQueue

    local = options.host in ("127.0.0.1", "localhost", "::1")
    listening = _listening(options.host, options.port)
    port = listening.getsockname()[1]
    token = secrets.token_urlsafe(24)
    queue = CaseQueue()
    tempfile.tempdir = str(queue.root)  # for uploads while they are received
    app = app_of(queue, token, port, int(options.max_gb * GB), not local, lambda: server.should_exit)
    own = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(options.host, options.host)
    address = f"http://{f'[{own}]' if ':' in own else own}:{port}/?token={token}"
    if not local:
        print("warning: others in the network can reach this server; the address below lets them in", file=sys.stderr)
    print(f"{address}\nFor research; not for clinical use. Ctrl-C ends it.", flush=True)
    if not options.no_browser:
        threading.Timer(1, webbrowser.open, (address,)).start()
    config = uvicorn.Config(
        app, log_level="warning", access_log=False, timeout_graceful_shutdown=2, server_header=False
    )
    server = uvicorn.Server(config)
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) == signal.SIG_DFL:  # not with nohup
        signal.signal(signal.SIGHUP, lambda *_: signal.raise_signal(signal.SIGINT))  # the terminal was closed
    try:
        with contextlib.suppress(KeyboardInterrupt):
            server.run(sockets=[listening])
    finally:
        queue.close()
    return 0


def _listening(host: str, port: int) -> socket.socket:
    """A socket that listens.

    Raises:
        ConfigError: another program listens there, or the address is not one of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((host, port))
        made.listen()  # whoever reads the address may connect at once
    except (OSError, OverflowError) as error:
        made.close()
        why = getattr(error, "strerror", None) or error
        raise ConfigError(f"cannot listen on {host}:{port} ({why})", "choose another --port or --host") from error
    return made
