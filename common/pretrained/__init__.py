"""Pretrained weights: export, lookup, fine-tuning, out-of-distribution warnings."""

from common.pretrained.fallback import fall_back
from common.pretrained.fine_tuning import FineTuning
from common.pretrained.input_check import InputCheck
from common.weights_info import PRETRAINED_NAME, PretrainedInfo, origin, read_info

__all__ = ["PRETRAINED_NAME", "FineTuning", "InputCheck", "PretrainedInfo", "fall_back", "origin", "read_info"]
