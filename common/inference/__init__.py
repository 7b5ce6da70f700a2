"""Batch inference: cases one by one within a limit of memory, the failures of some, the manifest, resume."""

from common.inference.dataset import CaseDataset, OneCaseLoader
from common.inference.evaluator import CaseEvaluator

__all__ = ["CaseDataset", "CaseEvaluator", "OneCaseLoader"]
