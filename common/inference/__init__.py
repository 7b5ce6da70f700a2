"""Batch inference: cases one by one within a limit of memory, the failures of some, the manifest, resume."""

from .dataset import CaseDataset, OneCaseLoader
from .evaluator import CaseEvaluator

__all__ = ["CaseDataset", "CaseEvaluator", "OneCaseLoader"]
