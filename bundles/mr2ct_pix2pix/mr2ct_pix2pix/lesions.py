"""Lesions of multiple sclerosis on synthetic FLAIR: how bright they are, and whether a threshold finds them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from common.data.datalist import Item
from common.evaluation.held_out_case import load_case
from common.io import VolumeReader
from common.metrics import lesion_ratio
from common.metrics.masked import Mask, Volume
from common.segmenter.segmentation import dice

THRESHOLDS = np.arange(0.0, 6.0, 0.1)
"""z-scores inside the head that are tried."""


class FlairLesions:
    """Scores of the lesions on a FLAIR in z-scores inside the head, of the prediction and, with ``_truth``, the truth.

    - ``lesion_ratio``: mean grey value of the lesions over that of normal-appearing white matter (NAWM), for cases with
      both masks. Grey value 0 is the median of the true background, which is dark.
    - ``lesion_dice``: Dice overlap of the manual lesions with the voxels above a threshold inside the mask: that which
      has the largest overlap on the real FLAIR of the training cases. Absent where none of these has lesions.

    Args:
        cases: items by section, as :func:`common.data.selection.training_cases` gives them; read at the first call.
        reader: of the volumes, as in training.
    """

    def __init__(self, cases: Mapping[str, Sequence[Item]], reader: VolumeReader | None = None) -> None:
        self.cases = cases
        self.reader = reader
        self.threshold: float | None = None

    def __call__(
        self, pred: Volume, truth: Volume, mask: Mask, lesion: Mask, nawm: Mask | None = None
    ) -> dict[str, float]:
        """Score a prediction (X, Y, Z); a case without lesions has no scores."""
        if not lesion.any():
            return {}
        if self.threshold is None:
            self.threshold = self._fitted()
        scores: dict[str, float] = {}
        for name, volume in {"": pred, "_truth": truth}.items():
            if nawm is not None and not mask.all():
                zero = float(np.median(truth[~mask]))
                scores[f"lesion_ratio{name}"] = lesion_ratio(volume - zero, lesion, nawm & ~lesion)
            if np.isfinite(self.threshold):
                scores[f"lesion_dice{name}"] = dice(mask & (volume > self.threshold), lesion)
        return scores

    def _fitted(self) -> float:
        """The best threshold of the training cases, whose voxels count alike; nan without lesions."""
        counts = np.zeros((2, len(THRESHOLDS)))
        total = 0
        for item in self.cases["training"]:
            if {"label", "lesion"} <= item.keys():
                case = load_case(item, None, self.reader, standardise=True)
                assert case.truth is not None
                lesion = case.regions["lesion"] & case.mask
                above = [np.sort(case.truth[region]) for region in (case.mask, lesion)]
                counts += [[values.size - np.searchsorted(values, t, "right") for t in THRESHOLDS] for values in above]
                total += int(lesion.sum())
        if not total:
            return float("nan")
        return float(THRESHOLDS[np.argmax(2 * counts[1] / (counts[0] + total))])
