"""Inferers: networks of slices or patches applied to whole volumes."""

from .cascade import CascadeInferer
from .flow import FlowInferer
from .mirroring import MirrorInferer
from .patch_stitching import PatchStitchingInferer
from .several_planes import PlanesInferer
from .slice_stitching import PLANES, PlaneInferer, plane_axis
from .target_scale import TargetScaleInferer

__all__ = [
    "PLANES",
    "CascadeInferer",
    "FlowInferer",
    "MirrorInferer",
    "PatchStitchingInferer",
    "PlaneInferer",
    "PlanesInferer",
    "TargetScaleInferer",
    "plane_axis",
]
