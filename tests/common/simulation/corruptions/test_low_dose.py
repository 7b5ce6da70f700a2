"""The size, place, direction and texture of inserted noise, in cylinders of water at 64 x 64 pixels."""

from __future__ import annotations

import numpy as np
import pytest

from common.errors import ConfigError
from common.simulation.corruptions.low_dose import LowDose
from common.simulation.corruptions.projection import MU_WATER

SIDE, PIXEL, VIEWS, DIAMETER = 64, 4.0, 90, 200.0
SPACING = (PIXEL, PIXEL, 5.0)
PLACES = (np.arange(SIDE) - SIDE // 2) * PIXEL
AWAY = np.hypot(PLACES[:, None], PLACES)
CENTRE, RIM = AWAY < 25, (AWAY > 75) & (AWAY < 95)
PHOTONS = 1.0e5


def water(slices: int) -> np.ndarray:
    return np.repeat(np.where(AWAY < DIAMETER / 2, 0.0, -1000.0)[..., None], slices, 2)


def noise(dose: float, volume: np.ndarray, seed: int = 0, **settings) -> np.ndarray:
    chosen = {"photons": PHOTONS, "electronic_noise": 0, "views": VIEWS, **settings}
    return LowDose(dose, **chosen)(volume, SPACING, np.random.default_rng(seed)) - volume


def test_at_full_dose_nothing_changes_and_padding_outside_the_field_of_view_stays():
    volume = np.random.default_rng(0).normal(0, 20, (16, 16, 3)) - 600
    np.testing.assert_array_equal(LowDose(1)(volume, SPACING, np.random.default_rng(0)), volume)
    volume = water(1).astype(np.float32)
    volume[AWAY > 120] = -3024
    found = LowDose(0.1, views=VIEWS)(volume, SPACING, np.random.default_rng(0))
    assert (found[AWAY > 120] == -3024).all()
    assert found.dtype == np.float32


def test_noise_in_the_middle_is_that_of_the_formula():
    """FBP of independent rays: pi^2 / (12 V a^2) times a ray's variance; linear interpolation between rays, whose
    filtered noise has the correlation -6 / pi^2, leaves 2/3 - 2 / pi^2 of it on average over the pixels."""
    found = noise(0.25, water(16), kernel="sharp")[CENTRE]
    of_ray = (1 - 0.25) / (0.25 * PHOTONS * np.exp(-MU_WATER * DIAMETER))
    expected = np.pi**2 / (12 * VIEWS * PIXEL**2) * (2 / 3 - 2 / np.pi**2) * of_ray
    assert found.std() == pytest.approx(1000 / MU_WATER * np.sqrt(expected), rel=0.1)


@pytest.mark.parametrize("electronic_noise", [0.0, 40.0])
def test_a_noisy_scan_at_a_lower_dose_has_the_noise_of_a_scan_at_that_dose(electronic_noise):
    """A ray through the middle has 2100 counts at full dose: electronic noise of 40 adds 0.8 to their relative
    variance of 1 there, and 3 at a quarter of the dose."""
    volume, settings = water(16), {"electronic_noise": electronic_noise}
    full = volume + noise(1.0, volume, seed=1, noiseless=True, **settings)
    lowered = full + noise(0.25, full, seed=2, **settings) - volume
    at_once = noise(0.25, volume, seed=3, noiseless=True, **settings)
    assert lowered[CENTRE].std() == pytest.approx(at_once[CENTRE].std(), rel=0.1)
    assert at_once[CENTRE].std() > 1.5 * (full - volume)[CENTRE].std()


def test_noise_is_higher_in_the_middle_unless_a_bow_tie_evens_it():
    volume = water(12)
    bare, evened = (noise(0.25, volume, bow_tie=bow_tie) for bow_tie in (None, DIAMETER))
    assert bare[CENTRE].std() > 1.3 * bare[RIM].std()
    assert evened[CENTRE].std() == pytest.approx(evened[RIM].std(), rel=0.15)
    assert evened[CENTRE].std() == pytest.approx(bare[CENTRE].std(), rel=0.1)
    # Behind filter and cylinder every ray that both meet has the counts of the middle.
    rays = LowDose(0.25, bow_tie=DIAMETER).filtered(SIDE, PIXEL)
    chords = 2 * np.sqrt(np.maximum((DIAMETER / 2) ** 2 - PLACES**2, 0))
    np.testing.assert_allclose(rays * np.exp(-MU_WATER * chords), np.exp(-MU_WATER * DIAMETER))


@pytest.mark.parametrize("electronic_noise", [0.0, 30.0])
@pytest.mark.parametrize("dose", [0.001, 0.999])
def test_starved_rays_stay_finite(dose, electronic_noise):
    volume = water(2)
    volume[20:44, 28:36] = 8000
    found = volume + noise(dose, volume, photons=1.0e4, electronic_noise=electronic_noise)
    assert np.isfinite(found).all()
    assert found.min() >= -1024


def test_a_slice_has_the_noise_of_its_seed_and_index():
    volume = water(3)
    whole, fewer, other = noise(0.25, volume), noise(0.25, volume[..., :2]), noise(0.25, volume, seed=1)
    np.testing.assert_array_equal(whole[..., :2], fewer)
    assert np.abs(np.corrcoef([whole[..., 0][CENTRE], whole[..., 1][CENTRE], other[..., 0][CENTRE]])).min() < 0.3
    assert not np.array_equal(whole[..., 0], whole[..., 1])
    assert not np.array_equal(whole, other)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"dose": 25}, "--dose is 25, not a fraction of the full dose, above 0 and at most 1: pass a number"),
        ({"dose": 0}, "--dose is 0,"),
        ({"dose": float("nan")}, "--dose is nan,"),
        ({"dose": 0.1, "photons": 0}, "--photons is 0, not above 0"),
        ({"dose": 0.1, "electronic_noise": -1}, "--electronic_noise is -1, not 0 or more photons"),
        ({"dose": 0.1, "bow_tie": 0}, "--bow_tie is 0, not a diameter in mm above 0"),
        ({"dose": 0.1, "kernel": "bone"}, "--kernel is 'bone': choose soft or sharp"),
        ({"dose": 0.1, "views": 0}, "--views is 0, not a whole number above 0"),
        ({"dose": 0.1, "views": 1.5}, "--views is 1.5, not a whole number"),
    ],
)
def test_settings_out_of_range(settings, message):
    with pytest.raises(ConfigError, match=message):
        LowDose(**settings)
