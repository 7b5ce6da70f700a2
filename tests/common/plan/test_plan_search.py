from __future__ import annotations

import pytest

from common.errors import ConfigError
from common.plan.cost import Step
from common.plan.search import Budget, batches, candidates, first_that_fits, widths

SIZES = [((96, 96), 5), ((64, 64), 5)]


def cost(sizes):
    """One GB for each sample of 96 x 96 pixels at width 64; 10^12 operations likewise."""
    part = sizes.batch_size * sizes.size[0] * sizes.size[1] / 96**2 * sizes.width / 64
    return Step(part * 1e9, part * 1e12)


def test_the_order_of_candidates():
    found = [(each.width, each.size[0], each.batch_size) for each in candidates(SIZES, 4, 1, [64, 32])]
    assert found == [
        (64, 96, 4), (64, 96, 2), (64, 96, 1), (64, 64, 4), (64, 64, 2), (64, 64, 1), (32, 64, 4), (32, 64, 2),
        (32, 64, 1),
    ]  # fmt: skip
    assert list(batches(7, 2)) == [7, 3, 2]
    assert list(batches(1, 2)) == [2]
    assert widths(64, False) == [64, 32, 16]
    assert widths(16, True) == [16]


@pytest.mark.parametrize(
    ("memory", "expected"), [(8, (96, 4)), (4, (96, 4)), (2, (96, 2)), (1, (96, 1)), (0.5, (64, 1))]
)
def test_less_memory_takes_a_smaller_batch_then_a_smaller_sample(memory, expected):
    sizes, step = first_that_fits(candidates(SIZES, 4, 1, [64]), cost, Budget(memory, None, 1), 1)
    assert (sizes.size[0], sizes.batch_size) == expected
    assert step.memory <= memory * 1e9


def test_little_time_takes_a_smaller_batch():
    # 0.8 hours of steps at 1 TFLOP/s are 2880 of a sample, and two stages have 1000 at least
    sizes, _ = first_that_fits(candidates(SIZES, 4, 1, [64]), cost, Budget(100, 1, 1), 2)
    assert (sizes.size[0], sizes.batch_size) == (96, 2)


def test_a_budget_below_the_smallest_plan_is_refused():
    with pytest.raises(
        ConfigError, match=r"--memory_gb: holds a step of the smallest plan \(batch 1 of 64 x 64, width 64"
    ):
        first_that_fits(candidates(SIZES, 4, 1, [64]), cost, Budget(0.1, None, 1), 1)
    with pytest.raises(
        ConfigError, match=r"--hours: has time for 500 steps .* 0\.01 hours at 1 TFLOP/s, which are 64;"
    ):
        first_that_fits(candidates(SIZES, 4, 1, [64]), cost, Budget(10, 0.01, 1), 1)
