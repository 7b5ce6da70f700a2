"""The classes of tissue that are segmented in CT and MR of a head."""

from __future__ import annotations

from collections.abc import Mapping

CLASSES: Mapping[str, tuple[str, ...]] = {
    "air": ("background", "sinus"),
    "fluid": ("csf",),
    "white": ("white", "stem"),
    "grey": ("grey", "thalamus", "striatum", "pallidum"),
    "fat": ("fat",),
    "soft": ("muscle", "skin", "mucosa", "dura"),
    "bone": ("skull",),
    "marrow": ("marrow",),
}
"""Tissues of the simulated heads in each class; ``bone`` are its compact tables, ``marrow`` what lies between them,
``soft`` the soft tissue outside the brain. What belongs to none, such as vessels, lesions and metal, is not scored."""

NAMES = tuple(CLASSES)
MODALITIES = ("CT", "MR")
