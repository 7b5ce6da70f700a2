"""Checked loading, intensities by modality, head mask, air outside the body, z-scores inside the head, augmentation."""

from common.transforms.augment import random_augmentation
from common.transforms.body import AirOutsideBodyd
from common.transforms.head import HeadMaskd, head_mask
from common.transforms.intensity import ScaleWindowd, ToUnitd
from common.transforms.loading import LoadVolumed, WorkingSpacingd
from common.transforms.orientation import OrientationByChanneld
from common.transforms.served import ServedAsFloatd
from common.transforms.source_scale import ScaleBySourced
from common.transforms.standardise import StandardiseHeadd, scale

__all__ = [
    "AirOutsideBodyd",
    "HeadMaskd",
    "LoadVolumed",
    "OrientationByChanneld",
    "ScaleBySourced",
    "ScaleWindowd",
    "ServedAsFloatd",
    "StandardiseHeadd",
    "ToUnitd",
    "WorkingSpacingd",
    "head_mask",
    "random_augmentation",
    "scale",
]
