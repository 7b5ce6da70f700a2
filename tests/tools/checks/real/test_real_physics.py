"""Physics of the test heads: pulse by pulse against closed forms, k-space without loss, tissues of labels."""

from __future__ import annotations

import numpy as np
import pytest

from tools.checks.real import physics
from tools.checks.real.physics import COILS, NAMES, NOISE, TISSUES, Tissue, echo, fast_spin_echo, mixed, mprage, scanned

WATER = Tissue(900.0, 80.0, 1.0, 0.0)


def test_refocusing_by_180_degrees_decays_with_t2():
    np.testing.assert_allclose(fast_spin_echo(WATER, 1.0, 4, 180), np.exp(-10 * np.arange(1, 5) / 80), rtol=1e-12)


def test_weaker_refocusing_loses_the_first_echo_by_its_sine_squared():
    """The first echo of a CPMG train is sin^2(a / 2) of that by 180 degrees; later ones gain from stimulated echoes."""
    first, second = fast_spin_echo(WATER, 1.0, 2, 120)
    assert first == pytest.approx(np.sin(np.pi / 3) ** 2 * np.exp(-10 / 80))
    assert second > np.sin(np.pi / 3) ** 4 * np.exp(-20 / 80)


def test_small_angles_of_mprage_read_an_inversion_recovery():
    """Pulses of almost no angle change nothing: ``1 - (1 + 0.96 M) exp(-TI / T1)``, M from one cycle to the next."""
    flip = 0.01
    start = 1.0
    for _ in range(50):
        start = 1 - (1 + 0.96 * start) * np.exp(-2300 / 900)
    wanted = abs(1 - (1 + 0.96 * start) * np.exp(-900 / 900)) * np.sin(np.radians(flip)) * np.exp(-3 / 80)
    assert mprage(WATER, flip=flip) == pytest.approx(wanted, rel=1e-4)


def test_an_inversion_nulls_its_tissue():
    """At ``T1 ln(2 - exp(-(TR - train - TI) / T1))``, as longitudinal magnetisation starts from 0 after a train."""
    fluid = TISSUES["fluid"]
    null = 2500.0
    for _ in range(50):
        null = fluid.t1 * np.log(2 - np.exp(-(9000 - 200 - null) / fluid.t1))
    assert echo(fluid, 9000, 12, 20, inversion=null) < 1e-6
    assert echo(TISSUES["grey"], 9000, 12, 20, inversion=null) > 0.1


def test_full_kspace_gives_the_signal_and_the_noise_of_its_coils(monkeypatch):
    """Without bias the profiles' squares sum to 1; in air a root of 2 n squares of noise has mean sqrt(2 n) about."""
    monkeypatch.setattr(physics, "LEFT_OF_BIAS", 0.0)
    signal = np.zeros((40, 40, 4), np.float32)
    signal[10:30, 10:30] = 100
    image = scanned(signal, 1.0, np.random.default_rng(0))
    assert image[10:30, 10:30].mean() == pytest.approx(100, rel=0.01)
    assert image[:8].mean() == pytest.approx(100 * NOISE * np.sqrt(2 * COILS), rel=0.03)


def test_truncation_rings_by_nine_percent(monkeypatch):
    monkeypatch.setattr(physics, "LEFT_OF_BIAS", 0.0)
    monkeypatch.setattr(physics, "NOISE", 0.0)
    signal = np.zeros((128, 16, 1), np.float32)
    signal[32:96] = 1
    assert scanned(signal, 0.25, np.random.default_rng(0)).max() == pytest.approx(1.09, abs=0.02)


def test_labels_become_tissues_and_soft_tissue_fat_under_the_skin():
    labels = np.zeros((40, 40, 40), np.int32)
    labels[4:36, 4:36, 4:36] = 511
    labels[6:34, 6:34, 6:34] = 507
    labels[16:24, 16:24, 16:24] = 2
    codes = physics.tissues_of(labels, np.random.default_rng(0))
    named = np.array(NAMES)[codes]
    assert (named[0, 0, 0], named[4, 20, 20], named[20, 20, 20]) == ("air", "skin", "white")
    assert (named[6, 10:30, 10:30] == "fat").all()
    assert 0.5 < (named[13:15, 13:27, 13:27] == "muscle").mean() < 0.95
    white = mixed(codes, np.array([name == "white" for name in NAMES]))
    assert white[20, 20, 20] == 1
    assert white.sum() == pytest.approx(8**3)
