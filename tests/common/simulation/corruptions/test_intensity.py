"""Contrast, bias field, blur and brain extraction on volumes whose result is known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import ndtr

from common.simulation.corruptions.intensity import bias_field, blurred, inverted, stripped


def ball() -> np.ndarray:
    """A ball of 0.8 with a core of 0.4, of radius 10 and 3 in (25, 25, 25)."""
    distance = np.linalg.norm(np.indices((25, 25, 25)) - 12, axis=0)
    return np.where(distance < 3, 0.4, np.where(distance <= 10, 0.8, 0)).astype(np.float32)


def test_contrast_is_inverted_in_the_head_and_air_stays_dark():
    image = ball()
    assert inverted(image, 1.0)[12, 12, [0, 3, 12]] == pytest.approx([0, 0.2, 0.6])
    mean = image[image > 0].mean()
    half = inverted(image, 0.5)[12, 12, [0, 3, 12]]
    assert half == pytest.approx([0, 0.1 + mean / 2, 0.3 + mean / 2])


def test_the_logarithm_of_a_bias_field_has_its_percent_and_is_clipped_at_two_of_them():
    """On the nodes, which reach 20 mm beyond the field of view, where it varies more."""
    fields = [np.log(bias_field((20, 24, 20), 10.0, 30, np.random.default_rng(seed))) for seed in range(20)]
    assert np.std(fields) == pytest.approx(5 / 6 * 0.3, rel=0.05)
    assert max(np.abs(field).max() for field in fields) == pytest.approx(0.6)
    assert max(np.abs(np.diff(field, axis=0)).max() for field in fields) < 0.3  # smooth over 45 mm
    assert (bias_field((4, 4, 4), 10.0, 0, np.random.default_rng(0)) == 1).all()


def test_a_blurred_step_is_the_error_function_in_mm():
    """2 mm on slices of 4 mm along one axis: at half a voxel from the step it is Phi(2 / 2)."""
    step = np.zeros((3, 3, 80), np.float32)
    step[..., 40:] = 1
    fine = blurred(np.repeat(step, 8, axis=2), 2.0, (1, 1, 0.5), reach=5.0)
    assert fine[1, 1, 323] == pytest.approx(ndtr(1.75 / 2), abs=1e-3)
    assert blurred(step, 2.0, (4, 4, 0.5))[1, 1, 44] == pytest.approx(ndtr(2.25 / 2), abs=3e-3)


def test_what_lies_within_the_depth_of_the_surface_is_removed():
    """2 mm voxels: of the ball of 20 mm, the outer 8 mm go; the depth of the outermost voxel is 2 mm."""
    seen = stripped(ball(), 8.0, (2.0, 2.0, 2.0))
    assert seen[12, 12].tolist() == pytest.approx([0] * 6 + [0.8] * 4 + [0.4] * 5 + [0.8] * 4 + [0] * 6)
