"""Tissues of the head as a small frozen network sees them: for a loss on its features, and for a measure."""

from .network import segmenter
from .tissues import CLASSES, NAMES

__all__ = ["CLASSES", "NAMES", "segmenter"]
