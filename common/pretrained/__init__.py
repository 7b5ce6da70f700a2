"""Weights trained on simulations that a bundle ships: written, found, started from, and doubted on unlike input."""

from common.pretrained.fallback import fall_back
from common.pretrained.input_check import InputCheck
from common.pretrained.shipped import PRETRAINED_NAME, About, origin, read_about
from common.pretrained.start import Start

__all__ = ["PRETRAINED_NAME", "About", "InputCheck", "Start", "fall_back", "origin", "read_about"]
