"""Figures of a case and method: three planes of source, synthetic, truth and signed difference."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patheffects import withStroke
from PIL import Image
from scipy.cluster.vq import vq

from .contents import Panel
from .planes import (
    EDGES,
    PLANES,
    difference_limit,
    difference_planes,
    percentiles,
    plane_centre,
    plane_sizes,
    symmetric_limit,
    three_planes,
)
from .standalone_page import png_of

MAX_BYTES = 250_000
BEST_DPI, LEAST_DPI = 115.0, 40.0
STYLE: dict[Any, Any] = {"font.family": "DejaVu Sans", "font.size": 11, "text.parse_math": False, "axes.titlesize": 12}
DIFFERENCE = "Synthetic − truth"
DIVERGING = "RdBu_r"
OUTSIDE_MASK = "#e2e6ea"
"""Colour of the difference outside the mask, as in ``slices.js``."""
COLUMN, LEFT, TOP, BOTTOM, GAP = 2.7, 0.35, 0.35, 0.75, 0.06
"""Inches: width of a column, and space for row names, headings, colour bars and between images."""
TALLEST = 11.0
"""Largest total height of the three rows in inches."""


@dataclass(frozen=True)
class Column:
    """Column of the figure: heading, three planes, colour range, colour map and unit."""

    title: str
    planes: Sequence[np.ndarray]
    low: float
    high: float
    colours: str
    unit: str


def columns(panel: Panel, limit: float | None = None) -> list[Column]:
    """Columns of a panel: source, synthetic, truth and synthetic - truth (if there is a truth), extras.

    Args:
        panel: the volumes.
        limit: colour range [-limit, limit] of the difference; None for ``difference_limit(panel)``.
    """
    centre = plane_centre(panel)
    source = three_planes(panel.source, centre)
    shown = [
        Column("Source", source, *(panel.source_window or _ends(source)), "gray", panel.source_unit),
        Column("Synthetic", three_planes(panel.synthetic, centre), *panel.window, "gray", panel.unit),
    ]
    if panel.truth is not None:
        shown.append(Column("Truth", three_planes(panel.truth, centre), *panel.window, "gray", panel.unit))
        bound = difference_limit(panel) if limit is None else limit
        difference = difference_planes(panel)
        shown.append(Column(DIFFERENCE, difference, -bound, bound, DIVERGING, panel.unit))
    for extra in panel.extras:
        planes = three_planes(extra.values, centre)
        bound = symmetric_limit(planes)
        low, high = (-bound, bound) if extra.signed else _ends(planes)
        shown.append(Column(extra.name, planes, low, high, DIVERGING if extra.signed else "gray", extra.unit))
    return shown


def _ends(planes: Sequence[np.ndarray]) -> tuple[float, float]:
    return percentiles(np.concatenate([plane.ravel() for plane in planes]), 0.5, 99.5)


def panel_png(panel: Panel, limit: float | None = None, max_bytes: int = MAX_BYTES) -> bytes:
    """PNG of a panel, at the highest resolution that keeps it below ``max_bytes``; ``limit`` as in ``columns``."""
    png, dpi = b"", BEST_DPI
    with matplotlib.rc_context(STYLE):
        figure = _draw(panel, columns(panel, limit))
        while not png or (len(png) > max_bytes and dpi > LEAST_DPI):
            dpi = dpi if not png else max(LEAST_DPI, min(0.95, (max_bytes / len(png)) ** 0.6) * dpi)
            png = png_of(with_palette(figure_image(figure, dpi)))
    return png


def figure_image(figure: Figure, dpi: float) -> Image.Image:
    """A Matplotlib figure as an RGB image with ``dpi`` dots per inch."""
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=dpi, pil_kwargs={"compress_level": 0})
    return Image.open(stream).convert("RGB")


def with_palette(image: Image.Image) -> Image.Image:
    """Palette image with 128 greys and 128 colours of the diverging map, a third of the size of an RGB image.

    The nearest colour is exact, unlike that of Pillow's ``quantize``, so that white stays white.
    """
    greys = np.repeat(np.linspace(0, 255, 128)[:, None], 3, axis=1)
    colours = 255 * matplotlib.colormaps[DIVERGING](np.linspace(0, 1, 128))[:, :3]
    palette = np.concatenate([greys, colours]).round()
    red, green, blue = np.moveaxis(np.asarray(image).astype(np.int32), -1, 0)
    packed, places = np.unique(red << 16 | green << 8 | blue, return_inverse=True)
    unpacked = np.stack([packed >> 16, packed >> 8 & 255, packed & 255], axis=1)
    nearest = vq(unpacked.astype(float), palette)[0].astype(np.uint8)
    indexed = Image.fromarray(nearest[places].reshape(red.shape), mode="L")
    indexed.putpalette(palette.astype(np.uint8).tobytes())
    return indexed


def _draw(panel: Panel, shown: Sequence[Column]) -> Figure:
    names = PLANES if panel.synthetic.shape[2] > 1 else PLANES[:1]
    sizes = plane_sizes(panel)[: len(names)]
    scale = min(COLUMN / max(width for _, width in sizes), TALLEST / sum(height for height, _ in sizes))
    heights = [max(height * scale, 0.75) for height, _ in sizes]  # a thin slab needs space for its row's name
    width = LEFT + len(shown) * (COLUMN + GAP)
    height = TOP + sum(heights) + 2 * GAP + BOTTOM
    figure = Figure(figsize=(width, height), facecolor="white")
    for at, column in enumerate(shown):
        left, top, image = LEFT + at * (COLUMN + GAP), height - TOP, None
        for row, name in enumerate(names):
            top -= heights[row] + GAP * (row > 0)
            axes = figure.add_axes((left / width, top / height, COLUMN / width, heights[row] / height))
            image = _show(axes, column, row, panel.spacing)
            if at == 0:
                _name_edges(axes, name)
                middle = (top + heights[row] / 2) / height
                figure.text(0.16 / width, middle, name, rotation=90, ha="center", va="center")
        figure.text((left + COLUMN / 2) / width, (height - TOP + 0.1) / height, column.title, ha="center", size=12)
        if image is not None:
            _colour_bar(figure, image, column.unit, ((left + 0.25) / width, 0.52 / height), (width, height))
    return figure


def _show(axes: Axes, column: Column, row: int, spacing: tuple[float, float, float]) -> AxesImage:
    x, y, z = spacing
    aspect = (y / x, z / x, z / y)[row]
    axes.set_axis_off()
    colours = matplotlib.colormaps[column.colours].with_extremes(bad=OUTSIDE_MASK)
    return axes.imshow(column.planes[row], cmap=colours, aspect=aspect, vmin=column.low, vmax=column.high)


def _name_edges(axes: Axes, plane: str) -> None:
    places = ((0.03, 0.5), (0.97, 0.5), (0.5, 0.97), (0.5, 0.03))
    for letter, (x, y), across, up in zip(
        EDGES[plane], places, ("left", "right", "center", "center"), ("center", "center", "top", "bottom"), strict=True
    ):
        text = axes.text(x, y, letter, transform=axes.transAxes, ha=across, va=up, color="white", size=10)
        text.set_path_effects([withStroke(linewidth=2, foreground="black")])


def _colour_bar(
    figure: Figure, image: AxesImage, unit: str, corner: tuple[float, float], size: tuple[float, float]
) -> None:
    axes = figure.add_axes((*corner, (COLUMN - 0.5) / size[0], 0.12 / size[1]))
    bar = figure.colorbar(image, cax=axes, orientation="horizontal", extend="both")
    bar.outline.set(edgecolor="0.6", linewidth=0.6)
    bar.locator = matplotlib.ticker.MaxNLocator(4)
    bar.ax.tick_params(labelsize=10, length=2)
    bar.set_label(unit, size=10, labelpad=1)
