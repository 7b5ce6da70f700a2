"""REST client of MONAI Label: inference, sessions, datastore, training."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import requests

TIMEOUT_S = 600.0


class RefusedError(Exception):
    """An answer whose HTTP ``status`` is not 200."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"{status}: {text[:300]}")
        self.status = status


def _ask(method: str, url: str, query: Mapping[str, str], **content: Any) -> requests.Response:
    answer = requests.request(method, url, params=query, timeout=TIMEOUT_S, **content)
    if not answer.ok:
        raise RefusedError(answer.status_code, answer.text)
    return answer


def infer(
    address: str, model: str, image: str = "", session: str = "", params: Mapping[str, Any] | None = None
) -> bytes:
    """What ``POST /infer`` makes of a path on the server, an image of its datastore or a session: a file's bytes."""
    query = {"output": "image"} | ({"session_id": session} if session else {"image": image})
    form = {"params": (None, json.dumps(dict(params or {})))}
    return _ask("POST", f"{address}/infer/{model}", query, files=form).content


def open_session(address: str, files: Sequence[Path]) -> str:
    """Upload files, all of a series or one zip of them, and return the session's id."""
    form = [("files", (path.name, path.read_bytes())) for path in files]
    query = {"uncompress": "true" if files[0].suffix == ".zip" else "false"}
    return str(_ask("PUT", f"{address}/session/", query, files=form).json()["session_id"])


def add_pair(address: str, name: str, image: Path, label: Path) -> None:
    """Put an image and its final label into the datastore."""
    _ask("PUT", f"{address}/datastore/image", {"image": name}, files={"file": (f"{name}.nii.gz", image.read_bytes())})
    query, form = {"image": name, "tag": "final"}, {"label": (f"{name}.nii.gz", label.read_bytes())}
    _ask("PUT", f"{address}/datastore/label", query, files=form)


def remove_image(address: str, name: str) -> None:
    """Remove an image and its labels from the datastore."""
    _ask("DELETE", f"{address}/datastore/image", {"id": name})


def train(address: str, model: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """Start a training, wait for its end and return what the server says of it."""
    _ask("POST", f"{address}/train/{model}", {}, json=params)
    while True:
        time.sleep(1)
        task: dict[str, Any] = _ask("GET", f"{address}/train/", {}).json()
        if task["status"] not in ("SUBMITTED", "RUNNING"):
            return task
