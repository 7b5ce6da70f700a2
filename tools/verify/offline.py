"""Blocking of network access."""

from __future__ import annotations

import socket
import sys
from typing import Any

REACHING = ("socket.connect", "socket.sendto", "socket.sendmsg", "socket.getaddrinfo", "socket.gethostbyname")
_tried: list[str] = []


class OfflineError(OSError):
    """Something tried to reach the network, which is blocked while bundles are verified."""


def block() -> None:
    """From now on nothing in this process reaches a network; an audit hook cannot be taken away again."""
    sys.addaudithook(_refuse)


def _refuse(event: str, arguments: tuple[Any, ...]) -> None:
    if event not in REACHING:
        return
    if isinstance(arguments[0], socket.socket) and arguments[0].family == socket.AF_UNIX:
        return  # processes of one machine, such as workers of a DataLoader
    target = arguments[1] if isinstance(arguments[0], socket.socket) else arguments[0]
    _tried.append(f"{event} {target}")
    raise OfflineError(f"the network is blocked while bundles are verified: {event} {target}")


def attempts() -> list[str]:
    """What was tried since the last call."""
    found = list(_tried)
    _tried.clear()
    return found
