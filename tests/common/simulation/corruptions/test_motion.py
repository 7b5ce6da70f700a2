"""Motion during a scan: displacements by NumPy, k-space by the shift theorem, amounts in mm and degrees."""

import numpy as np
import pytest
from scipy import ndimage

from common.errors import ConfigError
from common.simulation.corruptions.motion import HeadMotion, Movement, displaced, moved, random_movements

MM = (1.0, 1.0, 1.0)


@pytest.fixture(scope="module")
def head():
    """An ellipsoid of tissue with a darker inside, (40, 48, 20), smooth."""
    x, y, z = np.ogrid[-20:20, -24:24, -10:10]
    distance = np.sqrt((x / 12) ** 2 + (y / 18) ** 2 + (z / 30) ** 2)
    return ndimage.gaussian_filter((1.0 * (distance < 1) - 0.5 * (distance < 0.5)).astype(np.float32), 1)


def test_motion_of_zero_is_the_identity(head):
    still = [Movement(0.0, 0.0, 1.0, segment) for segment in ((0.1, 0.3), (0.6, 0.7))]
    for seen in (displaced(head, 2, 0.0, (0.0, 0.0)), moved(head, 2, 1, MM, still), moved(head, 2, 0, MM, [])):
        np.testing.assert_allclose(seen, head, atol=1e-6)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_whole_shifts_and_quarter_turns_are_those_of_numpy(axis):
    image = np.random.default_rng(0).random((9, 9, 9), dtype=np.float32)
    first, second = (other for other in range(3) if other != axis)
    shifted = displaced(image, axis, 0.0, (2.0, 0.0))
    assert np.moveaxis(shifted, first, 0)[2:] == pytest.approx(np.moveaxis(image, first, 0)[:-2], abs=1e-6)
    assert displaced(image, axis, 90.0, (0, 0)) == pytest.approx(np.rot90(image, 1, (first, second)), abs=1e-5)


def test_a_head_elsewhere_during_all_of_the_scan_is_a_head_elsewhere(head):
    """4 mm at 30 degrees are 2 cos 30 and 2 sin 30 pixels of 2 mm."""
    whole = moved(head, 2, 1, (2, 2, 2), [Movement(5.0, 4.0, np.pi / 6, (0.0, 1.0))])
    np.testing.assert_allclose(whole, displaced(head, 2, 5.0, (np.sqrt(3), 1.0)), atol=1e-5)


def test_a_shift_during_some_lines_is_their_phase_in_k_space(head):
    """The same by the shift theorem, at whole pixels, for lines 30 to 35 of 40 along X (frequencies 10 to 15)."""
    lines = np.fft.fft(head, axis=0)
    lines[10:15] *= np.exp(-2j * np.pi * np.arange(10, 15) * 3 / 40)[:, None, None]
    seen = moved(head, 2, 0, (1.5, 1, 1), [Movement(0.0, 4.5, 0.0, (30 / 40, 35 / 40))])
    np.testing.assert_allclose(seen, np.abs(np.fft.ifft(lines, axis=0)), atol=1e-5)
    assert np.abs(seen - head).max() > 0.005


def test_a_quarter_turn_on_oblong_pixels_is_one_in_mm():
    """A bar 8 mm long along the first axis, of pixels of 1 mm, lies 8 mm long along the second, of pixels of 2 mm."""
    image = np.zeros((33, 17, 1), np.float32)
    image[12:21, 8] = 1
    seen = displaced(image, 2, 90.0, (0.0, 0.0), aspect=0.5)[..., 0]
    assert np.flatnonzero(seen[16] > 0.99).tolist() == [6, 7, 8, 9, 10]
    assert seen[14].max() == pytest.approx(0)


def test_movements_are_in_their_ranges_and_spare_the_centre():
    rng = np.random.default_rng(0)
    found = [random_movements(rng, (1, 3), (0.5, 2), (1, 4)) for _ in range(100)]
    assert {len(each) for each in found} == {1, 2, 3}
    for movement in (movement for each in found for movement in each):
        start, stop = movement.segment
        assert 0.5 <= movement.distance_mm <= 2
        assert 1 <= abs(movement.degrees) <= 4
        assert 0 <= start < stop <= 0.48 or 0.52 <= start < stop <= 1
    assert {np.sign(each[0].degrees) for each in found} == {-1, 1}


def test_motion_leaves_the_head_in_its_place(head):
    """The centre of k-space is measured in the first position: the best shift onto it is one pixel of 3 at most."""
    for seed in range(8):
        seen = HeadMotion(3, 3, 2)(head, MM, np.random.default_rng(seed))
        assert 0.003 < np.abs(seen - head).mean() < 0.1
        assert np.corrcoef(seen.ravel(), head.ravel())[0, 1] > 0.9
        correlation = np.fft.fftshift(np.fft.ifftn(np.fft.fftn(seen) * np.conj(np.fft.fftn(head))).real)
        best = np.unravel_index(correlation.argmax(), head.shape)
        assert np.abs(np.subtract(best, (20, 24, 10))).max() <= 1
        assert seen.dtype == np.float32


@pytest.mark.parametrize(("plane", "along", "across"), [("axial", 0, 1), ("coronal", 0, 2), ("sagittal", 1, 2)])
def test_ghosts_of_motion_run_along_the_phase_encoding(plane, along, across):
    """Of a block moved by 3 voxels: far along the phase encoding, nowhere farther across it than it moved."""
    block = np.zeros((32, 32, 32), np.float32)
    block[12:20, 12:20, 12:20] = 100
    seen = HeadMotion(6, 0, 3, plane)(block, (2, 2, 2), np.random.default_rng(0))
    outside = [slice(12, 20)] * 3
    outside[along] = slice(24, None)
    besides = [slice(None)] * 3
    besides[across] = slice(24, None)
    assert seen[tuple(outside)].mean() > 1
    assert seen[tuple(besides)].max() < 1e-3


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"distance_mm": -1}, "--distance_mm is -1, not 0 to 50 mm: pass a number such as 2"),
        ({"distance_mm": 50.5}, "--distance_mm is 50.5, not 0 to 50 mm"),
        ({"degrees": float("nan")}, "--degrees is nan, not 0 to 45 degrees"),
        ({"degrees": 46}, "--degrees is 46, not 0 to 45 degrees"),
        ({"movements": 1.5}, "--movements is 1.5, not a whole number from 1 to 100"),
        ({"movements": 101}, "--movements is 101, not a whole number from 1 to 100"),
        ({"plane": "oblique"}, "--plane is 'oblique'"),
    ],
)
def test_settings_out_of_range_of_motion(settings, message):
    with pytest.raises(ConfigError, match=message):
        HeadMotion(**settings)
