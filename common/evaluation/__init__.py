"""Evaluation on held-out cases: the model, its trained variants and the copied input, in one table and report."""

from .evaluation import Evaluation
from .true_target import SourceDataset, TrueTargetMetric, output_error

__all__ = ["Evaluation", "SourceDataset", "TrueTargetMetric", "output_error"]
