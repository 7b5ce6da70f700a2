"""The table of contrasts that are told: sequences of the simulation, counting."""

from collections import Counter

from common.simulation.mr_contrasts import weightings
from tools.real.contrasts import SEQUENCES, table


def test_every_sequence_has_the_contrast_of_its_name():
    assert {name: weightings(sequence) for name, sequence in SEQUENCES.items()} == {name: [name] for name in SEQUENCES}


def test_the_table_counts_warnings_by_what_weights_list():
    counted = Counter({("T1", ("T1",)): 5, ("T1", ()): 1, ("T2", ("PD", "T2")): 2, ("T2", ("T2",)): 7})
    assert table("title", counted).splitlines()[2:] == [
        "T1         6  1                   6           not told 1, T1 5",
        "T2         9  9                   7           PD or T2 2, T2 7",
    ]
