"""Whether the tissues of a synthetic image are where those of the truth are."""

from __future__ import annotations

import numpy as np
from nibabel.affines import voxel_sizes
from numpy.typing import ArrayLike

from ..segmenter.network import segmenter
from ..segmenter.segmentation import Classes, dice_by_class, segmented
from ..segmenter.tissues import NAMES
from ..units import HU, Z_SCORES
from .masked import checked_volumes, mean_or_nan
from .surfaces import hd95

MODALITY_OF = {HU: "CT", Z_SCORES: "MR"}
LEAST_BRAIN = 0.1
"""Share of brain inside the mask below which a volume is not the head that the networks know."""


class TissueDice:
    """Dice overlap and 95th percentile Hausdorff distance of the tissues that a small network finds in the synthetic
    image and in the truth, inside the mask.

    ``tissue_dice`` is the mean of ``tissue_dice_air``, ``_fluid``, ``_white``, ``_grey``, ``_fat``, ``_soft``,
    ``_bone`` and ``_marrow``, as far as the truth has them, ``tissue_hd95`` that of their distances in mm, infinite
    where the synthetic image lacks one. The network, :func:`common.segmenter.segmenter`, was
    trained on simulated heads: its own errors are in both images, and where it finds hardly any brain in the truth, as
    in another part of the body, all are nan.

    Args:
        unit: of the volumes: ``HU`` for CT, ``z`` for MR in z-scores inside the head. In another, nothing is measured.
    """

    def __init__(self, unit: str) -> None:
        self.network = segmenter(MODALITY_OF[unit]) if unit in MODALITY_OF else None
        self._last: tuple[ArrayLike, Classes] | None = None

    def __call__(
        self, pred: ArrayLike, truth: ArrayLike, mask: ArrayLike, affine: ArrayLike | None = None
    ) -> dict[str, float]:
        """The measures of volumes (X, Y, Z), distances only with their affine (4, 4) to mm.

        Raises: see :func:`common.metrics.masked.checked_volumes`.
        """
        if self.network is None:
            return {}
        ours, theirs, inside = checked_volumes(pred, truth, mask)
        if self._last is None or self._last[0] is not truth:  # each method is compared with the same truth
            self._last = truth, segmented(theirs, self.network)
        real = self._last[1]
        brain = np.isin(real[inside], [NAMES.index("white"), NAMES.index("grey")]).mean()
        known = brain >= LEAST_BRAIN
        found = segmented(ours, self.network) if known else real
        overlaps = dict.fromkeys(NAMES, np.nan) if not known else dice_by_class(found, real, inside)
        present = [number for number, overlap in enumerate(overlaps.values()) if not np.isnan(overlap)]
        scores = {"tissue_dice": mean_or_nan(np.array(list(overlaps.values()))[present])}
        if affine is not None:
            sizes = voxel_sizes(np.asarray(affine))
            pairs = [(inside & (found == number), inside & (real == number)) for number in present]
            scores["tissue_hd95"] = mean_or_nan(np.array([hd95(*pair, sizes) for pair in pairs]))
        return {**scores, **{f"tissue_dice_{name}": overlap for name, overlap in overlaps.items()}}
