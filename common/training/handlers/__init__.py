"""Handlers of the trainer: run folder, progress, validation, stages, fine-tuning."""

from .batch_statistics import EpochStatistics
from .fine_tuning import FineTuning
from .progress import Progress
from .run_folder import LOG_NAME, RunFolder
from .stages import Stages
from .target_scale import TargetScale
from .validation import Validation

__all__ = [
    "LOG_NAME",
    "EpochStatistics",
    "FineTuning",
    "Progress",
    "RunFolder",
    "Stages",
    "TargetScale",
    "Validation",
]
