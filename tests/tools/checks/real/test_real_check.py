"""The check of shipped weights: images and their fit, what makes a CT plausible, what fails, what is skipped."""

from __future__ import annotations

import subprocess
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from tools.checks.findings import CheckFinding
from tools.checks.real import __main__ as real_check
from tools.checks.real import images, plausibility
from tools.checks.real.images import fitted, infer, read, standardised

AFFINE = np.diag([2.0, 2.0, 2.0, 1.0])
AFFINE[:3, 3] = -90, -126, -72
SHAPE = (91, 109, 91)
"""The 2 mm grid of the templates."""


def test_a_grey_scale_of_its_own_costs_nothing() -> None:
    truth = standardised(np.random.default_rng(0).normal(5, 2, (9, 9, 9)), np.ones((9, 9, 9), bool))
    inside = np.ones(truth.shape, bool)
    assert (truth.mean(), truth.std()) == pytest.approx((0, 1))
    np.testing.assert_allclose(fitted(300 - 7 * truth, truth, inside), truth, atol=1e-4)


def test_an_image_without_relation_is_fitted_to_the_mean() -> None:
    values = np.random.default_rng(1).normal(size=(2, 20, 20, 20))
    assert np.abs(fitted(values[0], values[1], np.ones((20, 20, 20), bool))).max() < 0.1


def test_volumes_are_read_from_left_to_right_whatever_their_files_have(tmp_path: Path) -> None:
    values = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    nib.save(nib.Nifti1Image(values[::-1], np.diag([-2.0, 3.0, 4.0, 1.0])), tmp_path / "las.nii")
    assert np.array_equal(read(tmp_path / "las.nii"), values)


def test_predictions_have_the_names_of_their_cases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def ended(words, **_):
        out = Path(words[words.index("--predictions_dir") + 1])
        out.mkdir()
        nib.save(nib.Nifti1Image(np.full((2, 2, 2), 7, np.float32), np.eye(4)), out / "a_b_synthetic_ct.nii.gz")
        return subprocess.CompletedProcess(words, 0, "x\nwarning: a_b: unlike the training data: y\n", "")

    monkeypatch.setattr(images.subprocess, "run", ended)
    made, warnings = infer("mr2ct_pix2pix", tmp_path, tmp_path, tmp_path / "model.pt")
    assert {name: volume.max() for name, volume in made.items()} == {"a_b": 7}
    assert warnings == ["warning: a_b: unlike the training data: y"]


def test_tissues_are_found_where_the_atlas_has_them() -> None:
    """Ventricles of some millilitres, and shells of bone that are found closed or open."""
    masks = plausibility.tissue_masks(SHAPE, AFFINE)
    assert 5 < masks["csf"].sum() * 8 / 1000 < 50, "ventricles in ml"
    assert 300 < masks["white"].sum() * 8 / 1000 < 700
    ct = np.full(SHAPE, 30, np.float32)
    ct[:4], ct[-4:], ct[:, :4], ct[:, -4:] = 1000, 1000, 1000, 1000
    assert plausibility.enclosed(ct, masks["brain"], AFFINE) == 1
    ct[:4] = 30
    assert plausibility.enclosed(ct, masks["brain"], AFFINE) < 0.05


def test_without_scans_every_check_is_skipped(monkeypatch, tmp_path, capsys) -> None:
    monkeypatch.setattr(real_check, "DATA", tmp_path)
    assert real_check.main([]) == 0
    assert capsys.readouterr().out.count("skipped, since there is no") == len(real_check.CHECKS)


@pytest.mark.parametrize(("passed", "code"), [(True, 0), (False, 1)])
def test_weights_that_are_worse_than_they_must_be_fail(monkeypatch, tmp_path, capsys, passed, code) -> None:
    asked = []

    def check(data, out, weights):
        asked.append((data, weights))
        yield CheckFinding("ct", "T1", "MAE 1", "< 2", passed)

    monkeypatch.setattr(real_check, "DATA", tmp_path)
    monkeypatch.setitem(real_check.CHECKS, "ct", real_check.CHECKS["ct"]._replace(run=check, data="."))
    assert real_check.main(["--only", "ct", "--weights", str(tmp_path / "model.pt")]) == code
    assert asked == [(tmp_path, tmp_path / "model.pt")]
    assert "MAE 1" in capsys.readouterr().out


def test_weights_are_of_one_check(capsys) -> None:
    with pytest.raises(SystemExit, match="2"):
        real_check.main(["--weights", "model.pt"])
    assert "--weights are for one check: add --only" in capsys.readouterr().err
