"""Servers on loopback, and the environment of MONAI Label, which needs an older pydicom and numpy than the bundles."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import sysconfig
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import requests

HOST = "127.0.0.1"
START_TIMEOUT_S = 180.0
STOP_TIMEOUT_S = 30.0
REQUIREMENTS = (
    *("torch==2.13.0", "monailabel==0.8.5", "pydicom<3", "pynetdicom", "dicomweb-client"),
    "nilearn>=0.11,<0.15",
)
"""One resolution. monailabel brings monai, ignite, nibabel, scipy, pandas, matplotlib, fire and tensorboard along; what
is left of the bundles' requirements is nilearn, of the phantoms. Of DICOM, monailabel's own parts need pydicom 2."""
UNDECLARED = """import torch
_undeclared = torch.library.Library("torchvision", "FRAGMENT")
_undeclared.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
_undeclared.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
"""
"""What lets ``import torchvision`` end well where its operators, compiled for CUDA, find a PyTorch without: Label uses
nothing of it but grids of pictures. Needed where an index has torchvision's default build alone."""


def ensure(folder: Path) -> Path:
    """The interpreter of the environment in ``folder``, made and filled first where it is not ready."""
    python = folder / "bin" / "python"
    ready = folder / ".ready"
    wanted = "\n".join(REQUIREMENTS)
    if ready.is_file() and ready.read_text() == wanted:
        return python
    print(f"installing {', '.join(REQUIREMENTS)} into {folder}: some minutes, 4 GB", flush=True)
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *REQUIREMENTS]
    subprocess.run(install, check=True)
    _let_torchvision_import(python)
    ready.write_text(wanted)
    return python


def _let_torchvision_import(python: Path) -> None:
    if subprocess.run([str(python), "-c", "import torchvision"], capture_output=True).returncode == 0:
        return
    purelib = sysconfig.get_path("purelib", "venv", {"base": str(python.parents[1])})
    module = Path(purelib, "torchvision", "_meta_registrations.py")
    print("torchvision's operators do not load with this PyTorch: declared without an implementation", flush=True)
    module.write_text(UNDECLARED + module.read_text())
    subprocess.run([str(python), "-c", "import torchvision.utils"], check=True)


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler], **settings: Any) -> Iterator[str]:
    """Answer requests on loopback without a log; gives the address."""
    quiet = type("Quiet", (handler,), {"log_message": lambda *_: None})
    with ThreadingHTTPServer((HOST, 0), partial(quiet, **settings)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://{HOST}:{server.server_address[1]}"
        finally:
            server.shutdown()


def environment(python: Path) -> dict[str, str]:
    """For processes of MONAI Label: its own interpreter first, no module but its own, on the CPU."""
    own = {"PATH": f"{python.parent}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": "", "OMP_NUM_THREADS": "1"}
    own |= {"CUDA_VISIBLE_DEVICES": "", "MONAI_LABEL_TRACKING_ENABLED": "false", "PYTHONDONTWRITEBYTECODE": "1"}
    return {**os.environ, **own}


@contextmanager
def monai_label(python: Path, app: Path, studies: str, bundles: Sequence[str], log: Path) -> Iterator[str]:
    """A MONAI Label server of the app's bundles; gives its address when it answers, and stops it by its pid.

    The datastore is a folder or the address of a DICOMweb server. Sessions and caches go next to the log, whose last
    lines a RuntimeError shows where the server ends or does not answer in time.
    """
    address = f"http://{HOST}:{_free_port()}"
    words = [str(python), "-m", "monailabel.main", "start_server", "--app", str(app), "--studies", studies]
    conf = {"models": ",".join(bundles), "zoo_source": "local", "sam2": "false"}
    words += [word for key, value in conf.items() for word in ("--conf", key, value)]
    words += ["--host", HOST, "--port", address.rsplit(":", 1)[1]]
    settings = {"MONAI_LABEL_SESSION_PATH": str(log.parent / "sessions"), "HOME": str(log.parent)}
    settings |= {"MONAI_LABEL_DICOMWEB_CONVERT_TO_NIFTI": "false"}  # DICOM as it is: the bundles read it themselves
    with open(log, "wb") as file:
        server = subprocess.Popen(
            words,
            cwd=log.parent,
            env={**environment(python), **settings},
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # its trainings are children, which end with its group
        )
    try:
        _wait(server, address, log)
        yield address
    finally:
        _stop(server)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _wait(server: subprocess.Popen[bytes], address: str, log: Path) -> None:
    end = time.monotonic() + START_TIMEOUT_S
    while server.poll() is None and time.monotonic() < end:
        try:
            answer = requests.get(f"{address}/info/", timeout=60)
        except requests.RequestException:
            time.sleep(1)
            continue
        if answer.ok:
            return
        raise RuntimeError(f"{address}/info/: {answer.status_code}\n{_tail(log)}")
    raise RuntimeError(f"MONAI Label does not answer, exit code {server.poll()}\n{_tail(log)}")


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-40:])


def _stop(server: subprocess.Popen[bytes]) -> None:
    if server.poll() is None:
        os.killpg(server.pid, signal.SIGTERM)
        try:
            server.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()
