"""Evaluation on held-out cases: the model, its trained variants and copying the input, in one table and one report."""

from common.evaluation.evaluation import Evaluation

__all__ = ["Evaluation"]
