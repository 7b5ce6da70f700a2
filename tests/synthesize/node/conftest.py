"""A node with a worker that copies a series in place of an inference, real senders, and a real archive to send to."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pydicom
import pytest
from dicom_phantom import PATIENT, Grid, write_series

pytest.importorskip("pynetdicom")
from pynetdicom import AE, AllStoragePresentationContexts, evt

from medical_image_synthesis import worker_process
from medical_image_synthesis.catalogue import bundle_named
from medical_image_synthesis.node.command import Node
from medical_image_synthesis.node.delivery import deliver
from medical_image_synthesis.node.settings import Archive, Caller, Certificates, NodeSettings, Route
from medical_image_synthesis.worker_process import WorkerProcess

COPIES = """
import json, pathlib, sys, time
import pydicom
from pydicom.uid import generate_uid
for line in sys.stdin:
    job, given = json.loads(line)
    do = given["options"].get("do", "copy")
    if do == "die":
        sys.exit(3)
    go = pathlib.Path(given.get("source", "a/b/c")).parents[1] / "go"  # in the spool
    while do == "wait" and job == "derive" and not go.exists():
        time.sleep(0.02)
    answer = {"made": given.get("out")}
    if do == "refuse":
        answer = {"fault": "quality: refuse", "reasons": ["the head of 1.2.840.99.1.2.3.4 is cut"]}
    elif do == "fail" and job == "derive" and not go.exists():
        source = pathlib.Path(given["source"])
        second = next(path for path in source.iterdir() if pydicom.dcmread(path).InstanceNumber == 2)
        answer = {"fault": f"{source.name} ({source.name}): a gap at {second.name}; pass --resample_tilt true"}
    elif job == "derive":
        place = pathlib.Path(given["out"], "synthetic")
        place.mkdir(parents=True)
        for number, path in enumerate(sorted(pathlib.Path(given["source"]).glob("*.dcm"))):
            made = pydicom.dcmread(path)
            made.SeriesInstanceUID = generate_uid(entropy_srcs=[made.SeriesInstanceUID])
            made.SOPInstanceUID = generate_uid(entropy_srcs=[made.SOPInstanceUID])
            made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID
            made.save_as(place / f"IM{number:04d}.dcm")
    print(json.dumps(answer), flush=True)
"""


class Pacs:
    """An archive: what it has stored, by UID, how often each came, and the status with which it answers."""

    def __init__(self) -> None:
        self.stored: dict[str, pydicom.Dataset] = {}
        self.times: dict[str, int] = {}
        self.status = 0x0000
        entity = AE(ae_title="PACS")
        entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = None  # of a slow machine
        for context in AllStoragePresentationContexts:
            entity.add_supported_context(context.abstract_syntax)
        entity.add_supported_context("1.2.840.10008.1.1")
        self.server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, self._store)])
        self.port = self.server.server_address[1]

    def _store(self, event: Any) -> int:
        if self.status == 0:
            self.stored[event.dataset.SOPInstanceUID] = event.dataset
            self.times[event.dataset.SOPInstanceUID] = self.times.get(event.dataset.SOPInstanceUID, 0) + 1
        return self.status

    def series(self) -> dict[str, int]:
        """Numbers of instances by the description of their series."""
        found: dict[str, int] = {}
        for each in self.stored.values():
            found[each.get("SeriesDescription", "")] = found.get(each.get("SeriesDescription", ""), 0) + 1
        return found


@pytest.fixture(autouse=True)
def disk_with_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terabyte free, whatever the machine has; a node waits below 3 GB."""
    real = shutil.disk_usage
    monkeypatch.setattr(shutil, "disk_usage", lambda path: real(path)._replace(free=10**12))


@pytest.fixture
def pacs() -> Iterator[Pacs]:
    made = Pacs()
    yield made
    made.server.shutdown()


@pytest.fixture
def settings(tmp_path: Path, pacs: Pacs, monkeypatch: pytest.MonkeyPatch) -> NodeSettings:
    (tmp_path / "copying_worker.py").write_text(COPIES)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setattr(worker_process, "WORKER", "copying_worker")
    return NodeSettings(
        tmp_path / "spool", (Caller("SCANNER", ip_network("127.0.0.1")),),
        {"pacs": Archive("pacs", "PACS", "127.0.0.1", pacs.port)}, (route(),), port=0, health_port=0, quiet_seconds=0.5,
    )  # fmt: skip


def route(refused: str = "nothing", **options: str) -> Route:
    """A route of all that calls SYNTHESIZE."""
    return Route(bundle_named("mr2ct"), "pacs", {}, "SYNTHESIZE", options, refused)


@pytest.fixture
def start(settings: NodeSettings) -> Iterator[Callable[..., Node]]:
    """Start a node with changed settings."""
    started: list[Node] = []

    def with_settings(**changes: Any) -> Node:
        made = Node(replace(settings, **changes), WorkerProcess())
        started.append(made)
        return made

    yield with_settings
    for each in started:
        each.close()


def scan(folder: Path, **header: Any) -> list[Path]:
    """A series of four slices of the patient whose values must not be seen."""

    def change(each: Any, _: int) -> None:
        for name, value in {"StudyInstanceUID": f"1.2.840.99.{len(folder.name)}.7.8.9.10", **header}.items():
            setattr(each, name, value)

    write_series(folder, Grid(), "MR", change=change)
    assert pydicom.dcmread(next(folder.iterdir())).PatientName == PATIENT["PatientName"]
    return sorted(folder.iterdir())


def send(
    node: Node,
    files: list[Path],
    ae_title: str = "SCANNER",
    called: str = "SYNTHESIZE",
    tls: Certificates | None = None,
) -> None:
    """Send files as a scanner does."""
    deliver(
        files,
        Archive("the node", called, "127.0.0.1", node.receiver.port, tls),
        replace(node.settings, ae_title=ae_title),
    )


def wait(node: Node, seconds: float = 120, **counts: int) -> dict[str, int]:
    """Wait until the counts of a node are these; all of them."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        found = node.spool.counts()
        if all(found[name] == number for name, number in counts.items()):
            return found
        time.sleep(0.05)
    raise AssertionError(f"{counts} did not come: {node.spool.counts()}, {node.spool.faults()}")
