"""Pretrained weights: export, lookup, fine-tuning, out-of-distribution warnings."""

from common.trained.fallback import fall_back
from common.trained.fine_tuning import FineTuning
from common.trained.input_check import InputCheck
from common.weights_info import PRETRAINED_NAME, PretrainedInfo, origin, read_info

__all__ = ["PRETRAINED_NAME", "FineTuning", "InputCheck", "PretrainedInfo", "fall_back", "origin", "read_info"]
