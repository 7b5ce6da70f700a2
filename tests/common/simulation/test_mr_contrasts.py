import numpy as np
import pytest

from common.simulation.mr_contrasts import FLAIR, PD, T1, T2, T2_STAR, MixedContrast, any_contrast, weightings
from common.simulation.physics import AnyEcho, InvertedEcho, SpinEcho, SpoiledEcho, Tissues
from common.simulation.tissues import RELAXATION


def test_sequences_have_the_weighting_that_their_times_give():
    assert weightings(AnyEcho([SpoiledEcho(), InvertedEcho()])) == ["T1"]
    assert weightings(SpinEcho(tr_ms=[400, 700], te_ms=[8, 20])) == ["T1"]
    assert weightings(SpinEcho()) == ["PD"]
    assert weightings(SpinEcho(te_ms=[85, 115])) == ["T2"]
    assert weightings(SpinEcho(te_ms=[10, 110])) == ["PD", "T2"]
    assert weightings(InvertedEcho(tr_ms=[9000, 9000], ti_ms=[1780, 1780], te_ms=[120, 120])) == ["FLAIR"]
    assert weightings(T2_STAR) == ["PD"], "what it looks like"


def test_a_choice_has_the_weightings_of_what_can_be_chosen_however_rare():
    assert weightings(AnyEcho([T2, T1, PD], [0.98, 0.01, 0.01])) == ["T1", "PD", "T2"]
    assert weightings(AnyEcho([T2, T1, AnyEcho([FLAIR, PD], [1, 0])], [1, 0, 1])) == ["T2", "FLAIR"]
    assert weightings(any_contrast()) == ["T1", "PD", "T2", "FLAIR"]
    assert weightings(any_contrast(t1=1, pd=0, t2=0, flair=0, t2_star=0, mixed=0)) == ["T1"]


def test_any_contrast_draws_each_as_often_as_its_weight_says():
    """Of ten in all, the 2 of T2 lie behind the 4 of T1 and the 1 of PD: from 0.5 to 0.7."""
    chosen = any_contrast(t1=4, pd=1, t2=2, flair=1, t2_star=1, mixed=1)
    assert chosen.signals(RELAXATION, (0.6, 0.3)) == pytest.approx(T2.signals(RELAXATION, (0.5, 0.3)))
    assert chosen.signals(RELAXATION, (0.75, 0.3)) == pytest.approx(FLAIR.signals(RELAXATION, (0.5, 0.3)))
    assert chosen.signals(RELAXATION, (0.85, 0.3)) == pytest.approx(T2_STAR.signals(RELAXATION, (0.5, 0.3)))


@pytest.fixture(scope="module")
def mixtures():
    """Signals of 400 mixtures, each of another person."""
    seen = []
    for seed in range(400):
        rng = np.random.default_rng(seed)
        seen.append(MixedContrast().signals(Tissues().draw(rng), (rng.random(), rng.random())))
    return seen


def test_mixtures_keep_air_and_compact_bone_dark_and_the_brightest_at_one(mixtures):
    for signals in mixtures:
        assert signals["background"] == signals["sinus"] == 0
        assert signals["skull"] < 0.02
        assert max(signals.values()) == pytest.approx(1)
        assert min(signals.values()) >= 0


def test_mixtures_have_every_order_of_fluid_grey_and_white(mixtures):
    """Each of the six orders in more than one of 40."""
    orders = [tuple(sorted(("csf", "grey", "white"), key=signals.get)) for signals in mixtures]
    assert sorted(orders.count(order) > 10 for order in set(orders)) == [True] * 6


def test_random_levels_alone_stay_below_the_protons_left_at_the_earliest_echo():
    """Of 0.86 and T2 83 ms after 5 ms: 0.86 exp(-5 / 83) = 0.8097; relative to fluid, exp(-5 / 329) = 0.9849."""
    signals = MixedContrast(random_share=(1, 1), levels=(1, 1)).signals(RELAXATION, (0.2, 0.4))
    assert signals["grey"] / signals["csf"] == pytest.approx(0.8097 / 0.9849, rel=1e-3)
    one, again, other = (MixedContrast().signals(RELAXATION, (0.3, place)) for place in (0.6, 0.6, 0.61))
    assert one == again != other
