"""The few transforms that MONAI lacks: guarded loading, intensities by modality, the head and z-scores inside it."""

from common.transforms.head import HeadMaskd, head_mask
from common.transforms.intensity import ScaleWindowd, ToUnitd
from common.transforms.loading import LoadVolumed, WorkingSpacingd
from common.transforms.standardise import RestoreTargetd, StandardiseHeadd, TargetScale, scale

__all__ = [
    "HeadMaskd",
    "LoadVolumed",
    "RestoreTargetd",
    "ScaleWindowd",
    "StandardiseHeadd",
    "TargetScale",
    "ToUnitd",
    "WorkingSpacingd",
    "head_mask",
    "scale",
]
