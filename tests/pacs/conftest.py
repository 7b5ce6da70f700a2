"""Orthanc and nodes, each ended by what started it, and the lines of the transcript."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from real_servers import Node, Orthanc
from sent_series import secrets


@pytest.fixture(scope="session")
def tell() -> Callable[[str], None]:
    """Writes a line of the transcript, which ``make pacs-test`` shows."""

    def line(text: str) -> None:
        print(f"\n    {text}", end=" ", flush=True)

    return line


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory, tell: Callable[[str], None]) -> Iterator[Callable[..., Any]]:
    """Starts an Orthanc, or a node for one, and ends it after the module.

    ``started(Orthanc)`` and ``started(Node, orthanc, routes, **settings)``; a node must not have written down who the
    patient is.
    """
    servers: list[Orthanc | Node] = []

    def start(kind: type[Orthanc] | type[Node], *arguments: Any, **settings: Any) -> Orthanc | Node:
        folder = tmp_path_factory.mktemp(kind.__name__.lower())
        servers.append(kind(folder, *arguments, **settings))
        return servers[-1].start()

    yield start
    for server in reversed(servers):
        server.stop()
    nodes = [server for server in servers if isinstance(server, Node)]
    for node in nodes:
        require_no_patient(node.kept_bytes())
    tell(f"log and database of {len(nodes)} nodes: no name, number or date of the patient")


def require_no_patient(kept: dict[str, bytes]) -> None:
    """Hold that neither log nor database has a value of the patient.

    Raises:
        AssertionError: names the file, the value and what is around it.
    """
    for name, content in kept.items():
        for secret in secrets():
            place = content.find(secret)
            around = content[max(0, place - 200) : place + 200]
            assert place < 0, f"{name} has {secret!r}: {around!r}"
