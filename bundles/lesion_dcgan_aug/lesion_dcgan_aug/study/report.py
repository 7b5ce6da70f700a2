"""What comes of the study: tables of every fold and of means with intervals, a figure, a page."""

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

from common.files import write_text
from common.report import Picture, Report, summarise, write_report, write_tables
from common.report.panels import STYLE, picture
from lesion_dcgan_aug.metrics.confusion import classification_scores
from lesion_dcgan_aug.study.cells import Arm, StudyCell
from lesion_dcgan_aug.study.intervals import Interval, interval

logger = logging.getLogger(__name__)
SHOWN = ("balanced_accuracy", "sensitivity", "specificity")
HOW = (
    "Mean [95% interval] over folds and seeds; corrected resampled t (Nadeau and Bengio 2003). Sensitivity and "
    "specificity one against the rest, weighted by the cases of each class."
)


def write_study(
    folder: Path,
    cells: Sequence[StudyCell],
    classes: Sequence[str],
    folds: int,
    bundle: str,
    settings: Mapping[str, Any],
) -> dict[Arm, dict[str, Interval]]:
    """Write ``metrics.csv``, ``summary.json``, ``intervals.csv``, ``table.md``, ``study.png`` and ``report.html``."""
    rows = [
        {"case": cell.repeat, "method": cell.arm.label, **classification_scores(cell.confusion, classes)}
        for cell in cells
    ]
    summary = summarise(rows)
    write_tables(folder, rows, summary)
    means = intervals(cells, classes, folds)
    text = markdown(means, gains(cells, classes, folds))
    write_text(folder / "table.md", text)
    write_text(folder / "intervals.csv", _csv(means))
    png = figure_png(means)
    with open(folder / "study.png", "wb") as file:
        file.write(png)
    write_report(folder / "report.html", _report(bundle, rows, summary, text, png, settings, folder))
    print(f"\n{bundle}: classification of patches of {len(classes)} classes, {folds} folds by patient\n{text}")
    print(f"report: {folder / 'report.html'}")
    return means


def intervals(cells: Sequence[StudyCell], classes: Sequence[str], folds: int) -> dict[Arm, dict[str, Interval]]:
    """Every score of every augmentation, in order of appearance."""
    table: dict[Arm, dict[str, Interval]] = {}
    for arm in dict.fromkeys(cell.arm for cell in cells):
        scores = [classification_scores(cell.confusion, classes) for cell in cells if cell.arm == arm]
        table[arm] = {name: interval([score[name] for score in scores], folds) for name in scores[0]}
    return table


def gains(cells: Sequence[StudyCell], classes: Sequence[str], folds: int) -> dict[str, Interval]:
    """Of balanced accuracy, on the same folds and seeds: of every GAN size over the classic set beneath it."""
    scores = {(c.arm, c.repeat): classification_scores(c.confusion, classes)["balanced_accuracy"] for c in cells}
    found = {}
    for arm in dict.fromkeys(cell.arm for cell in cells if cell.arm.gan):
        pairs = [(scores[arm, repeat], scores.get((Arm(arm.classic), repeat))) for own, repeat in scores if own == arm]
        differences = [with_gan - without for with_gan, without in pairs if without is not None]
        found[f"{arm.label} against {Arm(arm.classic).label}"] = interval(differences, folds)
    return found


def markdown(means: Mapping[Arm, Mapping[str, Interval]], gained: Mapping[str, Interval]) -> str:
    """The table of the study, with what GAN samples gain beneath it."""
    lines = [f"| augmentation | {' | '.join(SHOWN)} |", "|---" * (len(SHOWN) + 1) + "|"]
    lines += [f"| {arm.label} | {' | '.join(str(own[name]) for name in SHOWN)} |" for arm, own in means.items()]
    lines += ["", *(f"Balanced accuracy, {name}: {value.mean:+.3f} [{value.low:+.3f}, {value.high:+.3f}]{_word(value)}"
                    for name, value in gained.items()), "", HOW, ""]  # fmt: skip
    return "\n".join(lines)


def _word(gain: Interval) -> str:
    if gain.low > 0:
        return ", better"
    return ", worse" if gain.high < 0 else ", no difference shown"


def _csv(means: Mapping[Arm, Mapping[str, Interval]]) -> str:
    rows = [
        {"augmentation": arm.label, "classic": arm.classic, "gan": arm.gan, "metric": name, **value._asdict()}
        for arm, own in means.items()
        for name, value in own.items()
    ]
    return pd.DataFrame(rows).to_csv(index=False, na_rep="nan", lineterminator="\n")


def figure_png(means: Mapping[Arm, Mapping[str, Interval]]) -> bytes:
    """Scores against the number of patches that were added to each class, classic and with GAN samples."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(4 * len(SHOWN), 3.6), facecolor="white", layout="constrained")
        for axes, name in zip(figure.subplots(1, len(SHOWN)), SHOWN, strict=True):
            _curves(axes, {arm: own[name] for arm, own in means.items()})
            axes.set_title(name.replace("_", " "))
        stream = io.BytesIO()
        picture(figure, 110).save(stream, "PNG", optimize=True)
        return stream.getvalue()


def _curves(axes: Axes, means: Mapping[Arm, Interval]) -> None:
    classic = {arm.classic: value for arm, value in means.items() if not arm.gan}
    base = {arm.classic: means[Arm(arm.classic)] for arm in means if arm.gan and Arm(arm.classic) in means}
    mixed = base | {arm.classic + arm.gan: value for arm, value in means.items() if arm.gan}
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
    axes.set_xlabel("patches added to each class")
    axes.grid(color="0.92")
    axes.legend(frameon=False, fontsize=9)


def _report(
    bundle: str, rows: list, summary: Mapping, text: str, png: bytes, settings: Mapping[str, Any], folder: Path
) -> Report:
    name, _, version = bundle.partition(" ")
    gained = [line for line in text.splitlines() if line.startswith("Balanced")]
    return Report(
        title=f"{name}: what augmentation adds to a classifier",
        bundle=name,
        version=version,
        unit="HU",
        value_range=tuple(settings.get("gan", {}).get("target_window", (-1.0, 1.0))),
        mask_description="whole patches, a classifier's verdict on each",
        rows=rows,
        summary=summary,
        pictures=[Picture("Performance against augmentation", png, HOW)],
        settings=settings,
        versions={"monai": monai.__version__, "torch": torch.__version__, "numpy": np.__version__},
        notes=[HOW, *gained, "GANs and normalisation were fitted to each fold's training patients alone."],
        reference=next((row["method"] for row in reversed(rows) if "GAN" in row["method"]), "none"),
    )
