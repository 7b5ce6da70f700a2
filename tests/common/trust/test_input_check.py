"""Check of scans before their inference: what is refused, what is warned of, and when neither."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import nibabel as nib
import numpy as np
import pytest
import torch
from monai.data import MetaTensor, list_data_collate

from common.errors import DataError
from common.simulation.head import Anatomy
from common.transforms import LoadVolumed, SubjectBoxd, WorkingSpacingd
from common.trust import InputCheck
from common.trust.input_check import findings_of
from common.weights import checkpoints

SPACING = np.full(3, 2.5)
EVERY = ("T1", "PD", "T2", "FLAIR")


@pytest.fixture(scope="module")
def t1(mr: np.ndarray) -> np.ndarray:
    """A T1-weighted head as a network is shown it."""
    affine = torch.diag(torch.tensor([2.5, 2.5, 2.5, 1.0]))
    return SubjectBoxd("image")({"image": MetaTensor(torch.from_numpy(mr)[None], affine=affine)})["image"][0].numpy()


@pytest.fixture(scope="module")
def stripped(mr: np.ndarray, head: Anatomy) -> np.ndarray:
    """Its brain alone."""
    brain = sum(head.fractions[name] for name in ("white", "grey", "csf")) > 0.5
    return np.where(brain, mr, 0)


def test_a_scan_like_those_of_the_training_has_no_findings(t1: np.ndarray) -> None:
    assert findings_of(t1, SPACING, EVERY, to_ct=True) == ([], [])
    assert findings_of(70 * t1 - 30, SPACING, ["T1"], to_ct=True) == ([], []), "on any scale"


def test_another_contrast_is_refused_with_what_is_seen_and_what_was_expected(t1: np.ndarray) -> None:
    refusals, warnings = findings_of(t1, SPACING, ["T2"])
    assert refusals == [
        "looks T1-weighted (white matter brighter than grey, grey brighter than fluid); these weights were trained on"
        " T2-weighted"
    ]
    assert warnings == []


def test_a_brain_alone_is_refused_where_bone_is_to_be_predicted(stripped: np.ndarray) -> None:
    assert findings_of(stripped, SPACING, EVERY, to_ct=True).refusals == [
        "looks skull-stripped: no bone can be predicted"
    ]
    assert findings_of(stripped, SPACING, EVERY).refusals == []


def test_a_receive_field_and_turned_axes_are_warned_of(t1: np.ndarray) -> None:
    fading = t1 * np.exp(-np.arange(t1.shape[1]) / 12.0)[None, :, None]  # of 30 mm
    (field,) = [each for each in findings_of(fading, SPACING, EVERY).warnings if "brightness falls" in each]
    assert field.endswith("across the brain: correct the receive field")
    assert findings_of(t1[:, :, ::-1], SPACING, EVERY).warnings == [
        "the head looks turned: its bottom is where its affine has top: check the orientation in its header"
    ]


def test_noise_as_bright_as_tissue_is_refused_by_its_name(mr: np.ndarray, head: Anatomy) -> None:
    scan = np.where(head.head, mr, np.random.default_rng(0).uniform(0, np.percentile(mr, 99.5), mr.shape))
    reason = "the air around the head is noise as bright as tissue, as MP2RAGE has: remove it first"
    assert findings_of(scan, SPACING, EVERY, to_ct=True) == ([reason], [])


def test_what_is_no_head_is_warned_of() -> None:
    small = np.zeros((40, 40, 40), np.float32)
    small[10:20, 10:20, 10:20] = 1
    refusals, (warning, *_) = findings_of(small, SPACING, ["T1"])
    assert refusals == []
    assert warning.startswith("contrast not recognised (no head: the largest ball in it has a radius of 1")
    assert findings_of(np.full((4, 4, 4), 3.0), np.ones(3), ["T1"]).warnings == ["the value 3 everywhere"]


def weights_of(folder: Path, **more: object) -> str:
    path = folder / "model.pt"
    checkpoints.save({}, path)
    about = {"schema_version": 1, "bundle": "b", "settings": {}, "trained_on": {}, **more}
    path.with_suffix(".json").write_text(json.dumps(about))
    return str(path)


def engine_of(image: np.ndarray, refuses: bool) -> SimpleNamespace:
    batch = {
        "image": MetaTensor(torch.from_numpy(image.copy())[None, None], affine=np.diag([*SPACING, 1])),
        "case": ["a"],
    }
    return SimpleNamespace(state=SimpleNamespace(batch=batch), refuses=refuses, warnings={})


@pytest.mark.parametrize(("unit", "refused"), [("HU", True), ("a.u.", False)])
def test_an_engine_refuses_or_notes_the_reason_with_the_case(
    stripped: np.ndarray, tmp_path: Path, unit: str, refused: bool
) -> None:
    check = InputCheck(weights_of(tmp_path, contrasts=list(EVERY), unit=unit))
    if refused:
        remedy = "pass a T1-weighted or PD-weighted or T2-weighted or FLAIR scan of a whole head; --refuse false"
        with pytest.raises(DataError, match=f"^a: looks skull-stripped: no bone can be predicted: {remedy}"):
            check(engine_of(stripped, refuses=True))
    check(engine := engine_of(stripped, refuses=False))
    assert ("unsuited to the weights: looks skull-stripped" in str(engine.warnings)) is refused


def test_slices_count_as_they_were_scanned(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Slices of 7 mm remain slices of 7 mm at a working spacing of 2 mm; those of 5 mm are within the simulation."""
    for height, warned in ((5.0, 0), (7.0, 1)):
        values = np.random.default_rng(0).uniform(0, 9, (20, 20, 20)).astype(np.float32)
        nib.save(nib.Nifti1Image(values, np.diag([2.0, 2.0, height, 1.0])), tmp_path / "scan.nii")
        loaded = LoadVolumed("image")({"image": str(tmp_path / "scan.nii"), "case": "case_07"})
        batch = list_data_collate([WorkingSpacingd("image", spacing=[2.0, 2.0, 2.0])(loaded)])
        InputCheck(weights_of(tmp_path))(SimpleNamespace(state=SimpleNamespace(batch=batch)))
        assert caplog.text.count("case_07: results may look plausible and be wrong") == warned
    assert "voxels of 7.0 mm, more than 6" in caplog.text
