from __future__ import annotations

import pytest

from common.plan.schedule import Published, schedule_of, seconds_of, steps_within

OWN = Published(200, 100, 100, 5)


def test_steps_within_some_hours():
    # 1 hour at 1 TFLOP/s are 3.6e15 operations, of which 80 % are steps of 2.88e12
    assert steps_within(1, 2.88e12, 1) == 1000
    assert steps_within(None, 1, 1) is None
    assert seconds_of(1000, 2.88e12, 1) == pytest.approx(3600)


@pytest.mark.parametrize(
    ("samples", "batch", "stages", "limit", "expected"),
    [
        (1000, 4, 1, None, (200, 100, 100, 5, 1000, 50_000)),
        (1000, 4, 1, 50_000, (200, 100, 100, 5, 1000, 50_000)),
        (1000, 4, 1, 49_999, (199, 100, 99, 5, 1000, 49_750)),
        (1000, 4, 2, 25_000, (50, 25, 25, 5, 1000, 25_000)),
        # 12 epochs of 250 steps would fit: 20 shorter ones instead
        (1000, 4, 1, 3000, (20, 10, 10, 5, 600, 3000)),
        # few samples are repeated, to 100 steps
        (90, 3, 1, None, (200, 100, 100, 5, 300, 20_000)),
    ],
)
def test_epochs_and_their_samples(samples, batch, stages, limit, expected):
    assert schedule_of(samples, batch, stages, OWN, limit) == expected


def test_all_epochs_are_constant_where_the_bundle_has_no_decay():
    found = schedule_of(400, 4, 1, Published(42, 42, 0, 5), 3000)
    assert (found.max_epochs, found.constant_epochs, found.decay_epochs) == (30, 30, 0)
