"""Whether a synthetic image segments like the truth."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ..config.checks import HU
from ..segmenter.pretrained import segmenter
from ..segmenter.segmentation import Classes, dice_by_class, segmented
from ..segmenter.tissues import NAMES
from .masked import Z_SCORES, checked_volumes

MODALITY_OF = {HU: "CT", Z_SCORES: "MR"}
LEAST_BRAIN = 0.1
"""Share of brain inside the mask below which a volume is not the head that the networks know."""


class TissueDice:
    """Dice overlap of the tissues that a small network finds in the synthetic image and in the truth, inside the mask.

    ``tissue_dice`` is the mean of ``tissue_dice_air``, ``_fluid``, ``_white``, ``_grey``, ``_fat``, ``_soft``,
    ``_bone`` and ``_marrow``, as far as the truth has them. The network, :func:`common.segmenter.segmenter`, was
    trained on simulated heads: its own errors are in both images, and where it finds hardly any brain in the truth, as
    in another part of the body, all are nan.

    Args:
        unit: of the volumes: ``HU`` for CT, ``z`` for MR in z-scores inside the head. In another, nothing is measured.
    """

    def __init__(self, unit: str) -> None:
        self.network = segmenter(MODALITY_OF[unit]) if unit in MODALITY_OF else None
        self._last: tuple[ArrayLike, Classes] | None = None

    def __call__(self, pred: ArrayLike, truth: ArrayLike, mask: ArrayLike) -> dict[str, float]:
        """The measures of volumes (X, Y, Z). Raises: see :func:`common.metrics.masked.checked_volumes`."""
        if self.network is None:
            return {}
        ours, theirs, inside = checked_volumes(pred, truth, mask)
        if self._last is None or self._last[0] is not truth:  # each method is compared with the same truth
            self._last = truth, segmented(theirs, self.network)
        real = self._last[1]
        brain = np.isin(real[inside], [NAMES.index("white"), NAMES.index("grey")]).mean()
        known = brain >= LEAST_BRAIN
        overlaps = dice_by_class(segmented(ours, self.network), real, inside) if known else dict.fromkeys(NAMES, np.nan)
        present = [overlap for overlap in overlaps.values() if not np.isnan(overlap)]
        mean = float(np.mean(present)) if present else float("nan")
        return {"tissue_dice": mean, **{f"tissue_dice_{name}": overlap for name, overlap in overlaps.items()}}
