"""Losses of the methods: of adversaries, distances between images, and their weighted sum."""

from common.losses.adversarial import AdversarialLoss
from common.losses.anatomical import AnatomicalL1
from common.losses.distances import BalancedL1, Distance, gradient_difference, l1, region_weighted_l1
from common.losses.perceptual import PerceptualDistance
from common.losses.tolerant import TolerantL1
from common.losses.weighting import weighted_losses, weighted_sum

__all__ = [
    "AdversarialLoss",
    "AnatomicalL1",
    "BalancedL1",
    "Distance",
    "PerceptualDistance",
    "TolerantL1",
    "gradient_difference",
    "l1",
    "region_weighted_l1",
    "weighted_losses",
    "weighted_sum",
]
