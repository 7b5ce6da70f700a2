"""Scores of the study, one class against the rest, their confidence intervals, and its tables."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import t

from common.evaluation.report import summarise, write_tables
from common.files import write_text
from lesion_dcgan_aug.study.fold_results import Arm, FoldResult

LEVEL = 0.95
SHOWN = ("balanced_accuracy", "sensitivity", "specificity")
HOW = (
    "Mean [95% interval] over folds and seeds; corrected resampled t (Nadeau and Bengio 2003). Sensitivity and "
    "specificity one against the rest, weighted by the cases of each class."
)


def classification_scores(matrix: ArrayLike, classes: Sequence[str]) -> dict[str, float]:
    """Sensitivity and specificity, one against the rest, of each class and overall, and the balanced accuracy.

    Overall values are means over the classes weighted by their number of cases, so that the overall sensitivity is the
    accuracy; the balanced accuracy is the unweighted mean of the sensitivities. A class without cases has the
    sensitivity NaN, which means exclude, and likewise the specificity of a class that all cases belong to.

    Args:
        matrix: counts (K, K), rows the true class, columns the predicted one.
        classes: names in order.
    """
    counts = np.asarray(matrix, float)
    right, cases = counts.diagonal(), counts.sum(axis=1)
    others = counts.sum() - cases
    with np.errstate(invalid="ignore"):
        own, rest = right / cases, (others - counts.sum(axis=0) + right) / others
    scores = {
        "sensitivity": _weighted(own, cases),
        "specificity": _weighted(rest, cases),
        "balanced_accuracy": float(np.nanmean(own)),
    }
    for name, sensitivity, specificity in zip(classes, own, rest, strict=True):
        scores |= {f"sensitivity_{name}": float(sensitivity), f"specificity_{name}": float(specificity)}
    return scores


def _weighted(values: NDArray[np.float64], weights: NDArray[np.float64]) -> float:
    defined = np.isfinite(values)
    return float(np.average(values[defined], weights=weights[defined]))


class ConfidenceInterval(NamedTuple):
    """A mean with its confidence interval; NaN where there are fewer than two values."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.mean:.3f} [{self.low:.3f}, {self.high:.3f}]"


def confidence_interval(values: Sequence[float], folds: int) -> ConfidenceInterval:
    """Mean over folds and seeds with its 95% interval by the corrected resampled t statistic.

    The variance of J values is multiplied by 1/J + n_test/n_train rather than 1/J, since training sets of different
    folds overlap (Nadeau and Bengio 2003; Bouckaert and Frank 2004 for repeated cross-validation).

    Args:
        values: J scores, one a fold and seed; NaN (a fold without the class) is excluded.
        folds: k, so that n_test / n_train = 1 / (k - 1).
    """
    scores = np.asarray([value for value in values if math.isfinite(value)], float)
    if scores.size < 2:
        return ConfidenceInterval(float(scores.mean()) if scores.size else math.nan, math.nan, math.nan)
    variance = scores.var(ddof=1) * (1 / scores.size + 1 / (folds - 1))
    half = float(t.ppf((1 + LEVEL) / 2, scores.size - 1) * math.sqrt(variance))
    return ConfidenceInterval(float(scores.mean()), float(scores.mean()) - half, float(scores.mean()) + half)


def write_study(folder: Path, results: Sequence[FoldResult], classes: Sequence[str], folds: int, bundle: str) -> None:
    """Write ``metrics.csv``, ``summary.json`` and ``table.md``, and print the table."""
    rows = scored(results, classes)
    write_tables(folder, rows, summarise(rows))
    text = markdown(rows, gains(results, rows, folds), folds)
    write_text(folder / "table.md", text)
    print(f"\n{bundle}: classification of patches of {len(classes)} classes, {folds} folds by patient\n{text}")


def scored(results: Sequence[FoldResult], classes: Sequence[str]) -> list[dict[str, Any]]:
    """The scores of each result, in the rows of ``metrics.csv``."""
    scores = [classification_scores(each.confusion, classes) for each in results]
    return [{"case": each.repeat, "method": each.arm.label, **own} for each, own in zip(results, scores, strict=True)]


def gains(
    results: Sequence[FoldResult], rows: Sequence[Mapping[str, Any]], folds: int
) -> dict[str, ConfidenceInterval]:
    """Paired gain in balanced accuracy of every GAN size over the same classic augmentation without GAN."""
    scores = {(row["method"], row["case"]): row["balanced_accuracy"] for row in rows}
    found = {}
    for arm in dict.fromkeys(result.arm for result in results if result.arm.gan):
        plain = Arm(arm.classic).label
        pairs = [(score, scores.get((plain, case))) for (method, case), score in scores.items() if method == arm.label]
        differences = [with_gan - without for with_gan, without in pairs if without is not None]
        found[f"{arm.label} against {plain}"] = confidence_interval(differences, folds)
    return found


def markdown(rows: Sequence[Mapping[str, Any]], gained: Mapping[str, ConfidenceInterval], folds: int) -> str:
    """The study's table as Markdown, followed by the gains from GAN samples."""
    lines = [f"| augmentation | {' | '.join(SHOWN)} |", "|---" * (len(SHOWN) + 1) + "|"]
    for method in dict.fromkeys(row["method"] for row in rows):
        own = [row for row in rows if row["method"] == method]
        means = (str(confidence_interval([row[name] for row in own], folds)) for name in SHOWN)
        lines.append(f"| {method} | {' | '.join(means)} |")
    lines.append("")
    for name, gain in gained.items():
        found = "better" if gain.low > 0 else "worse" if gain.high < 0 else "no difference shown"
        limits = f"[{gain.low:+.3f}, {gain.high:+.3f}]"
        lines.append(f"Balanced accuracy, {name}: {gain.mean:+.3f} {limits}, {found}")
    return "\n".join([*lines, "", HOW, ""])
