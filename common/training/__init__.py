"""The trainer of all methods: its step, precision, acceleration, schedules and resume."""

from .precision import PRECISIONS
from .schedules import ConstantThenLinear
from .trainer import SynthesisTrainer

__all__ = ["PRECISIONS", "ConstantThenLinear", "SynthesisTrainer"]
