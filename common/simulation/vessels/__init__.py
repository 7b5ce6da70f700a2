"""Arteries, veins and sinuses of the head."""

from .tree import fill, vessel_lines

__all__ = ["fill", "vessel_lines"]
