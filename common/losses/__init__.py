"""Losses of the methods: of adversaries, distances between images, and their weighted sum."""

from .adversarial import AdversarialLoss
from .distances import Distance, gradient_difference, l1, region_weighted_l1
from .perceptual import PerceptualDistance
from .weighted import weighted_losses, weighted_sum

__all__ = [
    "AdversarialLoss",
    "Distance",
    "PerceptualDistance",
    "gradient_difference",
    "l1",
    "region_weighted_l1",
    "weighted_losses",
    "weighted_sum",
]
