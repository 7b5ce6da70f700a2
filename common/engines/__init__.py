"""The one trainer of all methods: its step, its validation, its resume, and what makes it fast."""

from common.engines.precision import PRECISIONS
from common.engines.trainer import GanTrainer
from common.engines.validation import Validation

__all__ = ["PRECISIONS", "GanTrainer", "Validation"]
