"""Checked loading, intensities by modality, head mask, air outside the body, z-scores inside the head."""

from .body import AirOutsideBodyd
from .head import HeadMaskd, head_mask
from .intensity import ScaleWindowd, ToUnitd
from .loading import LoadVolumed
from .monai_label import ServedAsFloatd
from .orientation import InvertInPlaced, OrientationByChanneld
from .source_scale import ScaleBySourced
from .spacing import WorkingSpacingd
from .standardise import StandardiseHeadd, scale
from .subject import SubjectBoxd

__all__ = [
    "AirOutsideBodyd",
    "HeadMaskd",
    "InvertInPlaced",
    "LoadVolumed",
    "OrientationByChanneld",
    "ScaleBySourced",
    "ScaleWindowd",
    "ServedAsFloatd",
    "StandardiseHeadd",
    "SubjectBoxd",
    "ToUnitd",
    "WorkingSpacingd",
    "head_mask",
    "scale",
]
