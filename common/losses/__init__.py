"""Losses of the methods: of adversaries, distances between images, and their weighted sum."""

from .adversarial import AdversarialLoss
from .distances import Distance, gradient_difference, l1, region_weighted_l1
from .perceptual import PerceptualDistance
from .registered import RegisteredL1
from .tolerant import TolerantL1
from .weighting import is_trained, weighted_losses, weighted_sum

__all__ = [
    "AdversarialLoss",
    "Distance",
    "PerceptualDistance",
    "RegisteredL1",
    "TolerantL1",
    "gradient_difference",
    "is_trained",
    "l1",
    "region_weighted_l1",
    "weighted_losses",
    "weighted_sum",
]
