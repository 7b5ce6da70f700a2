from __future__ import annotations

import math

import numpy as np
import pytest

from common.errors import DataError
from common.io.picture_files import luminance
from common.metrics import picture_scores

WHOLE = np.ones((16, 16, 1))


def plain(*rgb: float) -> np.ndarray:
    """A picture (16, 16, 1, 3) of one colour."""
    return np.broadcast_to(np.array(rgb, float), (16, 16, 1, 3)).copy()


def test_luminance_is_that_of_bt_601():
    assert luminance(np.array([[[[100.0, 200.0, 50.0]]]])).item() == pytest.approx(29.9 + 117.4 + 5.7)
    grey = np.ones((2, 2, 1))
    assert luminance(grey) is grey


def test_errors_of_plain_colours_are_those_by_hand():
    scores = picture_scores(plain(10, 20, 30), plain(13, 20, 24), WHOLE)
    assert scores["mae"] == pytest.approx(9 / 3)
    assert scores["psnr"] == pytest.approx(10 * math.log10(255**2 / (45 / 3)))


def test_the_colour_difference_of_grey_levels_is_that_of_their_lightness():
    """CIEDE2000 of two greys is dL / (1 + 0.015 (L - 50)^2 / sqrt(20 + (L - 50)^2)), L their mean lightness."""

    def lightness(level: float) -> float:
        linear = ((level / 255 + 0.055) / 1.055) ** 2.4
        return 116 * linear ** (1 / 3) - 16

    first, second = lightness(120), lightness(140)
    middle = ((first + second) / 2 - 50) ** 2
    expected = (second - first) / (1 + 0.015 * middle / math.sqrt(20 + middle))
    assert picture_scores(plain(120, 120, 120), plain(140, 140, 140), WHOLE)["delta_e"] == pytest.approx(expected, 1e-3)


def test_ssim_of_plain_pictures_is_that_of_their_means_and_only_the_mask_counts():
    pred, truth = np.full((16, 16, 1), 100.0), np.full((16, 16, 1), 50.0)
    c1 = (0.01 * 255) ** 2
    expected = (2 * 100 * 50 + c1) / (100**2 + 50**2 + c1)
    assert picture_scores(pred, truth, WHOLE)["ssim"] == pytest.approx(expected, 1e-6)
    assert "delta_e" not in picture_scores(pred, truth, WHOLE)
    mask = WHOLE.copy()
    mask[8:] = 0
    pred[8:] = 255
    assert picture_scores(pred, truth, mask)["mae"] == 50


def test_what_lies_beyond_the_levels_counts_as_their_end():
    assert picture_scores(plain(300, 0, 0), plain(255, 0, 0), WHOLE)["mae"] == 0


def test_small_pictures_have_no_ssim_and_other_shapes_are_named():
    assert math.isnan(picture_scores(WHOLE[:10], WHOLE[:10], WHOLE[:10])["ssim"])
    with pytest.raises(DataError, match=r"prediction has shape \(16, 16, 1\), the truth \(16, 16, 1, 3\)"):
        picture_scores(WHOLE, plain(0, 0, 0), WHOLE)
