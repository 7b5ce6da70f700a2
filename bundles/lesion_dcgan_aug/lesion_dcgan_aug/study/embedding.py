"""t-SNE of a classifier's features of real and synthetic patches (Frid-Adar et al. 2018, visualisation)."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from common.evaluation.report.panels import STYLE, figure_image
from common.files import as_cell, text_of_cell, write_text
from lesion_dcgan_aug.study.classifier import LesionClassifier

TABLE_NAME = "tsne.csv"
PERPLEXITY = 30.0
"""Number of neighbours that t-SNE considers; less in small sets."""
REAL, SYNTHETIC = "real", "synthetic"
COLOURS = ("#1f5a8a", "#b5521b", "#3c7d3c", "#7a4a9c", "#8a6d1f", "#555555")
CAPTION = (
    "t-SNE of the classifier's last hidden layer, first fold and seed: real patches of the patients tested and as many "
    "synthetic patches of each class, which the classifier was not trained on. Distances between groups have no "
    "meaning (van der Maaten and Hinton 2008)."
)


def tsne(features: ArrayLike, seed: int) -> NDArray[np.float32]:
    """Coordinates (N, 2) of features (N, F) by t-SNE, from principal components on; the same for the same seed.

    Args:
        features: of at least 4 patches.
        seed: of the optimisation.
    """
    from sklearn.manifold import TSNE

    values = np.asarray(features, np.float32)
    perplexity = min(PERPLEXITY, (len(values) - 1) / 3)
    coordinates: NDArray[np.float32] = TSNE(perplexity=perplexity, init="pca", random_state=seed).fit_transform(values)
    return coordinates


@torch.no_grad()
def coordinates(
    model: LesionClassifier, sets: Mapping[str, tuple[Tensor, Tensor]], classes: Sequence[str], seed: int
) -> pd.DataFrame:
    """Table of the patches' coordinates by a classifier: ``seed``, ``kind``, ``class``, ``x`` and ``y``.

    Args:
        model: the classifier.
        sets: patches (N, 1, 64, 64) in [-1, 1] and labels (N,) of each kind, real and synthetic; all are embedded
            together.
        classes: names in order.
        seed: of t-SNE.
    """
    features = torch.cat([model.eval().features(patches) for patches, _ in sets.values()])
    places = tsne(features.numpy(), seed)
    rows = [(kind, classes[int(label)]) for kind, (_, labels) in sets.items() for label in labels]
    table = pd.DataFrame(rows, columns=["kind", "class"])
    return table.assign(x=places[:, 0], y=places[:, 1], seed=seed)


def write_table(folder: Path, table: pd.DataFrame) -> None:
    """Write the coordinates to ``tsne.csv``."""
    columns = ["augmentation", "seed", "kind", "class", "x", "y"]
    write_text(folder / TABLE_NAME, table[columns].map(as_cell).to_csv(index=False, lineterminator="\n"))


def read_table(folder: Path, labels: Sequence[str], seed: int) -> pd.DataFrame | None:
    """The coordinates of an earlier run of the study; None if there are none of these classifiers.

    Args:
        folder: of the study.
        labels: of the classifiers' augmentation, in order.
        seed: of the classifiers.
    """
    path = folder / TABLE_NAME
    types = {"x": np.float32, "y": np.float32, "class": str}
    table = pd.read_csv(path, dtype=types) if path.is_file() else None
    if table is None or [*table["augmentation"].unique()] != [*labels] or {*table["seed"]} != {seed}:
        return None
    return table.assign(**{"class": table["class"].map(text_of_cell)})


def embedding_png(table: pd.DataFrame, classes: Sequence[str]) -> bytes:
    """Figure of the coordinates, one panel a classifier: filled circles are real patches, crosses synthetic ones.

    Args:
        table: columns ``augmentation``, ``class``, ``kind``, ``x`` and ``y``.
        classes: names in order.
    """
    labels = list(table["augmentation"].unique())
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(4.6 * len(labels), 4.4), facecolor="white", layout="constrained")
        for axes, label in zip(figure.subplots(1, len(labels), squeeze=False)[0], labels, strict=True):
            _points(axes, table[table["augmentation"] == label], classes)
            axes.set_title(label)
        axes.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
        stream = io.BytesIO()
        figure_image(figure, 110).save(stream, "PNG", optimize=True)
        return stream.getvalue()


def _points(axes: Axes, table: pd.DataFrame, classes: Sequence[str]) -> None:
    for number, name in enumerate(classes):
        for kind, marker in ((REAL, "o"), (SYNTHETIC, "x")):
            own = table[(table["class"] == name) & (table["kind"] == kind)]
            if len(own):
                colour = COLOURS[number % len(COLOURS)]
                label = f"{name}, {kind}"
                axes.scatter(own["x"], own["y"], s=18, color=colour, marker=marker, linewidths=0.9, label=label)
    axes.set_xticks([])
    axes.set_yticks([])
