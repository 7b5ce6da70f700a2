"""Simulated ultrasound follows the physics that is stated, and its scores are those by hand."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from bundle_commands import Bundle, ok
from PIL import Image
from stain_gan.ultrasound import (
    BEAM_DEG,
    DEPTH_MM,
    ECHO_DB,
    LOSS_DB_MM,
    PULSE_MM,
    RANGE_DB,
    DepthGain,
    MeanLevelL1,
    envelope,
    pseudo_b_mode,
    speckle_scores,
    write_vessels,
)

from common.io import VolumeReader

SPACING = 0.02
SIDE = round(DEPTH_MM / SPACING)
DEPTH = (np.arange(SIDE) + 0.5) * SPACING
ADVENTITIA = np.full((SIDE, SIDE), 3)


def shift_correlation(levels: np.ndarray, lag: int, axis: int) -> float:
    """Of the power of neighbours, after the mean over lines at each depth was divided out."""
    power = envelope(levels) ** 2
    power = np.moveaxis(power / power.mean(axis=0), axis, 0) - 1
    return float((power[lag:] * power[:-lag]).mean() / (power**2).mean())


def gaussian_correlation(lag: float, sigma: float) -> float:
    """Of the power of full speckle: the square of that of the field, exp(-lag^2 / 4 sigma^2) for a Gaussian beam."""
    return math.exp(-(lag**2) / (4 * sigma**2)) ** 2


def test_plain_speckle_is_full_and_as_wide_as_the_point_spread_function() -> None:
    shown = pseudo_b_mode(ADVENTITIA, SPACING, np.random.default_rng(0))
    # Rayleigh: the mean of the logarithm lies 2.51 dB below the mean power, which is twice that of the amplitude
    decibels = ECHO_DB[3] + 10 * math.log10(2) - 2.51 - LOSS_DB_MM * DEPTH
    away = slice(20, -20)
    error = shown.mean(axis=0)[away] - (255 * (1 + decibels / RANGE_DB))[away]
    assert abs(error.mean()) < 1
    assert np.abs(error).max() < 8
    flat = envelope(shown - 255 * decibels / RANGE_DB)[:, away]
    assert flat.mean() / flat.std() == pytest.approx(math.sqrt(math.pi / (4 - math.pi)), abs=0.06)
    lines = BEAM_DEG / 360 * SIDE
    for lag, axis, sigma in ((1, 0, lines), (2, 0, lines), (2, 1, PULSE_MM / SPACING), (4, 1, PULSE_MM / SPACING)):
        measured = shift_correlation(shown[:, away], lag, axis)
        assert measured == pytest.approx(gaussian_correlation(lag, sigma), abs=0.05), (lag, axis)


def test_scores_of_equal_pictures_are_zero_and_others_those_by_hand() -> None:
    labels = np.zeros((32, 16), int)
    labels[16:] = 3
    checks = np.indices(labels.shape).sum(axis=0) % 2
    truth = 100.0 + 60 * checks
    source = np.stack([truth, labels * 60.0], axis=-1)[:, :, None]
    same = speckle_scores(truth[..., None], truth[..., None], source)
    one, other = 10 ** ((100 / 255 - 1) * 3), 10 ** ((160 / 255 - 1) * 3)
    assert same == pytest.approx(
        {"level_error": 0, "js": 0, "snr": (one + other) / (other - one), "snr_error": 0, "grain_error": 0}, abs=1e-9
    )
    pred = truth.copy()
    pred[16:] = 40.0 + 60 * (np.arange(16) % 2)  # stripes along the first axis
    made = speckle_scores(pred[..., None], truth[..., None], source)
    # 60 levels and one half of the distributions apart in one of two tissues
    assert made["level_error"] == pytest.approx(30)
    assert made["js"] == pytest.approx(0.25)
    assert made["snr_error"] == pytest.approx(0, abs=1e-9)  # the same ratio of amplitudes
    # neighbours of a checkerboard: -1 and -1; of stripes: 1 and -1
    assert made["grain_error"] == pytest.approx((2 + 0) / 2 / 2)


def test_tissues_finer_than_a_block_have_no_speckle_to_compare() -> None:
    levels, labels = np.full((16, 16), 90.0), np.indices((16, 16)).sum(axis=0) % 2
    source = np.stack([levels, labels * 60.0], axis=-1)[:, :, None]
    found = speckle_scores(levels[..., None] + 10, levels[..., None], source)
    assert (found["level_error"], found["js"]) == (10, pytest.approx(1))
    assert np.isnan([found["snr"], found["snr_error"], found["grain_error"]]).all()


def test_the_loss_sees_levels_and_no_grain() -> None:
    checks = torch.from_numpy(np.indices((16, 16)).sum(axis=0) % 2).float()[None, None]
    assert MeanLevelL1(8)(checks, 1 - checks).item() == pytest.approx(0)
    assert MeanLevelL1(1)(checks, 1 - checks).item() == pytest.approx(1)
    assert MeanLevelL1(8)(checks, checks + 0.25).item() == pytest.approx(0.25)


def test_gain_by_depth_is_that_of_the_training_in_ras(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    ramp = 2 * np.arange(20)
    items = []
    for case in range(2):
        source = rng.integers(60, 120, (30, 20))
        item = {"case": str(case)}
        for key, values in (("image", source), ("label", source + ramp)):
            item[key] = str(tmp_path / f"{case}_{key}.png")
            Image.fromarray(values.swapaxes(0, 1).astype(np.uint8)).save(item[key])
        items.append(item)
    gain = DepthGain({"training": items}, VolumeReader(pictures=True))
    seen = np.zeros((30, 20, 1, 2))
    seen[..., 0] = 50
    assert gain(seen)[::-1, ::-1, 0] == pytest.approx(np.broadcast_to(50 + ramp, (30, 20)))  # RAS turns both axes


def test_two_stages_train_and_are_scored_by_their_speckle(tmp_path: Path) -> None:
    stain, data, out = Bundle("stain_gan"), tmp_path / "data", tmp_path / "out"
    write_vessels(data, cases=4, spacing=0.08)
    settings = {"dataset_dir": data, "output_dir": out, "width": 4, "pad_size": 64, "crop_size": 64, "batch_size": 2}
    short = {"max_epochs": 1, "constant_epochs": 1, "decay_epochs": 0, "val_interval": 1}
    done = ok(stain.run("training", ["train", "demo", "ultrasound"], **settings, **short))
    assert "stage 2 of 2 starts" in done.stderr + done.stdout
    weights = torch.load(out / "models" / "model.pt", weights_only=True)
    assert int(weights["in_use"]) == 2
    ok(stain.run("evaluating", ["train", "demo", "evaluate", "ultrasound"], **settings))
    rows = json.loads((out / "evaluation" / "summary.json").read_text())
    assert set(rows) == {"model", "copy_input", "depth_gain"}
    names = {"mae", "level_error", "js", "snr", "snr_error", "grain_error"}
    assert all(names <= row.keys() for row in rows.values())
    assert rows["depth_gain"]["snr_error"]["mean"] < rows["model"]["snr_error"]["mean"] + 10
