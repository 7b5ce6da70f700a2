"""Simulated pictures follow the physics that is stated, and classical answers find what was put in."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from stain_gan.cells import BACKGROUND, SHEAR_UM, dic, phase_contrast
from stain_gan.classical import LinearShading, Macenko, Reinhard, concentrations, density, stains_of
from stain_gan.phantoms import EOSIN, HEMATOXYLIN, NOISE, stained

from common.errors import DataError
from common.io import VolumeReader

READER = VolumeReader(pictures=True)
STAINS = np.array([HEMATOXYLIN, EOSIN])


def two_stains(seed: int, gain: float = 1.0) -> np.ndarray:
    """Levels (40, 40, 1, 3) of pixels of pure hematoxylin, of pure eosin, and of both."""
    rng = np.random.default_rng(seed)
    amounts = rng.uniform(0.4, 1.2, (1600, 2))
    amounts[:400, 0] = amounts[400:800, 1] = 0
    light = 256 * np.exp(-gain * amounts @ STAINS) - 1
    return light.reshape(40, 40, 1, 3)


def training(tmp_path: Path, **pictures: np.ndarray) -> dict[str, list[dict[str, str]]]:
    """Cases by section: one, of pictures (X, Y) or (X, Y, 3) in levels by their key."""
    item = {"case": "a"}
    for key, values in pictures.items():
        item[key] = str(tmp_path / f"{key}.png")
        Image.fromarray(np.rint(values.swapaxes(0, 1)).astype(np.uint8)).save(item[key])
    return {"training": [item]}


def test_light_through_stains_follows_beer_and_lambert() -> None:
    rng = np.random.default_rng(0)
    amounts = np.zeros((2, 100, 100))
    amounts[0], amounts[1] = 0.5, 0.2
    light = stained(amounts, STAINS, rng)
    expected = [255 * math.exp(-0.5 * STAINS[0][k] - 0.2 * STAINS[1][k]) for k in range(3)]
    assert light.mean(axis=(0, 1)) == pytest.approx(expected, abs=5 * NOISE / 100)
    assert light.std() > 0
    assert stained(np.zeros((2, 50, 50)), STAINS, rng).max() == 255


def test_dic_shows_the_slope_of_the_phase_along_the_shear() -> None:
    x, y = np.meshgrid(np.arange(60) * 0.5, np.arange(60) * 0.5, indexing="ij")
    shown = dic(0.1 * x + 0.05 * y, 0.5)[10:-10, 10:-10]
    # the beams are SHEAR_UM apart along each axis
    assert shown == pytest.approx(255 * math.sin((0.15 * SHEAR_UM + math.pi / 2) / 2) ** 2)
    assert dic(np.zeros((9, 9)), 0.5) == pytest.approx(127.5)


def test_phase_contrast_is_even_without_a_cell_and_dark_in_one_with_a_bright_halo() -> None:
    assert phase_contrast(np.zeros((40, 40)), 0.5) == pytest.approx(BACKGROUND)
    assert phase_contrast(np.full((40, 40), 0.7), 0.5) == pytest.approx(BACKGROUND)  # a constant phase is not seen
    phase = np.zeros((128, 128))
    phase[56:72, 56:72] = 0.5
    shown = phase_contrast(phase, 0.5)
    assert shown[64, 64] < 0.6 * BACKGROUND
    assert shown[64, 75] > 1.05 * BACKGROUND
    assert shown[64, 5] == pytest.approx(BACKGROUND, rel=0.01)


def test_macenko_finds_the_stains_and_their_amounts() -> None:
    pixels = two_stains(0).reshape(-1, 3)
    found = stains_of(pixels)
    assert found is not None
    unit = STAINS / np.linalg.norm(STAINS, axis=1, keepdims=True)
    assert np.abs(found - unit).max() < 0.02
    assert np.linalg.lstsq(found.T, density(pixels).T)[0].T @ found == pytest.approx(density(pixels), abs=1e-6)
    assert concentrations(pixels, found).min() >= 0
    assert stains_of(np.full((50, 3), 250.0)) is None  # glass
    assert stains_of(np.repeat(np.linspace(20, 120, 50)[:, None], 3, axis=1)) is None  # grey


def test_a_weaker_stain_of_the_same_tissue_becomes_the_target(tmp_path: Path) -> None:
    target, weaker = two_stains(0), two_stains(0, gain=0.6)
    macenko = Macenko(training(tmp_path, image=weaker[:, :, 0], label=target[:, :, 0]), READER)
    assert np.abs(weaker - target).mean() > 25
    assert np.abs(macenko(weaker) - target).mean() < 2
    assert macenko(np.full((8, 8, 1, 3), 250.0)) == pytest.approx(250)


def test_reinhard_gives_the_mean_and_deviation_of_the_target_and_leaves_it_alone(tmp_path: Path) -> None:
    target = np.rint(two_stains(1))
    reinhard = Reinhard(training(tmp_path, image=target[:, :, 0], label=target[:, :, 0]), READER)
    assert np.abs(reinhard(target) - target).max() < 0.5
    grey = np.linspace(60, 200, 1600).reshape(40, 40, 1)
    coloured = reinhard(grey)
    assert coloured.shape == (40, 40, 1, 3)
    assert coloured.mean(axis=(0, 1, 2)) == pytest.approx(target.mean(axis=(0, 1, 2)), abs=12)


def test_targets_without_colour_are_named(tmp_path: Path) -> None:
    grey = np.full((8, 8), 9.0)
    with pytest.raises(DataError, match="no training case has a target in colour: give RGB pictures"):
        Reinhard(training(tmp_path, image=grey, label=grey), READER)(np.zeros((8, 8, 1, 3)))
    glass = np.full((8, 8, 3), 250.0)
    with pytest.raises(DataError, match="the targets have not two stains"):
        Macenko(training(tmp_path, image=glass, label=glass), READER)(np.zeros((8, 8, 1, 3)))


def test_linear_shading_finds_a_derivative_in_ras(tmp_path: Path) -> None:
    x, y = np.meshgrid(np.arange(50), np.arange(50), indexing="ij")
    source = np.rint(120 + 80 * np.sin(x / 6) * np.cos(y / 9))
    slope = np.gradient(source, axis=0)
    shading = LinearShading(training(tmp_path, image=source, label=128 - 5 * slope), READER)
    made = shading(source[::-1, ::-1, None])[::-1, ::-1, 0]  # RAS turns both axes of a picture
    assert np.abs(made - (128 - 5 * slope))[3:-3, 3:-3].mean() < 3
