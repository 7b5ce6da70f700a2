"""Peers that are slow, broken or odd: they keep nobody else out, and lose nothing."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pydicom
import pytest
from pydicom.dataelem import RawDataElement
from pydicom.tag import Tag
from pynetdicom import AE

from medical_image_synthesis.node.command import Node
from medical_image_synthesis.node.connection import MOST_PDU, _received
from medical_image_synthesis.node.delivery import NotDeliveredError, deliver, echo
from medical_image_synthesis.node.receiver import instance_of
from medical_image_synthesis.node.settings import Archive, NodeLimits
from tests.synthesize.node.conftest import Pacs, scan, send, wait

Start = Callable[..., Node]
SOON = NodeLimits(timeout_seconds=1)


def until(true: Callable[[], bool], seconds: float = 30) -> None:
    """Wait until something is true."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


def associations(node: Node) -> int:
    return len(node.receiver._server.active_associations)


def opened(node: Node) -> Any:
    """An association of a scanner."""
    entity = AE(ae_title="SCANNER")
    entity.add_requested_context("1.2.840.10008.1.1")
    made = entity.associate("127.0.0.1", node.receiver.port, ae_title="SYNTHESIZE")
    assert made.is_established
    return made


def test_a_peer_that_stops_in_the_middle_loses_its_place(start: Start) -> None:
    node = start(limits=SOON)
    silent = socket.create_connection(("127.0.0.1", node.receiver.port))
    half = socket.create_connection(("127.0.0.1", node.receiver.port))
    half.send(b"\x01\x00\x00")
    open_one = opened(node)
    open_one.dul.socket.socket.send(b"\x04\x00\x00\x00\x10\x00abc")
    until(lambda: associations(node) == 0)
    for each in (silent, half):
        each.close()


def test_a_node_ends_although_a_peer_has_stopped_in_the_middle(start: Start) -> None:
    node = start()
    open_one = opened(node)
    open_one.dul.socket.socket.send(b"\x04\x00\x00\x00\x10\x00abc")
    until(lambda: associations(node) == 1)
    node.close()
    until(lambda: associations(node) == 0)


def line(*parts: bytes) -> Any:
    """A connection on which these come."""
    left = list(parts)
    given = SimpleNamespace(settimeout=lambda _: None, recv=lambda _: left.pop(0))
    return SimpleNamespace(
        socket=given, assoc=SimpleNamespace(is_established=True, network_timeout=0.2, acse_timeout=9)
    )


def test_a_pdu_has_a_largest_size_and_a_longest_time() -> None:
    assert _received(line(b"ab", b"c", b""), 4) == b"abc"
    with pytest.raises(OSError, match="too large"):
        _received(line(), 2 * MOST_PDU + 1)
    slow = line()
    slow.socket.recv = lambda _: time.sleep(0.15) or b"a"
    with pytest.raises(TimeoutError):
        _received(slow, 100)


def test_what_a_dead_association_has_sent_is_not_still_open(start: Start) -> None:
    node = start()
    ended = threading.Thread()
    node.receiver._sent[ended].add("series")
    node.receiver._read[ended] = 7
    assert node.receiver.still_open == frozenset()
    assert not node.receiver._read


class Stalling:
    """What lets an association through to an archive, and then reads no more of it."""

    def __init__(self, port: int, after: int) -> None:
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.port, self.to, self.after = self.listening.getsockname()[1], port, after
        self.ends: list[socket.socket] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                here, _ = self.listening.accept()
                there = socket.create_connection(("127.0.0.1", self.to))
                self.ends += [here, there]
                threading.Thread(target=self._pass, args=(there, here, 1 << 30), daemon=True).start()
                threading.Thread(target=self._pass, args=(here, there, self.after), daemon=True).start()

    def _pass(self, source: socket.socket, sink: socket.socket, most: int) -> None:
        with suppress(OSError):
            while most > 0 and (part := source.recv(4096)):
                sink.sendall(part)
                most -= len(part)

    def close(self) -> None:
        for each in (self.listening, *self.ends):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)  # wakes the threads that read it, and the archive
            each.close()


@pytest.fixture
def stalling(pacs: Pacs) -> Iterator[Stalling]:
    made = Stalling(pacs.port, 300_000)
    yield made
    made.close()


def test_an_archive_that_stops_reading_is_given_up(start: Start, tmp_path: Path, stalling: Stalling) -> None:
    node = start(limits=NodeLimits(timeout_seconds=3))
    (large, *_) = scan(tmp_path / "scan")
    header = pydicom.dcmread(large)
    header.Rows = header.Columns = 4000
    header.PixelData = bytes(32_000_000)
    header.save_as(large)
    with pytest.raises(NotDeliveredError, match="ended the association"):
        deliver([large], Archive("slow", "PACS", "127.0.0.1", stalling.port), node.settings)


def test_an_archive_that_has_an_instance_or_none_of_its_name_is_understood(
    start: Start, pacs: Pacs, tmp_path: Path
) -> None:
    node, files = start(), scan(tmp_path / "scan")
    for status in (0x0111, 0xB000, 0xB007):
        pacs.status = status
        deliver(files, node.settings.destinations["pacs"], node.settings)
    with pytest.raises(NotDeliveredError, match="far: no host no such host"):
        echo(Archive("far", "PACS", "no such host", 104), node.settings)


def test_a_web_server_that_speaks_no_dicom_is_named(start: Start) -> None:
    node = start()
    with pytest.raises(NotDeliveredError, match=r"web (answers 404|does not answer)"):
        echo(Archive("web", url=f"http://127.0.0.1:{node.health.port}/"), node.settings)


def encoded(path: Path, *damaged: tuple[int, str, bytes]) -> bytes:
    """A file with elements as they came."""
    header, found = pydicom.dcmread(path), BytesIO()
    for tag, vr, value in damaged:
        header[Tag(tag)] = RawDataElement(Tag(tag), vr, len(value), value, 0, False, True)
    with pydicom.config.disable_value_validation():
        header.save_as(found)
    return found.getvalue()


@pytest.mark.parametrize("count", [b"four", b"4\\5 ", b""])
def test_a_value_that_is_not_of_its_type_keeps_no_instance_out(tmp_path: Path, count: bytes) -> None:
    path = scan(tmp_path / "scan")[0]
    assert instance_of(encoded(path, (0x00201209, "IS", b"4 "))).expected == 4
    odd = [(0x00201209, "IS", count), (0x00180088, "DS", b"1,5 "), (0x00200013, "IS", b"1st ")]
    one, same = (instance_of(encoded(path, *odd)) for _ in range(2))
    assert (one.expected, one.digest) == (None, same.digest)
    other = instance_of(encoded(path, *odd[:2], (0x00200013, "IS", b"2nd ")))
    assert other.digest != one.digest


def test_lengths_of_groups_and_padding_are_no_content(tmp_path: Path) -> None:
    path = scan(tmp_path / "scan")[0]
    plain = instance_of(encoded(path))
    assert instance_of(encoded(path, (0x00100000, "UL", bytes(4)), (0xFFFCFFFC, "OB", bytes(2)))).digest == plain.digest


def test_series_that_two_associations_share_comes_back_once(start: Start, pacs: Pacs, tmp_path: Path) -> None:
    node = start(quiet_seconds=600.0)
    files = scan(tmp_path / "scan", SeriesDescription="T1", NumberOfSeriesRelatedInstances=4)
    senders = [threading.Thread(target=send, args=(node, part)) for part in (files[:3], files[1:], files[::-1])]
    for each in senders:
        each.start()
    for each in senders:
        each.join()
    wait(node, sent=1)
    assert pacs.series() == {"T1": 4}
    assert set(pacs.times.values()) == {1}
    assert node.spool._bytes == sum(path.stat().st_size for path in (tmp_path / "spool" / "incoming").rglob("*.dcm"))


def test_a_mapped_or_scoped_address_is_compared_as_what_it_is(start: Start) -> None:
    settings = start().settings
    assert settings.knows("::ffff:127.0.0.1")
    assert not settings.knows("::1%lo")
    assert not replace(settings, callers=()).knows("127.0.0.1")


class WebServer:
    """A server of STOW-RS that always gives the same answer."""

    def __init__(self, status: int, kind: str, body: bytes) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:  # noqa: N802  # the name that http.server calls
                self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


def stored(good: int, failed: int) -> bytes:
    """What STOW-RS answers as JSON (PS3.18, 10.5.3)."""
    one = {"00081150": {"vr": "UI", "Value": ["1.2.3"]}, "00081155": {"vr": "UI", "Value": ["1.2.4"]}}
    found = {"00081199": {"vr": "SQ", "Value": [one] * good}, "00081198": {"vr": "SQ", "Value": [one] * failed}}
    return json.dumps({tag: value for tag, value in found.items() if value["Value"]}).encode()


@pytest.mark.parametrize(
    ("status", "kind", "body", "told"),
    [
        (200, "application/dicom+json", stored(4, 0), None),
        (202, "application/dicom+json", stored(3, 1), "web stored 3 of 4 instances"),
        (200, "application/dicom+json", stored(3, 0), "web stored 3 of 4 instances"),
        (200, "application/dicom+json", b"", "web stored 0 of 4 instances"),
        (200, "text/html", b"<p>Welcome", "web stored 0 of 4 instances"),
        (409, "application/dicom+json", stored(0, 4), "web answers 409"),
        (503, "text/plain", b"busy", "web answers 503"),
    ],
)
def test_what_a_web_server_answers_is_understood(
    start: Start, tmp_path: Path, status: int, kind: str, body: bytes, told: str | None
) -> None:
    node, web = start(), WebServer(status, kind, body)
    to = Archive("web", url=f"http://127.0.0.1:{web.server.server_port}/dicom-web")
    try:
        if told is None:
            deliver(scan(tmp_path / "scan"), to, node.settings)
        else:
            with pytest.raises(NotDeliveredError, match=told):
                deliver(scan(tmp_path / "scan"), to, node.settings)
    finally:
        web.server.shutdown()
        web.server.server_close()
