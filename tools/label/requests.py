"""Requests to MONAI Label, each answer compared with the bundle's own inference."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
import torch

from common.grids import grid_distance_mm
from tools.label import rest
from tools.label.inputs import Pair
from tools.label.rest import RefusedError

VALUE_TOLERANCE = 1e-3
PLACE_TOLERANCE_MM = 1e-3
EPOCHS = 2


class Requests:
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

    def nifti(self, address: str, bundle: str, image: Path) -> None:
        """A NIfTI file that lies on the server, compared with the bundle's own inference."""
        self._infer(f"POST /infer/{bundle}, NIfTI", bundle, image, address, image=str(image))

    def series(self, address: str, bundle: str, files: Sequence[Path]) -> None:
        """A DICOM series by its folder on the server."""
        folder = files[0].parent
        self._infer(f"POST /infer/{bundle}, DICOM folder of {len(files)}", bundle, folder, address, image=str(folder))

    def uploads(self, address: str, bundle: str, files: Sequence[Path]) -> None:
        """The files of a DICOM series uploaded, and a zip of them."""
        folder = files[0].parent
        packed = Path(shutil.make_archive(str(self.work / "series"), "zip", folder))
        for what, sent in ((f"{len(files)} DICOM files", files), ("zip of DICOM", [packed])):
            session = rest.open_session(address, sent, uncompress=sent != files)
            self._infer(f"PUT /session, {what}, POST /infer/{bundle}", bundle, folder, address, session=session)

    def dicomweb(self, address: str, bundle: str, uid: str, files: Sequence[Path]) -> None:
        """The series by its UID, from a server whose datastore is a DICOMweb server."""
        self._infer(f"POST /infer/{bundle}, series of a DICOMweb server", bundle, files[0].parent, address, image=uid)

    def label_client(self, address: str, bundle: str, image: Path) -> None:
        """A client that asks for a label map, as those for segmentation do, gets values all the same."""
        asked = {"result_dtype": "uint8", "result_extension": ".nii.gz"}
        name = f"POST /infer/{bundle}, asked for uint8"
        self._infer(name, bundle, image, address, image=str(image), params=asked)

    def unconditional(self, address: str, bundle: str, image: Path) -> None:
        """A generator without a source refuses one, and the server goes on."""
        self._refused(f"POST /infer/{bundle}, which has no source", address, bundle, image)

    def other_weights(self, address: str, bundle: str, image: Path) -> None:
        """Weights of another network are refused, not answered from at random."""
        torch.save({"layers.0.weight": torch.zeros(1)}, self.models / bundle / "models" / "model.pt")
        self._refused(f"POST /infer/{bundle}, weights of another network", address, bundle, image)

    def _infer(self, name: str, bundle: str, source: Path, address: str, **given: Any) -> None:
        own, start = self._own(bundle, source), time.monotonic()
        try:
            answer = rest.infer(address, bundle, **given)
        except RefusedError as error:
            self._say(name, str(error), False, start)
            return
        path = self.work / f"answer_{self.made}.nii.gz"
        path.write_bytes(answer)
        self._say(name, *compared(path, own), start)

    def _refused(self, name: str, address: str, bundle: str, image: Path) -> None:
        start = time.monotonic()
        try:
            answer = rest.infer(address, bundle, image=str(image))
            self._say(name, f"200, {len(answer)} bytes", False, start)
        except RefusedError as error:
            self._say(name, str(error.status), error.status == 500, start)

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

    def training(self, address: str, bundle: str, data: Sequence[Pair]) -> None:
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
            self._say(name, f"{task['status']}: {' '.join(list(task.get('details', []))[-3:])}", False, start)
            return
        rows = pd.read_csv(log)
        changed = rest.infer(address, bundle, image=str(data[0].image)) != before
        maes = " to ".join(f"{value:.4g}" for value in rows["val_mae"].dropna())
        says = f"{task['status']}, {len(rows)} epochs, validation MAE {maes}, new weights served: {changed}"
        self._say(name, says, len(rows) == EPOCHS and changed, start)

    def _say(self, name: str, says: str, holds: bool, start: float) -> None:
        self.made += 1
        if not holds:
            self.failed.append(name)
        print(f"{'ok  ' if holds else 'FAIL'} {name}: {says}, {time.monotonic() - start:.1f} s", flush=True)


def compared(answer: Path, own: Path) -> tuple[str, bool]:
    """A description of an answer, and whether type, grid and values are those of the bundle's own inference."""
    made: Any = nib.load(answer)
    wanted: Any = nib.load(own)
    dtype = made.get_data_dtype()
    says = f"200, {made.shape} {dtype}"
    if made.shape != wanted.shape:
        return f"{says}, but shape {wanted.shape} is right", False
    values = np.asarray(wanted.dataobj)
    difference = float(np.abs(np.asarray(made.dataobj, dtype=np.float64) - values).max())
    places = grid_distance_mm(made.shape, made.affine, wanted.affine)
    says += f", largest difference {difference:.2g} of values {values.min():.4g} to {values.max():.4g}"
    says += f", places {places:.1g} mm apart"
    return says, dtype == np.float32 and difference <= VALUE_TOLERANCE and places <= PLACE_TOLERANCE_MM
