"""Report of the study: table of all folds, means with confidence intervals, figure, HTML page."""

from __future__ import annotations

import io
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import monai
import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from common.evaluation.report import Picture, Report, summarise, write_report, write_tables
from common.evaluation.report.panels import STYLE, figure_image
from common.files import as_cell, write_text
from lesion_dcgan_aug.confusion import classification_scores
from lesion_dcgan_aug.study.confidence_intervals import ConfidenceInterval, confidence_interval
from lesion_dcgan_aug.study.embedding import CAPTION, embedding_png, write_table
from lesion_dcgan_aug.study.fold_results import Arm, FoldResult

logger = logging.getLogger(__name__)
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
    places: pd.DataFrame,
) -> dict[Arm, dict[str, ConfidenceInterval]]:
    """Write ``metrics.csv``, ``summary.json``, ``intervals.csv``, ``table.md``, ``study.png``, ``tsne.csv``,
    ``tsne.png`` and ``report.html``; ``places`` is the table of :func:`lesion_dcgan_aug.study.embedding.coordinates`.
    """
    rows = [
        {"case": result.repeat, "method": result.arm.label, **classification_scores(result.confusion, classes)}
        for result in results
    ]
    summary = summarise(rows)
    write_tables(folder, rows, summary)
    means = intervals(results, classes, folds)
    text = markdown(means, gains(results, classes, folds))
    write_text(folder / "table.md", text)
    write_text(folder / "intervals.csv", _csv(means))
    pictures = [
        Picture("Performance against augmentation", figure_png(means, len(classes)), HOW),
        Picture("Features of real and synthetic patches", embedding_png(places, classes), CAPTION),
    ]
    write_table(folder, places)
    for name, picture in zip(("study.png", "tsne.png"), pictures, strict=True):
        (folder / name).write_bytes(picture.png)
    write_report(folder / "report.html", _report(bundle, rows, summary, text, pictures, settings))
    print(f"\n{bundle}: classification of patches of {len(classes)} classes, {folds} folds by patient\n{text}")
    print(f"report: {folder / 'report.html'}")
    return means


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
        limits = f"[{gain.low:+.3f}, {gain.high:+.3f}]"
        lines.append(f"Balanced accuracy, {name}: {gain.mean:+.3f} {limits}{_outcome(gain)}")
    return "\n".join([*lines, "", HOW, ""])


def _outcome(gain: ConfidenceInterval) -> str:
    if gain.low > 0:
        return ", better"
    return ", worse" if gain.high < 0 else ", no difference shown"


def _csv(means: Mapping[Arm, Mapping[str, ConfidenceInterval]]) -> str:
    rows = [
        {"augmentation": arm.label, "classic": arm.classic, "gan": arm.gan, "metric": name, **value._asdict()}
        for arm, own in means.items()
        for name, value in own.items()
    ]
    return pd.DataFrame(rows).map(as_cell).to_csv(index=False, na_rep="nan", lineterminator="\n")


def figure_png(means: Mapping[Arm, Mapping[str, ConfidenceInterval]], classes: int) -> bytes:
    """Figure of the scores against the patches added to each fold, classic and with GAN samples of so many classes."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(4 * len(SHOWN), 3.6), facecolor="white", layout="constrained")
        for axes, name in zip(figure.subplots(1, len(SHOWN)), SHOWN, strict=True):
            _curves(axes, {arm: own[name] for arm, own in means.items()}, classes)
            axes.set_title(name.replace("_", " "))
        stream = io.BytesIO()
        figure_image(figure, 110).save(stream, "PNG", optimize=True)
        return stream.getvalue()


def _curves(axes: Axes, means: Mapping[Arm, ConfidenceInterval], classes: int) -> None:
    classic = {arm.classic: value for arm, value in means.items() if not arm.gan}
    base = {arm.classic: means[Arm(arm.classic)] for arm in means if arm.gan and Arm(arm.classic) in means}
    mixed = base | {arm.classic + classes * arm.gan: value for arm, value in means.items() if arm.gan}
    for values, colour, label in ((classic, "#1f5a8a", "classic"), (mixed, "#b5521b", "classic + GAN")):
        sizes = sorted(values)
        if sizes:
            axes.plot(sizes, [values[size].mean for size in sizes], "o-", color=colour, label=label, markersize=4)
            bounds: list[Callable] = [lambda value: value.low, lambda value: value.high]
            low, high = ([bound(values[size]) for size in sizes] for bound in bounds)
            axes.fill_between(sizes, np.clip(low, 0, 1), np.clip(high, 0, 1), color=colour, alpha=0.15, linewidth=0)
    axes.set_xscale("symlog", linthresh=100)
    shown = sorted({*classic, *([max(mixed)] if mixed else [])})
    axes.set_xticks(shown, [f"{size:,}" for size in shown], rotation=45)
    axes.minorticks_off()
    axes.set_xlabel("patches added to each fold")
    axes.grid(color="0.92")
    axes.legend(frameon=False, fontsize=9)


def _report(
    bundle: str, rows: list, summary: Mapping, text: str, pictures: list[Picture], settings: Mapping[str, Any]
) -> Report:
    name, _, version = bundle.partition(" ")
    gained = [line for line in text.splitlines() if line.startswith("Balanced")]
    return Report(
        title=f"{name}: classifier performance by augmentation",
        bundle=name,
        version=version,
        unit="HU",
        value_range=tuple(settings.get("gan", {}).get("target_window", (-1.0, 1.0))),
        mask_description="whole patches, one prediction per patch",
        rows=rows,
        summary=summary,
        pictures=pictures,
        settings=settings,
        versions={"monai": monai.__version__, "torch": torch.__version__, "numpy": np.__version__},
        notes=[HOW, *gained, "GANs and normalisation were fitted to each fold's training patients only."],
        reference=next((row["method"] for row in reversed(rows) if "GAN" in row["method"]), "none"),
    )
