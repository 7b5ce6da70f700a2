"""Tissue of every label: the numbers of FreeSurfer for the brain, those of SynthSeg's training maps around it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from ...errors import DataError

Codes = NDArray[np.uint8]
"""Tissues of voxels, as positions in ``CODES``."""

CODES = (
    "background",
    "sinus",
    "artery",
    "vein",
    "white",
    "grey",
    "csf",
    "thalamus",
    "striatum",
    "pallidum",
    "stem",
    "choroid",
    "lesion",
    "skull",
    "marrow",
    "muscle",
    "fat",
    "mucosa",
    "skin",
    "oedema",
    "tumour",
    "infarct",
    "haematoma",
    "calcium",
    "metal",
)
"""What a voxel may be; arteries and veins are one tissue, ``vessel``."""

CODE: Mapping[str, int] = {name: position for position, name in enumerate(CODES)}

SOFT = 255
"""Muscle and fat together, before they are separated."""

LABELS: Mapping[str, tuple[int, ...]] = {
    "background": (0,),
    "artery": (30, 62, 502),
    "vein": (514,),
    "white": (2, 7, 41, 46, 77, 85, 530),
    "grey": (3, 8, 17, 18, 26, 42, 47, 53, 54, 58),
    "csf": (4, 5, 14, 15, 24, 43, 44, 72, 506),
    "thalamus": (10, 49),
    "striatum": (11, 12, 50, 51),
    "pallidum": (13, 52),
    "stem": (16, 28, 60, 512),
    "choroid": (31, 63, 136, 137, 163, 164),
    "lesion": (25, 57),
    "muscle": (508,),
    "mucosa": (509,),
    "skin": (511,),
    "skull": (515,),
    "marrow": (516,),
}
"""Labels of each tissue. The eye is fluid; the cord is as the brain stem."""

SOFT_LABEL = 507
EYE_LABEL = 506
VENTRICLE_LABELS = (4, 43)
"""The lateral ones."""
BRAIN = ("white", "grey", "thalamus", "striatum", "pallidum", "stem", "choroid", "lesion")


def coded(labels: NDArray[np.integer], name: str) -> Codes:
    """Codes of labels, soft tissue as ``SOFT``.

    Raises:
        DataError: labels that are not in ``LABELS``.
    """
    table = np.full(max(SOFT_LABEL, max(max(own) for own in LABELS.values())) + 1, CODE["metal"], np.uint8)
    for tissue, own in LABELS.items():
        table[list(own)] = CODE[tissue]
    table[SOFT_LABEL] = SOFT
    found = np.flatnonzero(np.bincount(labels.ravel(), minlength=len(table)))
    if unknown := [int(label) for label in found if label >= len(table) or table[label] == CODE["metal"]]:
        remedy = "convert them to those of FreeSurfer and SynthSeg, or exclude the map"
        raise DataError(f"{name} has unknown labels, such as {unknown[:5]}", remedy)
    codes: Codes = table[labels]
    return codes


def inside(codes: Codes, *tissues: str) -> NDArray[np.bool_]:
    """Where the codes are one of some tissues."""
    table = np.zeros(256, np.bool_)
    table[[CODE[name] for name in tissues]] = True
    mask: NDArray[np.bool_] = table[codes]
    return mask
