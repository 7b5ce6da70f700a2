from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import yaml

from tools.checks.real import peer


def test_a_case_lies_at_2_mm_where_it_did(tmp_path: Path) -> None:
    values = np.random.default_rng(0).uniform(size=(9, 11, 13)).astype(np.float32)
    affine = np.array([[-1.0, 0, 0, 4], [0, 1, 0, -5], [0, 0, 1, -6], [0, 0, 0, 1]])
    nib.save(nib.Nifti1Image(values, affine), tmp_path / "t2.nii.gz")
    mask = np.zeros(values.shape, bool)
    mask[2:5] = True  # of RAS
    peer.write_case(tmp_path / "case", {"SOURCE": tmp_path / "t2.nii.gz"}, mask)
    source, marked = (nib.load(tmp_path / "case" / f"{name}.nii.gz") for name in ("SOURCE", "MASK"))
    assert np.allclose(source.affine, [[2, 0, 0, -4], [0, 2, 0, -5], [0, 0, 2, -6], [0, 0, 0, 1]])
    assert np.allclose(source.get_fdata(), values[::-2, ::2, ::2])
    assert np.array_equal(marked.get_fdata()[:, 0, 0], [0, 1, 1, 0, 0])


def test_the_target_is_a_loss_and_no_input_and_a_prediction_has_none(tmp_path: Path) -> None:
    konfai = tmp_path / "konfai"
    konfai.write_text("#!/bin/sh\nexit 1\n")
    konfai.chmod(0o755)
    (tmp_path / "Checkpoints").mkdir()
    (tmp_path / "Checkpoints" / "2026_11_30.pt").touch()
    for step in (lambda: peer.train(konfai, tmp_path, 1), lambda: peer.predicted(konfai, tmp_path, tmp_path)):
        with pytest.raises(SystemExit):  # a command that fails is no result
            step()
    trainer = yaml.safe_load((tmp_path / "Config.yml").read_text())["Trainer"]
    groups = trainer["Dataset"]["groups_src"]
    assert {name: group["groups_dest"][name]["is_input"] for name, group in groups.items()} == {
        "SOURCE": True, "TARGET": False, "MASK": False
    }  # fmt: skip
    assert list(trainer["Model"]["SMP"]["outputs_criterions"]["Model"]["targets_criterions"]) == ["TARGET"]
    predictor = yaml.safe_load((tmp_path / "Prediction.yml").read_text())["Predictor"]
    assert list(predictor["Dataset"]["groups_src"]) == ["SOURCE", "MASK"]
