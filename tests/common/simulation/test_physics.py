import math

import numpy as np
import pytest

from common.errors import ConfigError
from common.simulation.physics import (
    AnyEcho,
    InvertedEcho,
    NulledFluid,
    SpinEcho,
    SpoiledEcho,
    T2StarEcho,
    Tissues,
    at_three_tesla,
    enhanced,
)
from common.simulation.tissues import RELAXATION, Relaxation, spoiled_gradient_echo

WATER = Relaxation(t1=1000.0, t2=100.0, t2_star=50.0, density=0.8, spread=0.1)


def test_spin_echo_by_its_equation():
    sequence = SpinEcho(tr_ms=[1000, 3000], te_ms=[20, 100])
    assert sequence.signals({"a": WATER}, (0.5, 0.0))["a"] == pytest.approx(0.8 * (1 - math.exp(-2)) * math.exp(-0.2))


def test_spoiled_echo_at_ninety_degrees_is_saturation_recovery():
    sequence = SpoiledEcho(tr_ms=[500, 500], te_ms=[5, 5], flip_degrees=[90, 90])
    assert sequence.signals({"a": WATER}, (0.3, 0.3))["a"] == pytest.approx(0.8 * (1 - math.exp(-0.5)) * math.exp(-0.1))


def test_spoiled_gradient_echo_peaks_at_the_ernst_angle():
    tissue = RELAXATION["white"]
    ernst = math.degrees(math.acos(math.exp(-18 / tissue.t1)))
    best, below, above = (spoiled_gradient_echo(tissue, 18, 10, ernst + turn) for turn in (0, -3, 3))
    assert best > below
    assert best > above


def test_inverted_echo_by_its_equation():
    sequence = InvertedEcho(tr_ms=[2000, 3000], ti_ms=[500, 900], te_ms=[10, 20])
    seen = sequence.signals({"a": WATER}, (0.0, 0.5))["a"]
    assert seen == pytest.approx(0.8 * abs(1 - 2 * math.exp(-0.7) + math.exp(-2)) * math.exp(-0.2))
    # nulled at TI = T1 ln 2 where TR is long; a magnitude has no sign
    for ti, signal in ((693.147, 0), (0.0, 0.8)):
        sequence = InvertedEcho(tr_ms=[1.0e6] * 2, ti_ms=[ti] * 2, te_ms=[0, 0])
        assert sequence.signals({"a": WATER}, (0, 0))["a"] == pytest.approx(signal, abs=1e-6)


def test_the_first_place_chooses_one_of_several_sequences_by_its_share():
    """Shares 0, 3/4, 0, 1/4: 0.375 is the middle of the second, 0.875 of the fourth."""
    first, second = SpinEcho(tr_ms=[1000, 3000], te_ms=[20, 20]), SpoiledEcho()
    either, weighted = AnyEcho([first, second]), AnyEcho([second, first, first, second], [0, 6, 0, 2])
    for choice, place, sequence, own in (
        (either, 0.25, first, 0.5), (either, 0.75, second, 0.5), (either, 1.0, second, 0.0),
        (weighted, 0.375, first, 0.5), (weighted, 0.875, second, 0.5), (weighted, 0.0, first, 0.0),
    ):  # fmt: skip
        assert choice.signals({"a": WATER}, (place, 0.3)) == sequence.signals({"a": WATER}, (own, 0.3))
    for weights in ([1], [1, -1], [0, 0]):
        with pytest.raises(ConfigError, match=r"weights of 2 sequences are \[.*\]: give each a number of 0 or more"):
            AnyEcho([first, second], weights)


def test_fluid_vanishes_at_its_null():
    """TI = 4300 ln(2 / (1 + exp(-9000 / 4300))) = 2480 ms; 5% earlier 3.3% of fluid is left, before T2."""
    at, before = (
        NulledFluid((9000, 9000), (100, 100), (null, null)).signals(RELAXATION, (0.5, 0.5))["csf"]
        for null in (1.0, 0.95)
    )
    assert at == pytest.approx(0, abs=1e-9)
    inversion = 0.95 * 4300 * math.log(2 / (1 + math.exp(-9000 / 4300)))
    left = 2 * math.exp(-inversion / 4300) - 1 - math.exp(-9000 / 4300)
    assert left == pytest.approx(0.0329, abs=0.0001)
    assert before == pytest.approx(left * math.exp(-100 / 329))


def test_flair_has_dark_fluid_and_grey_matter_no_darker_than_white_and_t2_star_the_order_of_its_table():
    """At 1.5 T with the values of the table: T2* of haematoma 20, pallidum 38, striatum 54, grey 69 ms."""
    order = ("haematoma", "pallidum", "striatum", "grey", "csf")
    for place in np.linspace(0, 1, 11):
        signals = NulledFluid().signals(RELAXATION, (place, 1 - place))
        assert signals["csf"] < 0.25 * signals["white"]
        assert signals["grey"] > 1.2 * signals["white"]
        assert signals["lesion"] > 1.5 * signals["grey"]
        signals = T2StarEcho().signals(RELAXATION, (place, place))
        assert sorted(order, key=signals.get) == list(order)
        assert signals["csf"] > 1.1 * signals["white"]


def test_t2_star_echo_by_its_equation_and_with_fluid_of_its_own_t2_star():
    """At 90 degrees it is saturation recovery; fluid decays with 180 ms."""
    sequence = T2StarEcho(tr_ms=[500, 500], te_ms=[30, 30], flip_degrees=[90, 90])
    signals = sequence.signals({"a": WATER, "csf": RELAXATION["csf"]}, (0.3, 0.3))
    assert signals["a"] == pytest.approx(0.8 * (1 - math.exp(-0.5)) * math.exp(-0.6))
    assert signals["csf"] == pytest.approx((1 - math.exp(-500 / 2569)) * math.exp(-30 / 180))


def test_without_spread_a_person_has_the_values_of_the_table():
    still = Tissues(
        field_tesla=[1.5], spread=0, outside_spread=0, fat_t2_factor=[1, 1], fat_suppression=0, flow_void=[1, 1]
    )
    assert still.draw(np.random.default_rng(0)) == RELAXATION


def test_at_3_tesla_white_and_grey_relax_more_slowly():
    still = Tissues(field_tesla=[3.0], spread=0, outside_spread=0)
    person = still.draw(np.random.default_rng(0))
    assert person["white"].t1 == pytest.approx(500 * 1.23)
    assert person["grey"].t1 == pytest.approx(833 * 1.62)
    assert person["csf"].t1 == 2569.0
    assert person["white"].t2_star == pytest.approx(61 * 0.8)
    with pytest.raises(ConfigError, match=r"field_tesla is \[7\], not of 1.5 and 3: list 1.5, 3 or both"):
        Tissues(field_tesla=[7])


def test_times_at_3_tesla_are_those_measured_over_those_at_1_5() -> None:
    given = {
        "grey": Relaxation(1000.0, 100.0, 50.0, 0.8, 0.05),
        "white": Relaxation(600.0, 80.0, 79.0, 0.7, 0.05),
        "csf": Relaxation(2500.0, 300.0, 100.0, 1.0, 0.05),
        "marrow": Relaxation(300.0, 100.0, 99.0, 0.9, 0.1),
    }
    capped = given["marrow"]._replace(t2_star=110.0)
    assert at_three_tesla({"marrow": capped})["marrow"].t2_star == 86.0, "never above T2"
    made = at_three_tesla(given)
    assert made["grey"] == pytest.approx((1620.0, 104.0, 40.0, 0.8, 0.05))
    assert made["white"] == pytest.approx((738.0, 76.8, 63.2, 0.7, 0.05))
    assert made["csf"] == pytest.approx((2500.0, 300.0, 80.0, 1.0, 0.05))  # no number: equal times
    assert made["marrow"] == pytest.approx((300.0, 86.0, 79.2, 0.9, 0.1))


def test_people_stay_within_two_spreads():
    drawn_people = [Tissues(field_tesla=[1.5]).draw(np.random.default_rng(seed)) for seed in range(200)]
    t1 = np.array([person["white"].t1 for person in drawn_people]) / 500
    assert 1 - 2 * 1.5 * 0.04 <= t1.min() < 0.95
    assert 1.05 < t1.max() <= 1 + 2 * 1.5 * 0.04


def test_fat_saturation_leaves_less_than_a_third_of_fat_and_marrow():
    settings = {"spread": 0, "outside_spread": 0, "field_tesla": [1.5]}
    person = Tissues(fat_suppression=1, **settings).draw(np.random.default_rng(0))
    shares = {name: person[name].density / RELAXATION[name].density for name in ("fat", "marrow", "muscle")}
    assert shares["fat"] == shares["marrow"]
    assert 0.05 <= shares["fat"] <= 0.3
    assert shares["muscle"] == 1


def test_a_contrast_agent_shortens_t1_of_blood_and_tumours_not_of_brain():
    """Blood of T1 1000 ms and 4 / s more: 1 / (1 + 4) s; a tumour takes 0.4 of it, white matter none."""
    before = {name: RELAXATION[name]._replace(t1=1000.0) for name in ("vessel", "tumour", "white")}
    after = enhanced(before, 4.0)
    assert [after[name].t1 for name in before] == pytest.approx([200.0, 1000 / 2.6, 1000.0])
    assert after["vessel"].t2 == before["vessel"].t2
