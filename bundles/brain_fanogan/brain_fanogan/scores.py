"""Scores of anomaly maps against lesion masks."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from typing import Any, cast

import numpy as np
import torch
from nibabel.orientations import io_orientation
from numpy.typing import NDArray

from brain_fanogan.method import residual
from brain_fanogan.networks import FAnoGan
from common.data.datalist import Item
from common.evaluation.evaluation import Evaluation
from common.evaluation.held_out_case import Case
from common.evaluation.methods import EvaluatedMethod
from common.segmenter.segmentation import dice

logger = logging.getLogger(__name__)
Volume = NDArray[np.floating[Any]]
Mask = NDArray[np.bool_]


def best_threshold(scores: Volume, lesion: Mask) -> float:
    """The threshold of voxels (N,) from which on their Dice overlap with the lesion is largest."""
    from sklearn.metrics import precision_recall_curve  # of evaluations alone

    precision, recall, thresholds = precision_recall_curve(lesion, scores)
    overlap = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
    return float(thresholds[np.argmax(overlap[:-1])])


def detection_scores(pred: Volume, mask: Mask, lesion: Mask, threshold: float | None) -> dict[str, float]:
    """Scores of the voxels of a map inside the brain, (X, Y, Z) each: ``auprc``, ``auroc``, and the overlap with the
    lesion of those from a threshold on, ``best_dice`` of the best one for this case, ``dice`` of the one given."""
    from sklearn.metrics import average_precision_score

    values, real = pred[mask], lesion[mask]
    scores = {
        "auprc": float(average_precision_score(real, values)),
        "auroc": auroc(real, values),
        "best_dice": dice(values >= best_threshold(values, real), real),
    }
    return scores if threshold is None else scores | {"dice": dice(values >= threshold, real)}


def auroc(real: Mask, scores: Volume) -> float:
    """Area under the ROC curve of numbers (N,); nan where all are of one kind."""
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(real, scores)) if 0 < real.sum() < len(real) else float("nan")


def slice_auroc(pred: Volume, mask: Mask, lesion: Mask) -> float:
    """AUROC of slices (Z, X, Y) with and without lesion by the sum of the squares of the map, for slices with brain."""
    shown = np.any(mask, axis=(1, 2))
    squares = np.where(mask, pred.astype(float) ** 2, 0).sum((1, 2))
    return auroc(np.asarray(lesion.any((1, 2)))[shown], squares[shown])


@dataclass
class LesionEvaluation(Evaluation):
    """Evaluation of anomaly maps by the lesions that they find, of test cases with lesions; others have ``residual``.

    The threshold of each method is that with the best Dice over the voxels of all validation cases with lesions.
    ``slice_auroc`` is that of slices with and without lesion, of f-AnoGAN by its score of a whole slice, the residuals
    of image and features, of other methods by :func:`slice_auroc`.
    """

    thresholds: dict[str, float] = field(default_factory=dict, init=False)
    trained: dict[str, EvaluatedMethod] = field(default_factory=dict, init=False)

    def run(self) -> dict[str, Any]:
        """Choose the thresholds, then evaluate; see :meth:`common.evaluation.evaluation.Evaluation.run`."""
        self.trained, line = self._methods(), self._line()
        cases = [self._load(item) for item in self.cases["validation"] if "lesion" in item]
        if not cases:
            logger.warning("evaluation: no Dice, since no validation case has lesions, by which thresholds are chosen")
            return super().run()
        lesion = np.concatenate([case.regions["lesion"][case.mask] for case in cases])
        made = [self._predictions(self.trained, line, case) for case in cases]
        for name in made[0]:
            values = [maps[name][case.mask] for maps, case in zip(made, cases, strict=True)]
            self.thresholds[name] = best_threshold(np.concatenate(values), lesion)
        return super().run()

    def _load(self, item: Item) -> Case:
        return replace(super()._load(item), truth=None)

    def _score(self, prediction: Volume, case: Case, method: str) -> dict[str, float]:
        lesion = case.regions.get("lesion", np.zeros_like(case.mask)) & case.mask
        scores = {"residual": residual(prediction, prediction, case.mask)}
        if not lesion.any():
            return scores
        scores = detection_scores(prediction, case.mask, lesion, self.thresholds.get(method)) | scores
        if method in self.trained and isinstance(self.trained[method].network, FAnoGan):
            return scores | {"slice_auroc": self._published(self.trained[method], case)}
        axial = int(np.flatnonzero(io_orientation(case.affine)[:, 0] == 2)[0])
        pred, mask, real = (np.moveaxis(np.asarray(each), axial, 0) for each in (prediction, case.mask, lesion))
        return scores | {"slice_auroc": slice_auroc(pred, mask.astype(bool), real.astype(bool))}

    def _published(self, method: EvaluatedMethod, case: Case) -> float:
        """``slice_auroc`` by the score of f-AnoGAN, of the slices that its network takes."""
        item = method.preprocessing({key: case.item[key] for key in ("case", "image", "lesion")})
        slices = item["image"].as_tensor().movedim(3, 0)
        shown = slices.flatten(1).amax(1) > -1
        real = (item["lesion"].as_tensor() > 0).flatten(0, 2).any(0)[shown]
        with torch.no_grad():
            found = cast(FAnoGan, method.network).scores(slices[shown].to(self.device)).cpu()
        return auroc(real.numpy(), found.numpy())
