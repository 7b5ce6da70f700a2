"""A result as DICOM by the worker: the series that an inference with that format writes, and none of a refused case."""

from __future__ import annotations

import os
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from dicom_phantom import SAGITTAL, Grid, write_series
from monai.data import DataLoader, Dataset, MetaTensor

from common.errors import CheckpointError, OutputError
from common.io import VolumeReader
from common.io.export import VolumeExporter
from common.transforms import LoadVolumed
from medical_image_synthesis import worker
from medical_image_synthesis.catalogue import bundle_named
from medical_image_synthesis.worker import as_dicom

GRID = Grid(orientation=SAGITTAL)
REVIEW = {
    "verdict": "review", "calibration_mae": 100.0, "upper_mae": 170.0, "calibrated_on": "16 cases (phantoms)",
    "case_level": 0.9, "unit": "HU", "reasons": ["the head is tilted"],
}  # fmt: skip


@pytest.fixture
def item(tmp_path: Path) -> dict[str, Any]:
    """A series of a study as the evaluator has it, with a warning and a verdict."""
    (tmp_path / "model.pt").write_bytes(b"weights")
    write_series(tmp_path / "scan", GRID, "MR")
    items = Dataset([{"case": "scan", "image": str(tmp_path / "scan")}], LoadVolumed("image", VolumeReader()))
    (batch,) = DataLoader(items, batch_size=1)
    meta = {key: value[0] if isinstance(value, list) else value for key, value in batch["image"][0].meta.items()}
    image = MetaTensor(batch["image"][0], meta=meta)
    return {"case": "scan", "image": image, "warnings": ["it is cut"], "quality": REVIEW}


def written(folder: Path, item: dict[str, Any], output_format: str, **settings: Any) -> Path:
    """Write a CT and a map of it by the exporter of an inference; the sidecar."""
    exporter = VolumeExporter(
        str(folder),
        "synthetic_ct",
        "CT",
        "HU",
        "mr2ct 1.2.3",
        str(folder.parent / "model.pt"),
        output_format,
        **settings,
    )
    exporter.add_maps({"Level": 0.9, "CaseLevel": 0.8, "Unit": "HU"}, "90% of voxels in 80% of cases")
    widths = np.random.default_rng(0).uniform(0, 300, GRID.shape).astype(np.float32)
    exporter.write(item, np.rint(GRID.values()), widths)
    return exporter.sidecar("scan")


def places(folder: Path, sidecar: Path) -> list[str]:
    return [str(folder / "scan"), str(sidecar), str(folder / "model.pt"), str(folder / "out.zip")]


@pytest.mark.parametrize("axial", [False, True])
def test_a_result_as_dicom_is_the_series_that_the_inference_writes(
    item: dict[str, Any], tmp_path: Path, axial: bool
) -> None:
    sidecar = written(tmp_path / "nifti", item, "nifti")
    written(tmp_path / "dicom", item, "dicom", dicom_axial=axial)
    settings = {"dicom_axial": str(axial).lower(), "seed": "3"}
    assert as_dicom(*places(tmp_path, sidecar), settings) == str(tmp_path / "out.zip")
    with zipfile.ZipFile(tmp_path / "out.zip") as archive:
        archive.extractall(tmp_path / "made")
    expected = {path.relative_to(tmp_path / "dicom"): path for path in (tmp_path / "dicom").glob("*/*.dcm")}
    assert {path.relative_to(tmp_path / "made") for path in (tmp_path / "made").glob("*/*.dcm")} == set(expected)
    assert len(expected) == 2 * (5 if axial else 4)
    for name, path in expected.items():
        own, other = pydicom.dcmread(tmp_path / "made" / name), pydicom.dcmread(path)
        moments = [each.tag for each in other if each.VR in ("DA", "TM", "DT")]
        differing = [each.keyword for each in other if each.tag not in moments and own[each.tag].value != each.value]
        assert differing in ([], ["ContributingEquipmentSequence"])  # with the moment of writing
        assert ", review, research use only: " in own.SeriesDescription
        assert "it is cut" in own.ImageComments
        assert "the head is tilted" in own.ImageComments


def test_a_refused_result_or_one_of_other_weights_does_not_become_dicom(item: dict[str, Any], tmp_path: Path) -> None:
    sidecar = written(tmp_path / "refused", {**item, "quality": {**REVIEW, "verdict": "refuse"}}, "nifti")
    with pytest.raises(OutputError, match="^a refused volume is not written as DICOM: check the source$"):
        as_dicom(*places(tmp_path, sidecar), {})
    sidecar = written(tmp_path / "done", item, "nifti")
    (tmp_path / "model.pt").write_bytes(b"others")
    with pytest.raises(CheckpointError, match="^the weights have been replaced since: infer the scan again$"):
        as_dicom(*places(tmp_path, sidecar), {})
    assert not (tmp_path / "out.zip").exists()


def test_replaced_weights_are_loaded_also_where_an_option_names_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("medical_image_synthesis.model.model_of", lambda *_: object())
    monkeypatch.setattr(worker, "_models", OrderedDict())
    weights = tmp_path / "model.pt"
    weights.write_bytes(b"first")

    def loaded() -> object:
        return worker._model(bundle_named("mr2ct"), {"weights": str(weights)}, lambda *_: None)

    first = loaded()
    assert loaded() is first
    os.utime(weights, (1, 1))
    assert loaded() is not first
