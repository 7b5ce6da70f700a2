"""The trainer of all methods: its step, precision, acceleration, schedules and resume."""

from common.engines.precision import PRECISIONS
from common.engines.schedules import ConstantThenLinear
from common.engines.trainer import SynthesisTrainer

__all__ = ["PRECISIONS", "ConstantThenLinear", "SynthesisTrainer"]
