"""The average head, by which the axes of heads are checked: python -m tools.recogniser.average_head."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from common.simulation.head import head_anatomy
from common.trust.axes import FILE, TISSUES, VOXEL_MM

OF_SIMULATION = {
    "fluid": ("csf",), "white": ("white", "lesion"), "grey": ("grey",), "bone": ("skull",), "marrow": ("marrow",),
    "soft": ("vessel", "dura", "muscle", "skin"), "fat": ("fat",), "sinus": ("sinus",), "air": ("background",),
}  # fmt: skip
"""Tissues of the simulated head in each of ``TISSUES``."""


def average_head() -> NDArray[np.uint8]:
    """The tissue with the largest share of each voxel (X, Y, Z) of the simulated average head."""
    fractions = head_anatomy(0, VOXEL_MM).fractions
    shares = [sum(fractions[name] for name in OF_SIMULATION[tissue]) for tissue in TISSUES]
    return np.stack(shares).argmax(axis=0).astype(np.uint8)


if __name__ == "__main__":
    torch.save(torch.from_numpy(average_head()), FILE)
