"""The check on real scans: how rows are scored, what makes a CT plausible, and that it skips what is not there."""

import subprocess

import nibabel as nib
import numpy as np
import pytest

from tools.real import __main__ as real_check
from tools.real import plausibility, trainings
from tools.real.rows import COLUMNS, Pair, Row, page, read, row_of, spacing_of, text
from tools.real.trainings import PD_TO_T2

AFFINE = np.diag([2.0, 2.0, 2.0, 1.0])
AFFINE[:3, 3] = -90, -126, -72
SHAPE = (91, 109, 91)
"""The 2 mm grid of the templates."""


@pytest.fixture
def scored(tmp_path):
    """Scores an image (12, 12, 12) against a truth of random values."""
    truth = np.random.default_rng(0).normal(5, 2, (12, 12, 12)).astype(np.float32)
    mask = np.zeros(truth.shape, bool)
    mask[1:-1, 1:-1, 1:-1] = True
    pair = Pair("a", tmp_path / "source.nii", tmp_path / "truth.nii")
    for path in pair[1:]:
        nib.save(nib.Nifti1Image(truth, np.diag([1, 1, 3, 1])), path)
    return lambda image: row_of(pair, "row", np.asarray(image(truth), np.float32), mask)


def test_a_grey_scale_of_its_own_costs_nothing(scored):
    row = scored(lambda truth: 300 - 7 * truth)
    assert row.scores["mae"] == pytest.approx(0, abs=1e-5)
    assert row.scores["ssim"] == pytest.approx(1, abs=1e-5)
    assert row.scores["sharpness"] == pytest.approx(1, abs=1e-4)
    assert row.spacing == (1, 1, 3)
    np.testing.assert_allclose(row.image[row.mask], row.truth[row.mask], atol=1e-4)


def test_volumes_are_read_from_left_to_right_whatever_their_files_have(tmp_path):
    values = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    nib.save(nib.Nifti1Image(values[::-1], np.diag([-2.0, 3.0, 4.0, 1.0])), tmp_path / "las.nii")
    assert np.array_equal(read(tmp_path / "las.nii"), values)
    assert spacing_of(tmp_path / "las.nii") == (2, 3, 4)


def test_an_image_without_relation_is_no_better_than_the_mean(scored):
    """The mean absolute value of a normal z-score is the square root of 2 / pi."""
    row = scored(lambda truth: np.random.default_rng(1).normal(size=truth.shape))
    assert row.scores["mae"] == pytest.approx(np.sqrt(2 / np.pi), abs=0.03)


def rows():
    """Two cases by two methods."""
    volume = np.random.default_rng(0).normal(size=(8, 8, 8)).astype(np.float32)
    values = {("a", "copy"): 0.4, ("b", "copy"): 0.6, ("a", "pretrained"): 0.1, ("b", "pretrained"): 0.2}
    rest = dict.fromkeys(COLUMNS, 0.5)
    inside = np.ones(volume.shape, bool)
    return [
        Row(case, method, volume, volume, volume, inside, (1, 1, 1), {**rest, "mae": mae, "psnr": 20.0, "sharpness": 1})
        for (case, method), mae in values.items()
    ]


def test_the_table_has_a_mean_a_row_and_the_cases_beside():
    lines = [line.split() for line in text("title", rows()).strip().splitlines()]
    assert ["copy", "0.50", "20.0", "0.5", "1.0", "0.4", "0.6"] in lines
    assert ["pretrained", "0.15", "20.0", "0.5", "1.0", "0.1", "0.2"] in lines


def test_the_page_shows_every_row_and_its_numbers(tmp_path):
    written = page(tmp_path / "page.html", "PD to T2", real_check.BUNDLES / PD_TO_T2.bundle, rows()).read_text()
    assert written.count("data:image/png") == 4
    assert "Not for clinical use" in written
    assert "0.15" in written


def test_tissues_are_found_where_the_atlas_has_them():
    """A CT that is right everywhere is found to be right, and shells of bone are found closed or open."""
    masks = plausibility.tissue_masks(SHAPE, AFFINE)
    ct = np.full(SHAPE, 30, np.float32)
    ct[masks["grey"]], ct[masks["csf"]] = 40, 8
    found = {tissue.name: tissue.median for tissue in plausibility.tissues(ct, masks)}
    assert found == {"white": 30, "grey": 40, "csf": 8}
    assert 5 < masks["csf"].sum() * 8 / 1000 < 50, "ventricles in ml"
    ct[:4], ct[-4:], ct[:, :4], ct[:, -4:] = 1000, 1000, 1000, 1000
    assert plausibility.enclosed(ct, masks["brain"], AFFINE) == 1
    ct[:4] = 30
    assert plausibility.enclosed(ct, masks["brain"], AFFINE) < 0.05


def test_without_scans_it_says_so_and_succeeds(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(real_check, "DATA", tmp_path / "nowhere")
    assert real_check.main([]) == 0
    assert "real-check: skipped, since there are no scans at" in capsys.readouterr().out


def test_without_weights_each_check_says_so(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(real_check, "DATA", tmp_path)
    monkeypatch.setattr(trainings, "BUNDLES", tmp_path / "bundles")
    assert real_check.main([]) == 0
    told = capsys.readouterr().out
    assert told.count("is not there (not shipped; give that of a pretraining by --weights)") == 5
    assert told.count("is not there (not shipped; --pretrain makes it)") == 1


def test_a_setting_of_none_is_typed_null(monkeypatch):
    typed = []

    def ended(words, **_):
        typed.extend(words)
        return subprocess.CompletedProcess(words, 0, "", "")

    monkeypatch.setattr(subprocess, "run", ended)
    trainings.run("training", ["train"], "mr2ct_pix2pix", augmentation=None, seed=0)
    assert typed[-4:] == ["--augmentation", "null", "--seed", "0"]
