"""The trainer of all methods: its step, precision, acceleration, schedules and resume."""

from common.training.precision import PRECISIONS
from common.training.schedules import ConstantThenLinear
from common.training.trainer import SynthesisTrainer

__all__ = ["PRECISIONS", "ConstantThenLinear", "SynthesisTrainer"]
