"""Trained weights in use: fine-tuning, export, out-of-distribution warnings."""

from common.trained.fine_tuning import FineTuning
from common.trained.input_check import InputCheck

__all__ = ["FineTuning", "InputCheck"]
