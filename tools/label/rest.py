"""The requests of MONAI Label's clients that the test makes."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

TIMEOUT_S = 600.0
Part = tuple[str, str | None, bytes]
"""Name, file name and content of a part of a form."""


class RefusedError(Exception):
    """An answer that is no 200.

    Args:
        status: of HTTP.
        text: what was answered.
    """

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"{status}: {text[:300]}")
        self.status = status


def infer(
    address: str, model: str, image: str = "", session: str = "", params: Mapping[str, Any] | None = None
) -> bytes:
    """What ``POST /infer`` makes of a path on the server, an image of its datastore or a session: a file's bytes."""
    query = {"output": "image"} | ({"session_id": session} if session else {"image": image})
    form: list[Part] = [("params", None, json.dumps(params or {}).encode())]
    return _ask("POST", f"{address}/infer/{model}", query, form)


def open_session(address: str, files: Sequence[Path], uncompress: bool = False) -> str:
    """Upload files, all of a series or one zip of them, and return the session's id."""
    form: list[Part] = [("files", path.name, path.read_bytes()) for path in files]
    answer = _ask("PUT", f"{address}/session/", {"uncompress": str(uncompress).lower()}, form)
    return json.loads(answer)["session_id"]


def add_pair(address: str, name: str, image: Path, label: Path) -> None:
    """Put an image and its final label into the datastore."""
    _ask("PUT", f"{address}/datastore/image", {"image": name}, [("file", f"{name}.nii.gz", image.read_bytes())])
    query = {"image": name, "tag": "final"}
    _ask("PUT", f"{address}/datastore/label", query, [("label", f"{name}.nii.gz", label.read_bytes())])


def remove_image(address: str, name: str) -> None:
    """Remove an image and its labels from the datastore."""
    _ask("DELETE", f"{address}/datastore/image", {"id": name})


def train(address: str, model: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """Start a training, wait for its end and return what the server says of it."""
    body = json.dumps(params).encode()
    _ask("POST", f"{address}/train/{model}", {}, body=body, kind="application/json")
    while True:
        time.sleep(1)
        task = json.loads(_ask("GET", f"{address}/train/", {}))
        if task["status"] not in ("SUBMITTED", "RUNNING"):
            return task


def _ask(
    method: str,
    url: str,
    query: Mapping[str, str],
    form: Sequence[Part] = (),
    body: bytes | None = None,
    kind: str | None = None,
) -> bytes:
    if form:
        boundary = uuid.uuid4().hex
        body, kind = multipart(form, boundary), f"multipart/form-data; boundary={boundary}"
    request = urllib.request.Request(f"{url}?{urllib.parse.urlencode(query)}", data=body, method=method)
    if kind is not None:
        request.add_header("Content-Type", kind)
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
            return answer.read()
    except urllib.error.HTTPError as error:
        raise RefusedError(error.code, error.read().decode(errors="replace")) from error


def multipart(form: Sequence[Part], boundary: str) -> bytes:
    """A form as RFC 7578 writes it."""
    lines = []
    for name, file, content in form:
        place = f'form-data; name="{name}"' + (f'; filename="{file}"' if file else "")
        kind = "Content-Type: application/octet-stream\r\n" if file else ""
        lines.append(f"--{boundary}\r\nContent-Disposition: {place}\r\n{kind}\r\n".encode() + content + b"\r\n")
    return b"".join([*lines, f"--{boundary}--\r\n".encode()])
