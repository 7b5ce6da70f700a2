"""The study of lesions on synthetic FLAIR: its arithmetic, its segmenter on a bright ball, and the files it reads."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from tools.real import __main__ as real_check
from tools.real import flair, lesions


def brain(seed: int, centre: tuple[int, int, int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """FLAIR, T1 (a ball in air) and lesions (24, 24, 24): a bright ball of 3 voxels, which the T1 does not show."""
    places = np.indices((24, 24, 24))
    inside = ((places - 12) ** 2).sum(axis=0) < 100
    lesion = ((places - np.reshape(centre, (3, 1, 1, 1))) ** 2).sum(axis=0) < 9
    noise = np.random.default_rng(seed).normal(size=inside.shape)
    t1 = np.where(inside, 100 + noise, 0).astype(np.float32)
    return np.where(inside, 50 + 5 * noise + 60 * lesion, 0).astype(np.float32), t1, lesion


def test_overlap_of_masks_written_out():
    predicted, real = np.array([1, 1, 1, 0, 0, 0], bool), np.array([0, 0, 1, 1, 0, 0], bool)
    assert lesions.overlap(predicted, real) == pytest.approx({"dice": 2 / 5, "precision": 1 / 3, "recall": 1 / 2})
    nothing = lesions.overlap(np.zeros(6, bool), real)
    assert (nothing["dice"], nothing["recall"]) == (0, 0)
    assert math.isnan(nothing["precision"])


def test_the_fitted_sum_has_the_weights_that_made_the_target():
    rng = np.random.default_rng(0)
    sources = [[rng.normal(size=(4, 5, 6)) for _ in range(2)] for _ in range(2)]
    masks = [rng.random((4, 5, 6)) > 0.5 for _ in range(2)]
    targets = [np.where(mask, 2 * t1 - 0.5 * t2 + 3, 99) for (t1, t2), mask in zip(sources, masks, strict=True)]
    assert flair.plane_of(sources, targets, masks) == pytest.approx([2, -0.5, 3])


def test_half_of_the_drawn_slices_are_rich_in_lesions():
    items = [lesions._item(*brain(0, (12, 12, 12)))]
    dataset = lesions.training_slices(items, 0)
    rich = [(items[0]["label"][0, :, :, place] > 0).sum() >= lesions.LEAST_LESION for _, place in dataset.slices]
    assert 0 < sum(rich) < len(rich) / 2
    drawn = lesions.draws(dataset, items, 2000, 0)
    assert np.mean([bool(rich[index]) for _, index in drawn]) == pytest.approx(0.5, abs=0.05)
    assert [number for number, _ in drawn] == list(range(2000))


def test_the_segmenter_finds_a_bright_ball_elsewhere_in_another_scale(monkeypatch):
    monkeypatch.setattr(lesions, "SIDE", 32)
    monkeypatch.setattr(lesions, "FEATURES", (8, 8, 8, 8, 8, 8))
    monkeypatch.setattr(lesions, "RATE", 1e-2)
    network = lesions.trained([brain(0, (12, 12, 12)), brain(1, (9, 14, 12))], steps=40)
    image, t1, truth = brain(2, (14, 10, 13))
    assert lesions.overlap(lesions.segmented(network, 1000 + 7 * image, t1), truth)["dice"] > 0.7
    again = lesions.trained([brain(0, (12, 12, 12)), brain(1, (9, 14, 12))], steps=1)
    once = lesions.trained([brain(0, (12, 12, 12)), brain(1, (9, 14, 12))], steps=1)
    for one, other in zip(once.parameters(), again.parameters(), strict=True):
        assert torch.equal(one, other)


def test_the_table_has_each_patient_and_the_mean_of_each_image():
    rows = [
        {"case": case, "row": flair.REAL, "dice": value, "agreement": 1.0} for case, value in (("a", 0.5), ("b", 0.75))
    ]
    lines = [line.split() for line in flair.table(rows).splitlines()]
    assert ["a", "real", "FLAIR", "0.500", "1.0"] in lines
    assert ["mean", "real", "FLAIR", "0.625", "1.0"] in lines


@pytest.mark.parametrize("arguments", [[], ["--steps", "0"]])
def test_without_patients_or_steps_it_is_skipped(arguments, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(real_check, "DATA", tmp_path)
    if arguments:
        (tmp_path / "open_ms" / "patient01").mkdir(parents=True)
    assert real_check.main(["--only", "flair", *arguments]) == 0
    reason = "it trains its own networks" if arguments else f"{tmp_path} has no open_ms"
    assert f"flair: skipped, since {reason}" in capsys.readouterr().out


@pytest.mark.real
@pytest.mark.skipif(not (real_check.DATA / "open_ms").is_dir(), reason="no scans")
def test_the_patients_have_the_voxels_of_lesions_that_are_known():
    found = flair.patients(real_check.DATA / "open_ms")
    counts = {patient.case: int((flair.read(patient.lesions) > 0).sum()) for patient in found}
    assert counts == {"patient07": 1300, "patient19": 49769, "patient26": 8227}
