"""False and missed structures: an added blob is found once, a removed one missed once; blur and noise give none."""

from __future__ import annotations

import numpy as np
import pytest
from mri_dagan.quality import false_structures
from scipy.ndimage import gaussian_filter

from common.errors import DataError

SHAPE = (40, 36, 32)
INSIDE = np.ones(SHAPE, dtype=bool)
PER_ONE = 1e5 / INSIDE.size
"""What one structure counts per 100 mL of 1 mm voxels."""


def anatomy() -> np.ndarray:
    """Bands of 6 mm along the first axis in one half, nothing in the other."""
    truth = np.zeros(SHAPE)
    truth[:18] = 100 * (np.arange(18)[:, None, None] // 6 % 2)
    return gaussian_filter(truth, 1) + np.random.default_rng(0).normal(0, 2, SHAPE)


def blob(centre: tuple[int, int, int] = (29, 18, 16), height: float = 80) -> np.ndarray:
    places = np.ogrid[tuple(slice(0, n) for n in SHAPE)]
    return height * np.exp(-sum((place - c) ** 2 for place, c in zip(places, centre, strict=True)) / 8)


@pytest.mark.parametrize("sign", [1, -1])
def test_an_added_blob_is_false_once_and_a_removed_one_missed_once(sign):
    truth, spacing = anatomy(), np.eye(4)
    found = false_structures(truth + sign * blob(), truth, INSIDE, spacing)
    assert found["false_structures"] == pytest.approx(PER_ONE)
    assert found["missed_structures"] == 0
    assert 14 < found["false_share"] * INSIDE.size < 300  # 4.7 mm wide
    turned = false_structures(truth, truth + sign * blob(), INSIDE, spacing)
    assert turned["missed_structures"] == pytest.approx(PER_ONE)
    assert turned["false_structures"] == 0
    two = false_structures(truth + blob() - blob((29, 8, 8)), truth, INSIDE, spacing)
    assert two["false_structures"] == pytest.approx(2 * PER_ONE)


def test_the_same_in_mm_whatever_the_voxels():
    truth = anatomy()
    thick = np.diag([1.0, 1.0, 3.0, 1])
    found = false_structures((truth + blob())[..., 1::3], truth[..., 1::3], INSIDE[..., 1::3], thick)
    assert found["false_structures"] == pytest.approx(1e5 / INSIDE[..., 1::3].sum() / 3)


def test_noise_blur_a_shift_and_another_contrast_give_none():
    truth = anatomy()
    noisy = truth + np.random.default_rng(1).normal(0, 10, SHAPE)
    for pred in (truth, noisy, gaussian_filter(truth, 1), np.roll(truth, 1, 1), 0.7 * truth + 20):
        assert not any(false_structures(pred, truth, INSIDE, np.eye(4)).values())


def test_what_lies_outside_the_mask_or_is_too_small_is_not_counted():
    truth, inside = anatomy(), INSIDE.copy()
    inside[20:] = False
    assert not any(false_structures(truth + blob(), truth, inside, np.eye(4)).values())
    single = np.zeros(SHAPE)
    single[29, 18, 16] = 200
    assert false_structures(truth + single, truth, INSIDE, np.eye(4))["false_structures"] == 0  # of 1 mm3


def test_constant_images_have_no_score_and_shapes_must_fit():
    flat = np.full(SHAPE, 5.0)
    assert all(np.isnan(value) for value in false_structures(flat, flat, INSIDE, np.eye(4)).values())
    with pytest.raises(DataError, match="prediction has shape .*, the truth "):
        false_structures(flat[1:], flat, INSIDE, np.eye(4))
