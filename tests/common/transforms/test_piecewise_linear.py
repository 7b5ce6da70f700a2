"""The piecewise-linear scale, compared with values computed by hand, and its inverse."""

from __future__ import annotations

import pytest
import torch

from common.errors import ConfigError
from common.transforms.piecewise_linear import PiecewiseLinearScale

WINDOW = [-1024, 2000]
KNOTS = [[-200, -0.6], [-20, -0.4], [100, 0.5]]


def test_by_hand() -> None:
    # ends and points as given; half-way between two of them, half-way: -612, -110, 40, 1050
    values = torch.tensor([-1024.0, -200, -20, 100, 2000, -612, -110, 40, 1050])
    expected = [-1, -0.6, -0.4, 0.5, 1, -0.8, -0.5, 0.05, 0.75]
    assert PiecewiseLinearScale(WINDOW, KNOTS).scaled(values).tolist() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("points", [KNOTS, [[1000, 0]], [], None])
def test_the_inverse_restores_values_beyond_the_window_too(points: list | None) -> None:
    values = torch.linspace(-3000, 4000, 701)
    scale = PiecewiseLinearScale(WINDOW, points)
    torch.testing.assert_close(scale.unscaled(scale.scaled(values)), values, rtol=0, atol=2e-3)
    assert (scale.scaled(values).diff() > 0).all()


def test_beyond_the_window_the_outer_segments_go_on_or_are_cut() -> None:
    scale, values = PiecewiseLinearScale(WINDOW, KNOTS), torch.tensor([-1848.0, 3900.0])
    assert scale.scaled(values).tolist() == pytest.approx([-1.4, 1.5], abs=1e-6)
    assert scale.scaled(values, clip=True).tolist() == pytest.approx([-1, 1], abs=1e-6)


def test_without_knots_it_is_the_line_of_the_window_bit_for_bit() -> None:
    values = torch.rand(1000) * 3000 - 1024
    assert torch.equal(PiecewiseLinearScale(WINDOW).scaled(values), (values + 1024) / 3024 * 2 - 1)


@pytest.mark.parametrize(
    "points",
    [
        [[100, 0.5], [-20, -0.4]], [[-20, 0.5], [100, -0.4]], [[0, 0.1], [0, 0.2]], [[-2000, -0.5]], [[0, 1]],
        [[0, 0.1, 0.2]], [[0]], [5], [[float("nan"), 0]], [["a", 0]],
    ],
)  # fmt: skip
def test_points_that_do_not_rise_are_refused(points: list) -> None:
    fault = r"--target_scale_points .* do not rise strictly in both columns from \[-1024, -1\] to \[2000, 1\]"
    with pytest.raises(ConfigError, match=fault + r": give rising pairs, or widen --target_window; \[\] for none"):
        PiecewiseLinearScale(WINDOW, points)
