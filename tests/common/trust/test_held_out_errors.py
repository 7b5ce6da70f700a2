"""Held-out cases: which count, and their errors and features, intact and corrupted, through their files."""

from __future__ import annotations

import json

import nibabel as nib
import numpy as np
import pytest
import torch
from monai.transforms import Compose, Invertd, Orientationd

from common.config.record import RunRecord
from common.data.identity import identify
from common.errors import ConfigError, DataError
from common.evaluation.methods import EvaluatedMethod
from common.transforms import LoadVolumed
from common.trust import check
from common.trust.corrupted import corrupted
from common.trust.features import CaseFeatures
from common.trust.held_out import HeldOutCases
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
    assert not infer()(item, with_spread=True).voxels.spread.any(), "the network takes nothing away"


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


@pytest.fixture
def items(tmp_path):
    found = []
    for number in range(3):
        item = {"case": f"case_{number}"}
        for place, key in enumerate(("image", "label")):
            values = np.random.default_rng((number, place)).normal(size=(4, 5, 6)).astype(np.float32)
            item[key] = str(tmp_path / f"{key}_{number}.nii")
            nib.save(nib.Nifti1Image(values, np.eye(4)), item[key])
        found.append(item)
    return found


def held_out(folder, cases, section=None) -> HeldOutCases:
    return HeldOutCases(cases, str(folder), torch.device("cpu"), None, section)


def test_cases_of_the_section_that_have_a_target(tmp_path, items):
    cases = {"validation": items[:2], "test": [items[2], {"case": "bare", "image": items[0]["image"]}]}
    assert held_out(tmp_path, cases).items("validation") == items[:2]
    assert held_out(tmp_path, cases, "test").items("validation") == [items[2]]
    with pytest.raises(ConfigError, match="--section is training, not validation or test: give"):
        held_out(tmp_path, cases, "training")


def test_a_datalist_whose_validation_cases_are_not_used_is_named(tmp_path, items, caplog):
    own = held_out(tmp_path, {"validation": items, "test": items})
    own.record = RunRecord({}, {"datalist": "B.json"})
    own.items("test")
    assert not caplog.messages
    own.items("validation")
    assert caplog.messages == [
        "the validation cases are those of the run, not of --datalist: pass --section test for its test cases"
    ]


def test_cases_of_the_training_and_of_the_calibration_are_refused(tmp_path, items):
    own = held_out(tmp_path, {"test": items})
    with pytest.raises(DataError, match="no record of the training cases at .*datalist.json: pass --output_dir"):
        own.require_untrained(items)
    files = {path: each._asdict() for path, each in identify(items[:1]).items()}
    (tmp_path / "datalist.json").write_text(json.dumps({"training": items[:1], "files": files}))
    with pytest.raises(DataError, match=r"the weights were trained on 1 \(case_0\) of the held-out cases: "):
        own.require_untrained(items)
    own.require_untrained(items[1:])
    with pytest.raises(DataError, match=r"the calibration used 1 \(case_2\) of the cases to check: pass"):
        own.to_check(sorted(own.hashes(items[2:])), "HU", "HU")
    assert held_out(tmp_path, {"test": items[1:]}).to_check([], "HU", "HU") == items[1:]
    with pytest.raises(ConfigError, match="the calibration is in HU, its check in z: calibrate again"):
        own.to_check([], "HU", "z")
