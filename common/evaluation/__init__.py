"""Evaluation on held-out cases: the model, its trained variants and the copied input, in one table and report."""

from .evaluation import Evaluation
from .validation import OutputError, SourceDataset, output_error

__all__ = ["Evaluation", "OutputError", "SourceDataset", "output_error"]
