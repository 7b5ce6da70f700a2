"""Evaluation on held-out cases: the model, its trained variants and the copied input, in one table and report."""

from .evaluation import Evaluation

__all__ = ["Evaluation"]
