"""Requests to MONAI Label, each answer compared with the bundle's own inference."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import nibabel as nib
import numpy as np
import pandas as pd
import SimpleITK as sitk  # noqa: N813

from common.grids import grid_distance_mm
from tools.label import rest
from tools.label.documented import run_documented
from tools.label.inputs import Pair
from tools.label.rest import RefusedError

VALUE_TOLERANCE = 1e-3
PLACE_TOLERANCE_MM = 1e-3
EPOCHS = 2


class Request(NamedTuple):
    """A request for an inference.

    Attributes:
        name: what is asked, for the table.
        bundle: whose network answers.
        image: a path on the server or an id of its datastore; unused with an upload.
        source: what the bundle's own inference reads, for comparison; None where the request is to be refused.
        upload: files to open a session with first, or one zip of them.
        params: further parameters of the client.
    """

    name: str
    bundle: str
    image: str
    source: Path | None
    upload: Sequence[Path] = ()
    params: Mapping[str, Any] = MappingProxyType({})


class Client:
    """Makes requests and keeps which of them were not answered as they should be.

    Args:
        app: with the bundles under ``model/``.
        work: folder for what is made.
    """

    def __init__(self, app: Path, work: Path) -> None:
        self.models = app / "model"
        self.work = work
        self.made = 0
        self.failed: list[str] = []

    def infer(self, address: str, request: Request) -> None:
        """Make one request and check its answer, or its refusal."""
        own, start = request.source and self._own(request.bundle, request.source), time.monotonic()
        given: dict[str, Any] = {"image": request.image, "params": request.params}
        if request.upload:
            given["session"] = rest.open_session(address, request.upload)
        name = f"POST /infer/{request.bundle}, {request.name}"
        try:
            answer = rest.infer(address, request.bundle, **given)
        except RefusedError as error:
            self._report(name, str(error), own is None and error.status == 500, start)
            return
        path = self.work / f"answer_{self.made}.nii.gz"
        path.write_bytes(answer)
        self._report(name, *(compared(path, own) if own else (f"200, {len(answer)} bytes", False)), start)

    def documented(self, address: str, bundle: str, source: Path) -> None:
        """Make the calls of the page on MONAI Label, and check every file that they write."""
        own, start = self._own(bundle, source), time.monotonic()
        for name, answer in run_documented(address, source, self.work / "documented").items():
            self._report(f"documented call, {name}", *compared(answer, own), start)

    def _own(self, bundle: str, source: Path) -> Path:
        """The file that the bundle's own inference writes, in the environment of the bundles."""
        folder = self.models / bundle
        output = self.work / "own" / f"{bundle}_{source.name}"
        if not output.exists():
            words = [sys.executable, "-W", "ignore", "-m", "monai.bundle", "run", "inference"]
            words += ["--config_file", "configs/inference.yaml", "--dataset_dir", str(source)]
            words += ["--output_dtype", "float32", "--predictions_dir", str(output)]
            own = {"PYTHONPATH": str(folder), "CUDA_VISIBLE_DEVICES": "", "PYTHONDONTWRITEBYTECODE": "1"}
            done = subprocess.run(words, cwd=folder, env={**os.environ, **own}, capture_output=True, text=True)
            if done.returncode:
                raise RuntimeError(f"{bundle}: its own inference\n{done.stderr[-2000:]}")
        return next(output.glob("*.nii.gz"))

    def train(self, address: str, bundle: str, data: Sequence[Pair]) -> None:
        """Two epochs on pairs that were put into the datastore; then the server answers from the new weights."""
        names = [f"{bundle}_{number}" for number in range(len(data))]
        for name, pair in zip(names, data, strict=True):
            rest.add_pair(address, name, pair.image, pair.label)
        before = rest.infer(address, bundle, image=str(data[0].image))
        start = time.monotonic()
        task = rest.train(address, bundle, {"max_epochs": EPOCHS, "val_split": 0.25, "pretrained": True})
        for name in names:
            rest.remove_image(address, name)
        name = f"POST /train/{bundle}, {EPOCHS} epochs on {len(data)} pairs"
        log = self.models / bundle / "log.csv"
        if task["status"] != "DONE" or not log.is_file():
            self._report(name, f"{task['status']}: {' '.join(list(task.get('details', []))[-3:])}", False, start)
            return
        rows = pd.read_csv(log)
        changed = rest.infer(address, bundle, image=str(data[0].image)) != before
        (validated,) = (rows[name].dropna() for name in rows if name.startswith("val_"))
        maes = " to ".join(f"{value:.4g}" for value in validated)
        result = f"{task['status']}, {len(rows)} epochs, validation MAE {maes}, new weights served: {changed}"
        self._report(name, result, len(rows) == EPOCHS and changed, start)

    def _report(self, name: str, result: str, holds: bool, start: float) -> None:
        self.made += 1
        if not holds:
            self.failed.append(name)
        print(f"{'ok  ' if holds else 'FAIL'} {name}: {result}, {time.monotonic() - start:.1f} s", flush=True)


def compared(answer: Path, own: Path) -> tuple[str, bool]:
    """A description of an answer, and whether type, grid and values are those of the bundle's own inference."""
    made: Any = nib.load(_as_nifti(answer))
    wanted: Any = nib.load(own)
    dtype = made.get_data_dtype()
    found = f"200, {made.shape} {dtype}"
    if made.shape != wanted.shape:
        return f"{found}, but shape {wanted.shape} is right", False
    values = np.asarray(wanted.dataobj)
    difference = float(np.abs(np.asarray(made.dataobj, dtype=np.float64) - values).max())
    places = grid_distance_mm(made.shape, made.affine, wanted.affine)
    found += f", largest difference {difference:.2g} of values {values.min():.4g} to {values.max():.4g}"
    found += f", places {places:.1g} mm apart"
    return found, dtype == np.float32 and difference <= VALUE_TOLERANCE and places <= PLACE_TOLERANCE_MM


def _as_nifti(path: Path) -> Path:
    if path.suffix != ".nrrd":
        return path
    sitk.WriteImage(sitk.ReadImage(path), path.with_suffix(".nii"))
    return path.with_suffix(".nii")
