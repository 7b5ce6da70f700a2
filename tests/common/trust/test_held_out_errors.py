"""Errors and features of held-out cases, intact and corrupted, through their files."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest
import torch
from monai.transforms import Compose, Invertd, Orientationd

from common.errors import DataError
from common.evaluation.methods import EvaluatedMethod
from common.transforms import LoadVolumed
from common.trust import check
from common.trust.corrupted import corrupted
from common.trust.features import CaseFeatures
from common.trust.held_out_errors import CONSTANT, COPIED, HeldOutErrors

LPS = np.diag([-3.0, -3.0, 3.0, 1.0])


@pytest.fixture
def item(tmp_path):
    """The truth is the source and 10; it is stored in another orientation than RAS."""
    places = np.stack(np.meshgrid(*[np.arange(20)] * 3, indexing="ij"), axis=-1)
    inside = np.linalg.norm(places - (9, 10, 8), axis=-1) < 7
    image = np.where(inside, np.random.default_rng(0).uniform(50, 150, inside.shape), -1000).astype(np.float32)
    paths = {}
    for name, volume in {"image": image, "label": image + 10, "mask": inside.astype(np.float32)}.items():
        paths[name] = str(tmp_path / f"{name}.nii.gz")
        nib.save(nib.Nifti1Image(volume, LPS), paths[name])
    return {"case": "one", **paths}


def infer(unit: str = "HU", *further) -> HeldOutErrors:
    """A network that gives its input back, and further transforms before it."""
    before = Compose([LoadVolumed("image"), Orientationd("image", axcodes="RAS", labels=None), *further])
    restore = Invertd("pred", before, orig_keys="image", nearest_interp=False)
    method = EvaluatedMethod(torch.nn.Identity(), before, lambda image, network: network(image), restore)
    return HeldOutErrors(method, torch.device("cpu"), CaseFeatures("HU"), unit, copied=True)


def test_the_target_moves_along_with_a_corruption_of_the_source(item):
    """The input is 10 off, wherever the head lies; a blurred input is off by more."""
    errors = {kind: infer()(changed) for kind, changed in corrupted(item, ["upside down", "cut from above", "blur"])}
    assert [errors[kind].mae for kind in ("upside down", "cut from above")] == pytest.approx([10, 10], abs=1e-3)
    assert errors["blur"].mae > 20
    assert errors["cut from above"].features["head at the edge of the volume, top"] > 0.5


def test_errors_of_a_case_by_voxel_and_as_a_mean_and_of_answers_without_a_network(item):
    truth = nib.load(item["label"]).get_fdata()[nib.load(item["mask"]).get_fdata() > 0]
    found = infer()(item)
    assert found.case == "one"
    assert found.mae == pytest.approx(10, abs=1e-3)
    assert found.baselines == pytest.approx({CONSTANT: np.abs(truth - np.median(truth)).mean(), COPIED: 10}, abs=1e-3)
    assert found.features["slice thickness in mm"] == 3
    np.testing.assert_allclose(found.voxels.error, 10, atol=1e-3)
    np.testing.assert_allclose(np.sort(found.voxels.prediction), np.sort(truth - 10), atol=1e-3)
    assert not found.voxels.spread.any()
    moved = infer()(item, with_spread=True).voxels.spread
    assert moved.mean() > 1, "the contrasts show"


def test_errors_in_percent_of_brightness_are_of_the_truth_as_a_mean_and_of_the_prediction_by_voxel(item):
    plain, relative = (infer(unit)(item) for unit in ("HU", "percent of brightness"))
    truth = plain.voxels.prediction + 10
    bright = np.percentile(truth, 99.5) / 100
    assert relative.mae == pytest.approx(10 / bright, rel=1e-4)
    assert relative.baselines == pytest.approx({name: value / bright for name, value in plain.baselines.items()})
    scale = plain.voxels.prediction.mean() / relative.voxels.prediction.mean()
    np.testing.assert_allclose(relative.voxels.error * scale, plain.voxels.error, rtol=1e-3)
    assert scale == pytest.approx((np.percentile(truth, 99.5) - 10) / 100, rel=0.02)


def test_a_check_tries_corruptions_and_skips_what_the_method_refuses(item, record, caplog, monkeypatch):
    """A chain of transforms wraps the error of one of them."""
    monkeypatch.setattr(check, "CORRUPTIONS", ("blur", "upside down"))
    monkeypatch.setattr(check, "EVERY", 1)

    def require_grain(data):
        if data["image"].max() < 140:
            raise DataError("one has no grain", "sharpen it")
        return data

    rows = check.checked_cases([item], infer("HU", require_grain), record)
    assert [(row.corruption, row.verdict) for row in rows] == [("intact", "refuse"), ("upside down", "refuse")]
    assert [each.group for each in rows[0].coverage] == ["all", "soft"]
    assert rows[1].coverage == []
    assert "blur: skipped, since its inference fails: one has no grain: sharpen it" in caplog.text
