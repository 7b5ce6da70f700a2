"""What each modality stores: steps, limits and clipping by literals."""

import logging

import numpy as np
import pytest

from common.errors import OutputError
from common.io.dicom.writing.stored_pixels import TO_PIXELS, mr_pixels, pet_pixels


def volume(*numbers):
    return np.array(numbers, np.float32).reshape(-1, 1, 1)


@pytest.mark.parametrize(
    ("numbers", "step", "stored"),
    [
        ((1000, 0.5, -3), 1 / 32, (32000, 16, -96)),
        ((32767, 1, 0), 1, (32767, 1, 0)),
        ((32768, 1, 0), 2, (16384, 0, 0)),  # a half is rounded to even
        ((-0.25, 0.125, 0), 2.0**-16, (-16384, 8192, 0)),
        ((0, 0, 0), 1, (0, 0, 0)),
    ],
)
def test_mr_is_scaled_by_one_power_of_two_that_fits(numbers, step, stored):
    pixels = mr_pixels(volume(*numbers), "case_1")
    assert pixels.stored.dtype == np.int16
    assert (pixels.unit_per_step, pixels.slope) == (step, None)
    assert pixels.stored.ravel().tolist() == list(stored)


def test_pet_has_the_slope_that_its_header_says(caplog):
    with caplog.at_level(logging.WARNING):
        pixels = pet_pixels(volume(65.535, 0, 1.0, 0.0004, -0.3), "case_1")
    assert pixels.stored.dtype == np.uint16
    assert pixels.slope == "0.00100000005588"  # 65.53500366, the float32, by 65535; 16 characters
    assert pixels.unit_per_step == float(pixels.slope)
    assert pixels.stored.ravel().tolist() == [65535, 0, 1000, 0, 0]
    assert "case_1: 1 voxels clipped to uint16, [0, 65535]" in caplog.text
    without = pet_pixels(volume(0, -1), "a")
    assert (without.slope, without.stored.ravel().tolist()) == ("1", [0, 0])


@pytest.mark.parametrize("largest", [1e-30, 0.1, 2.3, 1 / 3, 7e8])
def test_the_largest_pet_value_is_never_clipped(caplog, largest):
    pixels = pet_pixels(np.array([[[0, largest]]]), "a")
    assert pixels.stored.ravel().tolist() == [0, 65535]
    assert len(pixels.slope) <= 16
    assert caplog.text == ""


@pytest.mark.parametrize("modality", TO_PIXELS)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_fails_the_case(modality, bad):
    with pytest.raises(OutputError, match="case_1: the synthetic volume has 1 voxels of NaN or infinity"):
        TO_PIXELS[modality](volume(1, bad, 2), "case_1")
