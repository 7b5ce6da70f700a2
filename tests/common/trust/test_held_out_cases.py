"""Held-out cases: those with a target that the weights were not trained on."""

from __future__ import annotations

import json

import nibabel as nib
import numpy as np
import pytest
import torch

from common.data.identity import identify
from common.errors import ConfigError, DataError
from common.trust.held_out import HeldOutCases


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
