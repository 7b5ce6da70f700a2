"""What the console says of an epoch, in one line."""

from __future__ import annotations

from ignite.engine import Events
from monai.engines import Evaluator

from ...runs.durations import spoken
from .. import SynthesisTrainer


def epoch_line(engine: SynthesisTrainer, validator: Evaluator, seconds_left: float) -> str:
    """Losses of the epoch that is complete and, where it ended with a validation, the metrics and the best epoch."""
    state, found = engine.state, validator.state
    losses = _listed({name: value for name, value in state.metrics.items() if name != "learning_rate"})
    took = f"{state.times[Events.EPOCH_COMPLETED.name]:.1f} s"
    left = f", {spoken(seconds_left / 60)} left" if seconds_left > 0 else ""
    line = f"epoch {state.epoch}/{state.max_epochs}, {took}{left}: {losses}"
    if not is_validated(engine, validator):
        return line
    if found.best_metric_epoch == state.epoch:
        best = "the best so far"
    else:
        best = f"no better than {found.best_metric:.4g} of epoch {found.best_metric_epoch}"
    return f"{line}; validation {_listed(found.metrics)}, {best}"


def is_validated(engine: SynthesisTrainer, validator: Evaluator) -> bool:
    """Whether the epoch that is complete ended with a validation."""
    return bool(validator.state.metrics) and validator.state.epoch == engine.state.epoch


def _listed(values: dict[str, float]) -> str:
    return ", ".join(f"{name} {float(value):.4g}" for name, value in values.items())
