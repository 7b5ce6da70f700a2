"""Tissues of the head as a small frozen network sees them: for a loss on its features, and for a measure."""

from common.segmenter.shipped import segmenter
from common.segmenter.tissues import CLASSES, NAMES

__all__ = ["CLASSES", "NAMES", "segmenter"]
