"""Inferers: networks of slices or patches applied to whole volumes."""

from common.inferers.cascade import CascadeInferer
from common.inferers.flow import FlowInferer
from common.inferers.mirroring import MirrorInferer
from common.inferers.patch_stitching import PatchStitchingInferer
from common.inferers.slice_stitching import PLANES, PlaneInferer, plane_axis
from common.inferers.target_scale import TargetScaleInferer

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
