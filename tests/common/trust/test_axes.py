"""Axes of heads: of a phantom and of real scans, and every way to exchange or reverse them."""

from __future__ import annotations

from itertools import permutations, product
from pathlib import Path

import numpy as np
import pytest
import torch
from contrast_scans import real

from common.transforms.subject import subject_in
from common.trust.axes import FILE, turned_axes
from tools.recogniser.average_head import average_head

DATA = Path(__file__).resolve().parents[4] / "shared" / "data"
SPACING = np.full(3, 2.5)
TURNED = [turn for turn in product(permutations(range(3)), (1, -1), (1, -1)) if turn != ((0, 1, 2), 1, 1)]


@pytest.fixture(scope="module")
def shown(mr: np.ndarray) -> np.ndarray:
    return cleared(mr, SPACING)


def cleared(image: np.ndarray, spacing: np.ndarray) -> np.ndarray:
    """A head with the same air everywhere around it."""
    box, _, kept = subject_in(image, spacing, 6.0)
    return np.pad(np.where(kept, image[box], image[box][kept].min()), 3, constant_values=image[box][kept].min())


def test_a_head_by_its_own_axes_looks_right(shown: np.ndarray) -> None:
    assert turned_axes(shown, SPACING) is None
    assert turned_axes(shown[::-1], SPACING) is None, "left and right look alike"
    assert turned_axes(7 - 2 * shown[:, :, 20:] * -1, SPACING) is None, "on any scale, without the neck"


@pytest.mark.parametrize(("order", "front", "top"), TURNED)
def test_every_other_way_looks_turned(shown: np.ndarray, order: tuple, front: int, top: int) -> None:
    assert turned_axes(shown.transpose(order)[:, ::front, ::top], SPACING) is not None


def test_it_says_how(shown: np.ndarray) -> None:
    assert turned_axes(shown[:, ::-1], SPACING) == "the head looks turned: its back is where its affine has front"


def test_a_volume_of_one_value_or_of_a_few_voxels_has_no_axes() -> None:
    assert turned_axes(np.ones((4, 5, 6), np.float32), SPACING) is None
    assert turned_axes(np.arange(8, dtype=np.float32).reshape(2, 2, 2), SPACING) is None


def test_the_average_head_is_that_of_the_simulation() -> None:
    np.testing.assert_array_equal(torch.load(FILE, weights_only=True).numpy(), average_head())


@pytest.mark.real
@pytest.mark.skipif(not DATA.is_dir(), reason=f"no scans at {DATA}")
def test_real_scans_look_right_and_upside_down_wrong() -> None:
    for name, image, spacing in real(DATA):
        head = cleared(image, spacing)
        assert turned_axes(head, spacing) is None, name
        assert "bottom is where its affine has top" in str(turned_axes(head[:, :, ::-1], spacing)), name
