import math

import pytest

from common.simulation.tissues import (
    HOUNSFIELD,
    RELAXATION,
    TISSUES,
    Relaxation,
    spin_echo,
    spoiled_gradient_echo,
)


def test_spoiled_gradient_echo_by_hand():
    # At 90 degrees the steady state is saturation recovery: TR = T1 ln 2 leaves one half, TE = T2* ln 4 one quarter.
    tissue = Relaxation(t1=1000.0, t2=100.0, t2_star=50.0, density=0.8, spread=0.0)
    signal = spoiled_gradient_echo(tissue, tr=1000 * math.log(2), te=50 * math.log(4), flip_degrees=90)
    assert signal == pytest.approx(0.8 * 0.5 * 0.25)


def test_spoiled_gradient_echo_peaks_at_the_ernst_angle():
    tissue = RELAXATION["white"]
    ernst = math.degrees(math.acos(math.exp(-18 / tissue.t1)))
    best, below, above = (spoiled_gradient_echo(tissue, 18, 10, ernst + turn) for turn in (0, -3, 3))
    assert best > below
    assert best > above


def test_spin_echo_by_hand():
    # TR = T1 ln 4 leaves three quarters, TE = T2 ln 2 one half.
    tissue = Relaxation(t1=1000.0, t2=100.0, t2_star=50.0, density=0.8, spread=0.0)
    assert spin_echo(tissue, tr=1000 * math.log(4), te=100 * math.log(2)) == pytest.approx(0.8 * 0.75 * 0.5)


def test_every_tissue_stands_in_every_table():
    assert set(HOUNSFIELD) == set(RELAXATION) > {*TISSUES}


def test_t1_contrast_orders_the_tissues():
    signal = {name: spoiled_gradient_echo(RELAXATION[name], 18, 10, 30) for name in TISSUES}
    order = ("fat", "white", "lesion", "grey", "vessel", "csf", "skull")
    assert sorted(order, key=lambda name: -signal[name]) == list(order)
    assert signal["skull"] < 1e-3 * signal["white"]
    assert signal["sinus"] == signal["background"] == 0
