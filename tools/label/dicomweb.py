"""A DICOMweb server of one series on loopback: as much of QIDO-RS and WADO-RS as MONAI Label asks for."""

from __future__ import annotations

import json
import urllib.parse
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path

from pydicom import dcmread

from tools.label.servers import serving

BOUNDARY = "instance"


@contextmanager
def dicomweb(files: Sequence[Path]) -> Iterator[tuple[str, str]]:
    """Serve the files of a series; gives the address and the series' UID."""
    header = dcmread(files[0], stop_before_pixels=True)
    uid = str(header.SeriesInstanceUID)
    found = {"0020000D": str(header.StudyInstanceUID), "0020000E": uid, "00080060": str(header.Modality)}
    kinds = {"0020000D": "UI", "0020000E": "UI", "00080060": "CS"}
    row = {tag: {"vr": kinds[tag], "Value": [value]} for tag, value in found.items()}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # noqa: N802
            """Answer a search for series, or the instances of the one there is."""
            url = urllib.parse.urlparse(self.path)
            if url.path.endswith("/series"):
                asked = urllib.parse.parse_qs(url.query)
                there = asked.get("SeriesInstanceUID", [uid]) == [uid] and asked.get("Modality", ["MR"]) == ["MR"]
                self._answer("application/dicom+json", json.dumps([row] if there else []).encode())
            elif url.path.endswith(f"/series/{uid}"):
                self._answer(f'multipart/related; type="application/dicom"; boundary={BOUNDARY}', _parts(files))
            else:
                self.send_error(404)

        def _answer(self, kind: str, content: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    with serving(Handler) as address:
        yield address, uid


def _parts(files: Sequence[Path]) -> bytes:
    head = f"--{BOUNDARY}\r\nContent-Type: application/dicom\r\n\r\n".encode()
    return b"".join(head + path.read_bytes() + b"\r\n" for path in files) + f"--{BOUNDARY}--\r\n".encode()
