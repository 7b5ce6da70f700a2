"""Inferers: networks of slices or patches applied to whole volumes."""

from common.stitching.cascade import CascadeInferer
from common.stitching.flow import FlowInferer
from common.stitching.mirroring import MirrorInferer
from common.stitching.patch_stitching import PatchStitchingInferer
from common.stitching.slice_stitching import PLANES, PlaneInferer, plane_axis
from common.stitching.target_scale import TargetScaleInferer

__all__ = [
    "PLANES",
    "CascadeInferer",
    "FlowInferer",
    "MirrorInferer",
    "PatchStitchingInferer",
    "PlaneInferer",
    "TargetScaleInferer",
    "plane_axis",
]
