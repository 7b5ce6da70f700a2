"""Trained weights in use: export, out-of-distribution warnings."""

from common.trained.input_check import InputCheck

__all__ = ["InputCheck"]
