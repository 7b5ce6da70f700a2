"""Bounds of a connection: pynetdicom would wait for the rest of a PDU, or a peer that does not read, for ever."""

from __future__ import annotations

import socket
import time
from functools import partial
from typing import Any

from pynetdicom import evt
from pynetdicom.transport import AssociationSocket

MOST_PDU = 1 << 20
"""Bytes of a PDU that the node asks for, above what the field's toolkits send by default."""
READ = 1 << 16
"""Bytes that are read at once."""


def bound(event: evt.Event) -> None:
    """Give a connection that has opened its bounds; those of a PDU are its association's timeouts and ``MOST_PDU``."""
    line: Any = event.assoc.dul.socket
    line.socket.settimeout(event.assoc.network_timeout)
    # each write goes out: otherwise an image waits until its command is acknowledged, up to 40 ms later
    line.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    line.recv = partial(_received, line)


def _received(line: AssociationSocket, size: int) -> bytearray:
    """So many bytes, or fewer from a connection that has ended.

    Raises:
        OSError: they are too many, or do not come in time.
    """
    connection: Any = line.socket
    if connection is None or size > 2 * MOST_PDU:  # not every toolkit counts the bytes of a header alike
        raise OSError("the connection has ended, or a PDU is too large")
    wait: Any = line.assoc.network_timeout if line.assoc.is_established else line.assoc.acse_timeout
    until = time.monotonic() + wait
    connection.settimeout(wait)
    found = bytearray()
    while len(found) < size and (part := connection.recv(min(READ, size - len(found)))):
        found += part
        if time.monotonic() > until:
            raise TimeoutError("a PDU does not come to its end")
    return found


def cut(association: Any) -> None:
    """End a connection at once, whatever its peer does; what it would send was not acknowledged."""
    line: AssociationSocket | None = association.dul.socket
    if line is not None:
        line.close()
