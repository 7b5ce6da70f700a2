"""Handlers of the trainer and of evaluators: run folder, progress, validation, stages, weights."""

from common.handlers.batch_statistics import EpochStatistics
from common.handlers.fine_tuning import FineTuning
from common.handlers.progress import Progress
from common.handlers.run_folder import LOG_NAME, RunFolder, run_dir
from common.handlers.stages import Stages
from common.handlers.validation import Validation
from common.handlers.weights_loader import WeightsLoader

__all__ = [
    "LOG_NAME",
    "EpochStatistics",
    "FineTuning",
    "Progress",
    "RunFolder",
    "Stages",
    "Validation",
    "WeightsLoader",
    "run_dir",
]
