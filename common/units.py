"""Units of intensities, and the HU that separate what a CT shows."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

HU = "HU"
"""The unit of CT."""
Z_SCORES = "z"
"""The unit of volumes of mean 0 and standard deviation 1 inside the head."""
ARBITRARY = "a.u."
"""Unit of intensities without one, such as the grey values of a scanner's MR: another scale in each scan."""
LEVELS = "levels"
"""Unit of pictures: levels of 8 bits, 0 to 255."""
PERCENT = "percent of brightness"
"""Of such intensities: percent of what is bright in the volume itself."""

HU_MINIMUM, HU_MAXIMUM = -200, 200
"""A CT in HU has air or lung below -200 and bone above 200; a target window that spans both is taken as HU."""
HU_OF_AIR = -1000.0
"""What padding becomes, and what lies outside a field of view."""
AROUND_BODY_BELOW_HU = -500.0
"""Upper limit of the air around a body; a CT without such values is not in HU."""
TISSUE_ABOVE_HU = -300.0
"""Above the HU of air and lung, below those of tissue."""
AIR_BELOW_HU = -200.0
"""Upper threshold of air in metrics by tissue."""
BONE_ABOVE_HU = 250.0
"""Lower threshold of bone in metrics by tissue; soft tissue is neither air nor bone."""


def tissues_of(ct: NDArray[np.floating[Any]]) -> dict[str, NDArray[np.bool_]]:
    """Masks of ``air``, ``soft`` and ``bone`` of a CT of any shape in HU."""
    air, bone = ct < AIR_BELOW_HU, ct > BONE_ABOVE_HU
    return {"air": air, "soft": ~(air | bone), "bone": bone}
