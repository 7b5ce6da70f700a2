"""What training and inference share: the folder of a run, its weights, precision and acceleration."""

from .folder import run_dir
from .weights_loader import WeightsLoader

__all__ = ["WeightsLoader", "run_dir"]
