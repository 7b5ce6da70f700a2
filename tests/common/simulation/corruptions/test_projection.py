"""Projections of discs, whose line integrals are known, and their reconstruction."""

from __future__ import annotations

import numpy as np
import pytest

from common.errors import DataError
from common.simulation.corruptions.projection import (
    MU_WATER,
    Circle,
    attenuation,
    back_projection,
    body_circle,
    checked_ct,
    pixel_of,
    projections,
)

SIDE, PIXEL, VIEWS = 65, 3.0, 90


def disc(radius_mm: float, x_mm: float = 0.0) -> np.ndarray:
    """A disc of water in 1/mm, (SIDE, SIDE), its edge smooth over a pixel."""
    places = (np.arange(SIDE) - SIDE // 2) * PIXEL
    away = np.hypot(places[:, None] - x_mm, places)
    return MU_WATER * np.clip((radius_mm - away) / PIXEL + 0.5, 0, 1)


def test_attenuation_of_water_air_and_bone_and_pixels_that_are_square():
    assert attenuation([-1000, 0, 1000, -3024]) == pytest.approx([0, 0.0193, 0.0386, 0])
    assert pixel_of((0.7, 0.7, 5)) == 0.7
    with pytest.raises(DataError, match=r"pixels are 0\.7 x 0\.9 mm, and projections need square ones: resample"):
        pixel_of((0.7, 0.9, 5))
    with pytest.raises(DataError, match="0 x 0 mm, not above 0"):
        pixel_of((0, 0, 1))


def test_rays_through_a_disc_are_its_chords_in_every_view():
    integrals = projections(disc(72), PIXEL, VIEWS)
    offsets = (np.arange(SIDE) - SIDE // 2) * PIXEL
    chords = 2 * np.sqrt(np.maximum(72**2 - offsets**2, 0))
    inner = np.abs(offsets) < 60
    assert integrals.shape == (SIDE, VIEWS)
    np.testing.assert_allclose(integrals[inner], np.repeat(MU_WATER * chords[inner, None], VIEWS, 1), rtol=0.02)


@pytest.mark.parametrize("kernel", ["soft", "sharp"])
def test_the_disc_is_reconstructed(kernel):
    image = disc(72, 6)
    again = back_projection(projections(image, PIXEL, VIEWS), PIXEL, kernel)
    inside = disc(60, 6) > 0  # away from the edge, which the kernel blurs
    assert again[inside].mean() == pytest.approx(MU_WATER, rel=0.01)


def test_the_circle_holds_a_body_that_reaches_into_the_corners():
    image = np.zeros((20, 30))
    image[:6, :6] = image[9:15, 12:18] = MU_WATER
    circle = body_circle(image)
    assert circle.radius == int(np.ceil(np.hypot(10, 15) + 1))
    window = circle.cut(image)
    assert window.shape == (2 * circle.radius + 1,) * 2
    assert window.sum() == pytest.approx(72 * MU_WATER)
    np.testing.assert_array_equal(circle.placed(window), image)
    integrals = projections(window, 1.0, 4)  # each view sees all of it
    np.testing.assert_allclose(integrals.sum(0), 72 * MU_WATER, rtol=0.01)


def test_a_small_body_has_a_small_window_and_air_outside_the_circle_is_left_out():
    image = disc(30)
    image[0, 0] = 0.1 * MU_WATER
    circle = body_circle(image)
    assert circle.radius == 12  # 30 mm and half a pixel are 10.5 pixels, and one more
    assert circle.cut(image).shape == (25, 25)
    assert circle.cut(image).sum() == pytest.approx(disc(30).sum())
    assert body_circle(np.zeros((20, 30))) == Circle((20, 30), 15)


@pytest.mark.parametrize(
    ("volume", "message"),
    [
        (np.zeros((4, 4)), "2 dimensions"),
        (np.full((4, 4, 4), np.nan), "CT has NaN or infinite voxels"),
        (np.full((4, 4, 4), 24.0), "CT has the lowest value 24, .*: convert it to HU"),
        (np.full((4, 4, 4), -32768.0), "the lowest value -32768"),
    ],
)
def test_what_is_no_ct_in_hu_is_refused(volume, message):
    with pytest.raises(DataError, match=message):
        checked_ct(volume)
