"""Who may speak to the server: by a token, from its own page, and with bodies of a known size."""

from __future__ import annotations

import hmac
import json
from collections.abc import MutableMapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOCAL = ("127.0.0.1", "localhost", "::1")
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self' blob: data:; "
        "connect-src 'self' blob: data:; worker-src 'self' blob:; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
"""Of every answer; scripts and styles are files of the page alone."""


class Guard:
    """Answers requests that nobody may make, in place of the application.

    Args:
        app: the application behind it.
        token: that whoever speaks to the server knows: the page by a cookie, programs as ``Authorization: Bearer``.
        port: of the server, for the cookie's name, since cookies of one host are those of all its ports.
        any_host: whether the server may be called by any name; else by those of this machine alone, so that no page of
            another site can reach it under a name of its own.
        most_bytes: of a request's body.
    """

    def __init__(self, app: ASGIApp, token: str, port: int, any_host: bool, most_bytes: int) -> None:
        self.app = app
        self.token = token
        self.cookie = f"synthesize_{port}"
        self.any_host = any_host
        self.most_bytes = most_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or let the application answer."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
            await send(message)

        given = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
        opened = scope["path"] == "/" and scope["method"] == "GET" and self._is_token(given)
        if opened and not self._foreign(scope):  # kept in a cookie, so that it does not stay in the address
            await _answer(guarded, 303, "", {"Location": "/", "Set-Cookie": self._cookie(scope)})
            return
        fault = self._foreign(scope) or self._unknown(scope) or self._body(scope)
        if fault is not None:
            await _answer(guarded, *fault)
            return
        await self.app(scope, receive, guarded)

    def _foreign(self, scope: Scope) -> tuple[int, str] | None:
        """Whether the request is for another host, or from a page of another site."""
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        origin = headers.get("origin")
        try:
            if not self.any_host and urlsplit(f"//{host}").hostname not in LOCAL:
                return 403, "this server answers to 127.0.0.1 and localhost alone"
            if origin is not None and urlsplit(origin).netloc != host:
                return 403, "the request comes from a page of another site"
        except ValueError:  # no address
            return 400, "the request names no host"
        return None

    def _unknown(self, scope: Scope) -> tuple[int, str] | None:
        """Whether the request lacks the token."""
        headers = Headers(scope=scope)
        kind, _, given = headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer" and self._is_token(given):
            return None
        cookies = cookie_parser(headers.get("cookie", ""))  # those of other servers of this machine come too
        if self._is_token(cookies.get(self.cookie, "")):
            return None
        return 401, "open the address that synthesize app printed, or send its token as Authorization: Bearer TOKEN"

    def _body(self, scope: Scope) -> tuple[int, str] | None:
        """Whether the body is too large, by its announced length, so that nothing of it is read."""
        if scope["method"] in ("GET", "HEAD", "DELETE", "OPTIONS"):
            return None
        headers = Headers(scope=scope)
        length = headers.get("content-length", "0")  # without one and without chunks there is no body
        # a body in chunks may be longer than its header says
        if not length.isdecimal() or "transfer-encoding" in headers:
            return 411, "the request does not say how long it is: send Content-Length"
        if int(length) > self.most_bytes:
            return 413, f"the upload has {int(length) / 1e9:.3g} GB, more than {self.most_bytes / 1e9:.3g}"
        return None

    def _is_token(self, text: str) -> bool:
        return hmac.compare_digest(text.encode(), self.token.encode())

    def _cookie(self, scope: Scope) -> str:
        secure = "; Secure" if scope.get("scheme") == "https" else ""
        return f"{self.cookie}={self.token}; Path=/; HttpOnly; SameSite=Strict{secure}"


async def _answer(send: Send, status: int, fault: str, headers: MutableMapping[str, str] | None = None) -> None:
    body = json.dumps({"detail": fault}).encode()
    listed: list[tuple[bytes, bytes]] = [(b"content-type", b"application/json")]
    listed += [(name.lower().encode(), value.encode()) for name, value in (headers or {}).items()]
    start: dict[str, Any] = {"type": "http.response.start", "status": status, "headers": listed}
    await send(start)
    await send({"type": "http.response.body", "body": body})
