"""Data of the page's viewer: the volumes of each case within a number of bytes, read by ``viewer.js``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...units import HU
from .contents import Panel
from .figures import ShownCase
from .panels import DIFFERENCE
from .planes import percentiles, symmetric_limit
from .standalone_page import script_json
from .volumes import HU_SCALE, LEAST_SIDE, Grid, Scale, grid_of, linear_scale, packed

HU_PRESETS = {"Brain": (0, 80), "Soft tissue": (-160, 240), "Bone": (-500, 1300)}
"""Windows of CT: level 40 and width 80, 40 and 400, 400 and 1800 HU."""
MAIN_SHARE = 6
"""Space of the worst, the median and the best case, relative to the others."""
FINEST_MM, FIRST_MM = 1.0, 2.0
SOURCE_LEVELS = 64
TRIALS = 5
ABOUT_CASE = 1500
"""Characters of a case besides its volumes, at most about."""


@dataclass(frozen=True)
class Image:
    """Volume that the viewer shows.

    Args:
        name: in the viewer.
        method: of a synthetic image or extra; None for source and truth.
        values: (X, Y, Z) in ``unit``.
        unit: of the values.
        scale: that they are rounded to.
        windows: (low, high) for each preset.
        signed: whether a diverging colour map, symmetric about zero, shows it.
    """

    name: str
    method: str | None
    values: np.ndarray
    unit: str
    scale: Scale
    windows: list[tuple[float, float]]
    signed: bool = False


def viewer_data(cases: Sequence[ShownCase], limit: float | None, budget: int) -> str:
    """JSON of the cases, which can stand in an HTML script element.

    Args:
        cases: in the order of the page.
        limit: colour range [-limit, limit] of the difference.
        budget: characters; voxels are as fine as they allow. A case that does not fit is skipped.
    """
    shares = [MAIN_SHARE if case.role or len(cases) == 1 else 1 for case in cases]
    rooms = (int(budget * share / sum(shares)) - ABOUT_CASE for share in shares)
    data = (_case_data(case, room) for case, room in zip(cases, rooms, strict=True))
    fitting = [each for each in data if each is not None]
    return script_json({"limit": limit, "difference": DIFFERENCE, "cases": fitting})


def _case_data(case: ShownCase, room: int) -> dict[str, Any] | None:
    """A case with the finest voxels that fit into ``room`` characters; None if not even coarse ones do."""
    size_mm, best = FIRST_MM, None
    first, images = case.panels[0], list(images_of(case.panels))
    for _ in range(TRIALS):
        grid = grid_of(first.synthetic.shape, first.spacing, size_mm)
        data = _on_grid(case, images, grid)
        used = len(data["mask"]) + sum(len(image["data"]) for image in data["images"])
        if used <= room:
            best = data
            if used > 0.8 * room or size_mm <= FINEST_MM or grid.steps == [1.0, 1.0, 1.0]:
                break
        elif max(grid.shape) <= LEAST_SIDE or room <= 0:
            break
        size_mm = max(FINEST_MM, size_mm * 1.04 * (used / room) ** (1 / 3))
    return best


def _on_grid(case: ShownCase, images: Sequence[Image], grid: Grid) -> dict[str, Any]:
    first = case.panels[0]
    spacing = [step * size for step, size in zip(first.spacing, grid.steps, strict=True)]
    whole = np.ones(first.synthetic.shape, np.float32)
    inside = grid.reduced(whole if first.mask is None else (first.mask > 0).astype(np.float32)) >= 0.5
    packed_images = [
        {
            "name": image.name,
            "method": image.method,
            "unit": image.unit,
            "signed": image.signed,
            "windows": image.windows,
            "scale": image.scale.segments,
            "data": packed(image.scale.levels(grid.reduced(image.values))),
        }
        for image in images
    ]
    return {
        "name": case.name,
        "role": case.role,
        "score": case.score,
        "error": case.error_text,
        "at": None if case.error is None else case.error.voxel,
        "warnings": list(case.warnings),
        "shape": grid.shape,
        "spacing": spacing,
        "steps": grid.steps,
        "affine": None if first.affine is None else np.asarray(first.affine, float).tolist(),
        "presets": list(_presets(first, (0.0, 1.0), (0.0, 1.0))),
        "mask": packed(inside.astype(np.uint16)),
        "images": packed_images,
    }


def images_of(panels: Sequence[Panel]) -> Iterator[Image]:
    """Source, synthetic volumes of each method, truth, and extras of each method, of a case."""
    first = panels[0]
    target = HU_SCALE if first.unit == HU else linear_scale(*_range(first.synthetic, first.truth, first.window))
    inside = first.synthetic if first.mask is None else first.synthetic[first.mask > 0]
    windows = list(_presets(first, target.ends, percentiles(inside, 2, 98)).values())
    if first.source_window is not None and first.source_unit == first.unit:
        yield Image("Source", None, first.source, first.source_unit, target, windows)
    else:
        low, high = percentiles(first.source, 0.1, 99.9)
        shown = first.source_window or percentiles(first.source, 0.5, 99.5)
        scale = linear_scale(low, high, SOURCE_LEVELS)
        yield Image("Source", None, first.source, first.source_unit, scale, [shown] * len(windows))
    for panel in panels:
        yield Image("Synthetic", panel.method, panel.synthetic, panel.unit, target, windows)
    if first.truth is not None:
        yield Image("Truth", None, first.truth, first.unit, target, windows)
    for panel in panels:
        for extra in panel.extras:
            bound = symmetric_limit([extra.values])
            low, high = (-bound, bound) if extra.signed else percentiles(extra.values, 0.5, 99.5)
            levels = linear_scale(low, high, SOURCE_LEVELS + 1)  # an odd number has a level of zero
            ends = [(low, high)] * len(windows)
            yield Image(extra.name, panel.method, extra.values, extra.unit, levels, ends, extra.signed)


def _presets(panel: Panel, ends: tuple[float, float], middle: tuple[float, float]) -> dict[str, tuple[float, float]]:
    """Windows of the target by name: those of CT, else the panel's, its percentiles and the whole range."""
    if panel.unit == HU:
        return {**HU_PRESETS, "Full": panel.window}
    return {"Standard": panel.window, "2–98 %": middle, "Full": ends}


def _range(synthetic: np.ndarray, truth: np.ndarray | None, window: tuple[float, float]) -> tuple[float, float]:
    both = synthetic if truth is None else np.concatenate([synthetic.ravel(), truth.ravel()])
    low, high = percentiles(both, 0.05, 99.95)
    return min(low, window[0]), max(high, window[1])
