"""Report of the study: table of all folds, means with confidence intervals, HTML page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import monai
import numpy as np
import pandas as pd
import torch

from common.evaluation.report import Report, summarise, write_report, write_tables
from common.files import as_cell, write_text
from lesion_dcgan_aug.study.fold_results import Arm, FoldResult
from lesion_dcgan_aug.study.scores import ConfidenceInterval, classification_scores, confidence_interval

SHOWN = ("balanced_accuracy", "sensitivity", "specificity")
HOW = (
    "Mean [95% interval] over folds and seeds; corrected resampled t (Nadeau and Bengio 2003). Sensitivity and "
    "specificity one against the rest, weighted by the cases of each class."
)


def write_study(
    folder: Path,
    results: Sequence[FoldResult],
    classes: Sequence[str],
    folds: int,
    bundle: str,
    settings: Mapping[str, Any],
) -> None:
    """Write ``metrics.csv``, ``summary.json``, ``intervals.csv``, ``table.md`` and ``report.html``; print the table."""
    rows: list[dict[str, Any]] = [
        {"case": result.repeat, "method": result.arm.label, **classification_scores(result.confusion, classes)}
        for result in results
    ]
    summary = summarise(rows)
    write_tables(folder, rows, summary)
    means, gained = intervals(results, classes, folds), gains(results, classes, folds)
    text = markdown(means, gained)
    write_text(folder / "table.md", text)
    write_text(folder / "intervals.csv", _csv(means))
    name, _, version = bundle.partition(" ")
    report = Report(
        title=f"{name}: classifier performance by augmentation",
        bundle=name,
        version=version,
        unit="HU",
        value_range=tuple(settings.get("gan", {}).get("target_window", (-1.0, 1.0))),
        mask_description="whole patches, one prediction per patch",
        rows=rows,
        summary=summary,
        settings=settings,
        versions={"monai": monai.__version__, "torch": torch.__version__, "numpy": np.__version__},
        notes=[HOW, *_lines(gained), "GANs and normalisation were fitted to each fold's training patients only."],
        reference=next((row["method"] for row in reversed(rows) if "GAN" in row["method"]), "none"),
    )
    write_report(folder / "report.html", report)
    print(f"\n{bundle}: classification of patches of {len(classes)} classes, {folds} folds by patient\n{text}")
    print(f"report: {folder / 'report.html'}")


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
    return "\n".join([*lines, "", *_lines(gained), "", HOW, ""])


def _lines(gained: Mapping[str, ConfidenceInterval]) -> list[str]:
    """A sentence about each gain."""
    found = {name: "better" if gain.low > 0 else "worse" if gain.high < 0 else "no difference shown"
             for name, gain in gained.items()}  # fmt: skip
    return [f"Balanced accuracy, {name}: {gain.mean:+.3f} [{gain.low:+.3f}, {gain.high:+.3f}], {found[name]}"
            for name, gain in gained.items()]  # fmt: skip


def _csv(means: Mapping[Arm, Mapping[str, ConfidenceInterval]]) -> str:
    rows = [
        {"augmentation": arm.label, "classic": arm.classic, "gan": arm.gan, "metric": name, **value._asdict()}
        for arm, own in means.items()
        for name, value in own.items()
    ]
    return pd.DataFrame(rows).map(as_cell).to_csv(index=False, na_rep="nan", lineterminator="\n")
