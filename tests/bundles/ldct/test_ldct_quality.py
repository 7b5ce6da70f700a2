"""Noise power, transfer, edges and contrast against their known values."""

from __future__ import annotations

import numpy as np
import pytest
from ldct_wgan_vgg.quality import (
    half_frequency,
    noise_scores,
    slice_edges,
    spectra,
    transfer_scores,
)
from scipy.ndimage import gaussian_filter

SHAPE = (128, 128, 6)
SIGMA_MM, MTF50 = 2.0, np.sqrt(2 * np.log(2)) / (2 * np.pi * 2.0)
"""Of a Gaussian, exp(-2 pi^2 sigma^2 f^2) = 1/2."""
INSIDE = np.ones(SHAPE, dtype=bool)


def white(seed: int = 0, sigma: float = 10.0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, sigma, SHAPE)


def blurred(volume: np.ndarray) -> np.ndarray:
    return gaussian_filter(volume, (SIGMA_MM, SIGMA_MM, 0), mode="wrap")


def test_white_noise_has_an_even_spectrum_of_its_variance():
    frequencies, powers = spectra(white(), white(), INSIDE, np.diag([0.5, 0.5, 3, 1]))
    assert frequencies[-1] == pytest.approx(1.0, rel=0.03)  # Nyquist of 0.5 mm
    assert powers[6:] == pytest.approx(100 * 0.5 * 0.5, rel=0.2)  # rings of fewer directions vary more
    found = noise_scores(white(), np.zeros(SHAPE), INSIDE, np.diag([0.5, 0.5, 3, 1]))
    assert found["noise_hu"] == pytest.approx(10, rel=0.02)
    assert found["nps_mean_frequency"] == pytest.approx(0.5, rel=0.05)


def test_filtered_noise_has_the_mean_frequency_of_its_filter():
    """NPS = exp(-4 pi^2 s^2 f^2), at multiples of 1 / 48 mm; the offset is no noise."""
    found = noise_scores(blurred(white()) + 25, np.zeros(SHAPE), INSIDE, np.eye(4))
    frequencies = np.arange(1, 25) / 48
    power = np.exp(-4 * (np.pi * SIGMA_MM * frequencies) ** 2)
    assert found["nps_mean_frequency"] == pytest.approx(np.average(frequencies, weights=power), rel=0.05)
    assert found["noise_hu"] == pytest.approx(10 / (2 * np.sqrt(np.pi) * SIGMA_MM), rel=0.05)


def test_noise_is_that_of_soft_tissue():
    truth = np.zeros(SHAPE)
    truth[:64] = -800
    noisy = np.where(truth == 0, white(), white(sigma=100))
    assert noise_scores(truth + noisy, truth, INSIDE, np.eye(4))["noise_hu"] == pytest.approx(10, rel=0.02)
    lung = noise_scores(truth + noisy, truth, truth < 0, np.eye(4))
    assert np.isnan(lung["noise_hu"])
    assert noise_scores(truth, truth, INSIDE, np.eye(4), unit="z") == {}


def test_a_blur_of_two_mm_halves_the_transfer_at_its_frequency():
    truth = white(sigma=50)
    found = transfer_scores(blurred(truth), truth, INSIDE, np.eye(4))["mtf50"]
    assert found == pytest.approx(MTF50, rel=0.1)
    noisy = transfer_scores(blurred(truth) + white(1, 50), truth, INSIDE, np.eye(4))["mtf50"]
    assert noisy == pytest.approx(found, rel=0.1)
    assert transfer_scores(truth, truth, INSIDE, np.eye(4))["mtf50"] == pytest.approx(0.5, rel=0.03)


def test_axial_slices_are_found_whatever_the_axes():
    truth = white()
    affine = np.diag([1.0, 1, 3, 1])
    turned = affine[:, [2, 0, 1, 3]] * [-1, 1, 1, 1]
    one = transfer_scores(blurred(truth), truth, INSIDE, affine)
    other = transfer_scores(*(np.moveaxis(each, 2, 0) for each in (blurred(truth), truth, INSIDE)), turned)
    assert other == pytest.approx(one)


def test_patches_lie_within_the_mask():
    small = INSIDE.copy()
    small[::40] = False
    assert np.isnan(transfer_scores(white(), white(), small, np.eye(4))["mtf50"])
    assert np.isnan(noise_scores(white(), white(1), small, np.eye(4))["nps_mean_frequency"])
    half = INSIDE.copy()
    half[64:] = False
    spoilt = np.where(half, white(), 1e6)
    assert spectra(spoilt, spoilt, half, np.eye(4))[1][3:] == pytest.approx(100, rel=0.3)


def test_half_frequency_by_hand():
    frequencies = np.array([0.1, 0.2, 0.3])
    assert half_frequency(frequencies, np.array([0.9, 0.7, 0.3])) == pytest.approx(0.25)
    assert half_frequency(frequencies, np.array([0.25, 0.1, 0.0])) == pytest.approx(0.1 * 0.5 / 0.75)
    assert half_frequency(frequencies, np.array([0.9, 0.8, 0.7])) == 0.3


def stairs(rise: list[float]) -> np.ndarray:
    """Slices 1.5 mm apart, from -800 HU up to 200 HU by shares of it, and down again farther up, (2, 2, 40)."""
    share = np.cumsum(np.pad(rise, (8, 12 - len(rise))))
    return np.tile(1000 * np.concatenate([share, share[::-1]]) - 800, (2, 2, 1))


@pytest.mark.parametrize(
    ("rise", "width"),
    [([1.0], 1.0), ([0.25, 0.5, 0.25], 2.0), ([0.2] * 5, 5.0), ([0.1, 0.2, 0.4, 0.2, 0.1], 2.0)],
)
def test_the_width_of_an_edge_is_where_its_line_spread_falls_to_a_half(rise, width):
    sharp, soft = stairs([0, 0, 1.0, 0, 0]), stairs([0] * (2 - len(rise) // 2) + rise)
    inside, affine = np.ones(sharp.shape, dtype=bool), np.diag([1, 1, 1.5, 1])
    assert slice_edges(soft, sharp, inside, affine)["edge_across_mm"] == pytest.approx(1.5 * width)
    turned = np.moveaxis([sharp, soft, inside], 3, 1)
    swapped = affine[:, [2, 0, 1, 3]]
    assert slice_edges(turned[1], turned[0], turned[2], swapped)["edge_across_mm"] == pytest.approx(1.5 * width)


def test_edges_are_those_of_300_hu_inside_the_mask():
    sharp = stairs([0, 0, 1.0])
    inside = np.ones(sharp.shape, dtype=bool)
    affine = np.diag([1, 1, 1.5, 1])
    outside = inside & (np.arange(40) < 5)
    assert np.isnan(slice_edges(sharp, sharp, outside, affine)["edge_across_mm"])
    assert np.isnan(slice_edges(sharp, 0.29 * sharp, inside, affine)["edge_across_mm"])
    assert slice_edges(0 * sharp, sharp, inside, affine)["edge_across_mm"] == np.inf  # the truth has edges
    assert slice_edges(sharp, sharp, inside, affine, unit="a.u.") == {}
