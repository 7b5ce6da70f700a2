from __future__ import annotations

import pytest

from common.errors import ConfigError
from common.plan.measure import Step
from common.plan.planning import epochs_of, fitting

OWN = {"max_epochs": 200, "constant_epochs": 100, "decay_epochs": 100, "val_interval": 5}


def step_of(batch_size: int) -> Step | None:
    """One GB for each sample of a device that has 12."""
    return Step(1.0, float(batch_size)) if batch_size <= 12 else None


@pytest.mark.parametrize(
    ("wanted", "memory_gb", "expected"), [(8, None, 8), (8, 8.0, 8), (8, 7.9, 4), (7, 2.0, 2), (16, None, 8)]
)
def test_a_batch_is_halved_until_its_step_fits(wanted: int, memory_gb: float | None, expected: int) -> None:
    batch, step = fitting(step_of, wanted, 2, memory_gb)
    assert (batch, step.memory_gb) == (expected, expected)


def test_a_step_that_does_not_fit_and_memory_that_is_not_measured_are_refused() -> None:
    fault = "out of memory: a step of batch size 2 needs {}: raise --memory_gb, or lower --width"
    with pytest.raises(ConfigError, match=fault.format("2 GB")):
        fitting(step_of, 8, 2, 1.5)
    with pytest.raises(ConfigError, match=fault.format("more than the device has")):
        fitting(lambda size: None, 8, 2, None)
    with pytest.raises(ConfigError, match="--memory_gb 4 cannot be checked on this device, .*: omit it, or plan on"):
        fitting(lambda size: Step(1.0, None), 8, 2, 4.0)


@pytest.mark.parametrize(
    ("hours", "expected"),
    [(None, [200, 100, 100, 5]), (100, [200, 100, 100, 5]), (99.9, [199, 100, 99, 5]), (5.2, [10, 5, 5, 2])],
)
def test_epochs_of_half_an_hour(hours: float | None, expected: list[int]) -> None:
    assert [each.value for each in epochs_of(OWN, hours, 0.5)] == expected


def test_all_epochs_are_constant_where_the_bundle_has_no_decay() -> None:
    own = {**OWN, "max_epochs": 42, "constant_epochs": 42, "decay_epochs": 0}
    assert [each.value for each in epochs_of(own, 15, 0.5)] == [30, 30, 0, 5]


def test_no_time_for_an_epoch_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"--hours 0\.4 is too short for an epoch, which takes 0\.5: raise it"):
        epochs_of(OWN, 0.4, 0.5)
