"""The few transforms that MONAI lacks: guarded loading, intensities by modality, the head and z-scores inside it."""

from common.transforms.head import HeadMaskd, head_mask
from common.transforms.intensity import ScaleWindowd, ToUnitd
from common.transforms.loading import LoadVolumed, WorkingSpacingd
from common.transforms.served import ServedAsFloatd
from common.transforms.standardise import StandardiseHeadd, TargetScale, scale

__all__ = [
    "HeadMaskd",
    "LoadVolumed",
    "ScaleWindowd",
    "ServedAsFloatd",
    "StandardiseHeadd",
    "TargetScale",
    "ToUnitd",
    "WorkingSpacingd",
    "head_mask",
    "scale",
]
