"""The table of contrasts that are told: sequences of the simulation, counting."""

import math
from collections import Counter

import pytest

from common.phantoms.physics import weightings
from common.phantoms.tissues import RELAXATION
from tools.real.contrasts import SEQUENCES, NulledFluid, table


def test_every_sequence_has_the_contrast_of_its_name():
    assert {name: weightings(sequence) for name, sequence in SEQUENCES.items()} == {name: [name] for name in SEQUENCES}


def test_fluid_vanishes_at_its_null():
    """TI = 4300 ln(2 / (1 + exp(-9000 / 4300))) = 2480 ms; 5% earlier 3.3% of fluid is left, before T2."""
    at, before = (NulledFluid((9000, 9000), (100, 100), (null, null)).signals(RELAXATION, (0.5, 0.5))["csf"]
                  for null in (1.0, 0.95))  # fmt: skip
    assert at == pytest.approx(0, abs=1e-9)
    inversion = 0.95 * 4300 * math.log(2 / (1 + math.exp(-9000 / 4300)))
    left = 2 * math.exp(-inversion / 4300) - 1 - math.exp(-9000 / 4300)
    assert left == pytest.approx(0.0329, abs=0.0001)
    assert before == pytest.approx(left * math.exp(-100 / 329))


def test_the_table_counts_warnings_by_what_weights_list():
    counted = Counter({("T1", ("T1",)): 5, ("T1", ()): 1, ("T2", ("PD", "T2")): 2, ("T2", ("T2",)): 7})
    assert table("title", counted).splitlines()[2:] == [
        "T1         6  1                   6           not told 1, T1 5",
        "T2         9  9                   7           PD or T2 2, T2 7",
    ]
