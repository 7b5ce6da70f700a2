"""Trained weights in use: their settings, fine-tuning, export, out-of-distribution warnings."""

from common.trained.fine_tuning import FineTuning
from common.trained.input_check import InputCheck
from common.trained.settings import settings_of_weights, settings_to_start_from

__all__ = ["FineTuning", "InputCheck", "settings_of_weights", "settings_to_start_from"]
