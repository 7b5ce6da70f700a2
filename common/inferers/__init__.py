"""Stitching: networks of small inputs applied to whole volumes."""

from common.inferers.cascade import CascadeInferer
from common.inferers.patches import PatchInferer
from common.inferers.planes import PLANES, PlaneInferer, odd_neighbours, plane_axis, slabs
from common.inferers.target_scale import TargetScaleInferer

__all__ = [
    "PLANES",
    "CascadeInferer",
    "PatchInferer",
    "PlaneInferer",
    "TargetScaleInferer",
    "odd_neighbours",
    "plane_axis",
    "slabs",
]
