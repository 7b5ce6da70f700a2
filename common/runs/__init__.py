"""A training run on disk: its folder, its lock, its log, its best model, its last checkpoint, and how it goes on."""

from common.runs.folder import LOG_NAME, RUN_NAME, RunFolder, run_dir
from common.runs.progress import Progress

__all__ = ["LOG_NAME", "RUN_NAME", "Progress", "RunFolder", "run_dir"]
