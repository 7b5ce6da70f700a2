"""Stitching: networks of small inputs applied to whole volumes."""

from common.inferers.cascade import CascadeInferer
from common.inferers.patches import PatchInferer
from common.inferers.planes import PLANES, PlaneInferer, odd_neighbours, plane_axis, slabs

__all__ = ["PLANES", "CascadeInferer", "PatchInferer", "PlaneInferer", "odd_neighbours", "plane_axis", "slabs"]
