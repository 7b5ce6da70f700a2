"""Handlers of the trainer and of evaluators: run folder, progress, validation, stages, weights."""

from .batch_statistics import EpochStatistics
from .fine_tuning import FineTuning
from .progress import Progress
from .run_folder import LOG_NAME, RunFolder, run_dir
from .stages import Stages
from .target_scale import TargetScale
from .validation import Validation
from .weights_loader import WeightsLoader

__all__ = [
    "LOG_NAME",
    "EpochStatistics",
    "FineTuning",
    "Progress",
    "RunFolder",
    "Stages",
    "TargetScale",
    "Validation",
    "WeightsLoader",
    "run_dir",
]
