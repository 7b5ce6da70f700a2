"""Tables of the study: the scores of all folds, and their means with confidence intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from common.evaluation.report import summarise, write_tables
from common.files import as_cell, write_text
from lesion_dcgan_aug.study.fold_results import Arm, FoldResult
from lesion_dcgan_aug.study.scores import ConfidenceInterval, classification_scores, confidence_interval

SHOWN = ("balanced_accuracy", "sensitivity", "specificity")
HOW = (
    "Mean [95% interval] over folds and seeds; corrected resampled t (Nadeau and Bengio 2003). Sensitivity and "
    "specificity one against the rest, weighted by the cases of each class."
)


def write_study(folder: Path, results: Sequence[FoldResult], classes: Sequence[str], folds: int, bundle: str) -> None:
    """Write ``metrics.csv``, ``summary.json``, ``intervals.csv`` and ``table.md``, and print the table."""
    rows = [
        {"case": result.repeat, "method": result.arm.label, **classification_scores(result.confusion, classes)}
        for result in results
    ]
    write_tables(folder, rows, summarise(rows))
    means = intervals(results, classes, folds)
    text = markdown(means, gains(results, classes, folds))
    write_text(folder / "table.md", text)
    write_text(folder / "intervals.csv", _csv(means))
    print(f"\n{bundle}: classification of patches of {len(classes)} classes, {folds} folds by patient\n{text}")


def intervals(
    results: Sequence[FoldResult], classes: Sequence[str], folds: int
) -> dict[Arm, dict[str, ConfidenceInterval]]:
    """Confidence intervals of every score of every arm, in order of appearance."""
    table: dict[Arm, dict[str, ConfidenceInterval]] = {}
    for arm in dict.fromkeys(result.arm for result in results):
        scores = [classification_scores(result.confusion, classes) for result in results if result.arm == arm]
        table[arm] = {name: confidence_interval([score[name] for score in scores], folds) for name in scores[0]}
    return table


def gains(results: Sequence[FoldResult], classes: Sequence[str], folds: int) -> dict[str, ConfidenceInterval]:
    """Paired gain in balanced accuracy of every GAN size over the same classic augmentation without GAN."""
    scores = {(c.arm, c.repeat): classification_scores(c.confusion, classes)["balanced_accuracy"] for c in results}
    found = {}
    for arm in dict.fromkeys(result.arm for result in results if result.arm.gan):
        pairs = [(scores[arm, repeat], scores.get((Arm(arm.classic), repeat))) for own, repeat in scores if own == arm]
        differences = [with_gan - without for with_gan, without in pairs if without is not None]
        found[f"{arm.label} against {Arm(arm.classic).label}"] = confidence_interval(differences, folds)
    return found


def markdown(means: Mapping[Arm, Mapping[str, ConfidenceInterval]], gained: Mapping[str, ConfidenceInterval]) -> str:
    """The study's table as Markdown, followed by the gains from GAN samples."""
    lines = [f"| augmentation | {' | '.join(SHOWN)} |", "|---" * (len(SHOWN) + 1) + "|"]
    lines += [f"| {arm.label} | {' | '.join(str(own[name]) for name in SHOWN)} |" for arm, own in means.items()]
    lines.append("")
    for name, gain in gained.items():
        found = "better" if gain.low > 0 else "worse" if gain.high < 0 else "no difference shown"
        limits = f"[{gain.low:+.3f}, {gain.high:+.3f}]"
        lines.append(f"Balanced accuracy, {name}: {gain.mean:+.3f} {limits}, {found}")
    return "\n".join([*lines, "", HOW, ""])


def _csv(means: Mapping[Arm, Mapping[str, ConfidenceInterval]]) -> str:
    rows = [
        {"augmentation": arm.label, "classic": arm.classic, "gan": arm.gan, "metric": name, **value._asdict()}
        for arm, own in means.items()
        for name, value in own.items()
    ]
    return pd.DataFrame(rows).map(as_cell).to_csv(index=False, na_rep="nan", lineterminator="\n")
