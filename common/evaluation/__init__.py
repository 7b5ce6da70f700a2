"""Evaluation on held-out cases (:mod:`common.evaluation.evaluation`), and its error during training."""

from .true_target import SourceDataset, TrueTargetMetric, output_error

__all__ = ["SourceDataset", "TrueTargetMetric", "output_error"]
