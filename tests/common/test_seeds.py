"""Derived seeds: the published generator, distinct for neighbours, usable by torch and numpy."""

from __future__ import annotations

import itertools

import numpy as np
import torch

from common.seeds import derive


def test_one_number_is_splitmix64() -> None:
    # first output of the reference splitmix64.c for state 0, and for state 1234567; halved to 63 bits
    assert derive(0) == 0xE220A8397B1DCDAF >> 1
    assert derive(1234567) == 6457827717110365317 >> 1


def test_no_two_of_many_neighbours_agree() -> None:
    triples = list(itertools.product(range(20), range(20), range(10)))
    assert len({derive(*triple) for triple in triples}) == len(triples)


def test_order_and_number_of_arguments_matter() -> None:
    assert len({derive(1, 2), derive(2, 1), derive(1, 2, 0), derive(0, 1, 2), derive(3)}) == 5


def test_range_suits_torch_and_numpy() -> None:
    for numbers in [(0,), (2**63 - 1, 5), (-1, 3), (2**70, 1)]:
        seed = derive(*numbers)
        assert 0 <= seed < 2**63
        assert torch.Generator().manual_seed(seed).initial_seed() == seed
        np.random.RandomState(seed % 2**32)
