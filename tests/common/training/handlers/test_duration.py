"""How long a training will take, by a clock that steps and validations advance."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from ignite.engine import Events
from toy_networks import Scale
from toy_training import Toy, loader, on, scalars, train

from common.training.handlers import duration
from common.training.handlers.duration import Duration

NUMBERS = loader(scalars(*((n / 10, n / 10) for n in range(1, 7))))
"""Six steps an epoch."""


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """Runs epochs whose n-th step takes ``seconds(n)``, n from 1, each followed by a validation of 1000 s."""

    def run(epochs: int, seconds: Callable[[int], float], **settings: object) -> list[str]:
        clock = [0.0]

        def advance(passed: float) -> None:
            clock[0] += passed

        step = on(Events.ITERATION_COMPLETED, lambda engine: advance(seconds(engine.state.iteration)))
        validation = on(Events.EPOCH_COMPLETED, lambda: advance(1000))
        monkeypatch.setattr(duration, "monotonic", lambda: clock[0])
        caplog.set_level("INFO", "common")
        method = Toy(Scale(0.5), Scale(1.0), l1=1, adversarial=1)
        train(method, NUMBERS, epochs, train_handlers=[step, validation, Duration()], **settings)
        return [record.getMessage() for record in caplog.records if record.name == duration.__name__]

    return run


def test_steps_after_the_warm_up_are_measured_and_no_validation(told: Callable[..., list[str]]) -> None:
    """Step 6 ends the first epoch; after steps 6 to 8, of 2 s, 5 s are over, and 52 steps are left."""
    assert told(10, lambda step: 100 if step <= 5 else 2) == [
        "training takes about 2 min, without validation: 52 steps of 2 s are left"
    ]


def test_steps_of_critics_alone_are_measured_in_whole_turns(told: Callable[..., list[str]]) -> None:
    """Every third step takes 66 s, two take 12 s: 30 s on average."""
    (message,) = told(3, lambda step: 12 if step % 3 else 66, critic_steps=3)
    assert message == "training takes about 5 min, without validation: 10 steps of 30 s are left"
