"""How far a synthetic image can be trusted: input check, prediction intervals, verdict of a case."""

from .input_check import InputCheck

__all__ = ["InputCheck"]
