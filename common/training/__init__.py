"""The trainer of all methods: its step, schedules and resume."""

from .schedules import ConstantThenLinear
from .trainer import SynthesisTrainer

__all__ = ["ConstantThenLinear", "SynthesisTrainer"]
