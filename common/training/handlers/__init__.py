"""Handlers of the trainer and of evaluators: run folder, progress, validation, stages, weights."""

from common.training.handlers.batch_statistics import EpochStatistics
from common.training.handlers.fine_tuning import FineTuning
from common.training.handlers.progress import Progress
from common.training.handlers.run_folder import LOG_NAME, RunFolder, run_dir
from common.training.handlers.stages import Stages
from common.training.handlers.target_scale import TargetScale
from common.training.handlers.validation import Validation
from common.training.handlers.weights_loader import WeightsLoader

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
