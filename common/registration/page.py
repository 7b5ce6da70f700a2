"""HTML page of checkerboards of registered pairs, before and after."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from nibabel.orientations import apply_orientation
from PIL import Image

from ..evaluation.report.planes import three_planes
from ..evaluation.report.standalone_page import as_it_is, embedded, png_of, template
from ..files import write_text
from ..io.itk_files import simpleitk
from .align import Alignment, on_grid
from .quality import array

FOLDER = Path(__file__).parent
STYLE = FOLDER.parent / "evaluation" / "report" / "page.css"
TILE_MM = 20.0
"""Side of a square of the checkerboard."""
GAP = 4
"""White pixels between planes."""


def checkerboards(here: Any, there: Any, body: np.ndarray, affine: np.ndarray, alignment: Alignment) -> bytes:
    """PNG of three planes through the middle of the body: source and target in turns, before and, below, after.

    Args:
        here, there, body, alignment: as of :func:`common.registration.quality.without_needless_warp`.
        affine: (4, 4) of the volume that stays, to RAS mm.
    """
    turn = nib.orientations.io_orientation(affine)
    spacing = np.array(here.GetSpacing())[np.argsort(turn[:, 0])]
    inside = np.argwhere(apply_orientation(body, turn))
    x, y, z = (int(each) for each in inside.mean(0))
    still = apply_orientation(array(here), turn)
    places = (step * place for step, place in zip(spacing, np.ogrid[tuple(map(slice, still.shape))], strict=True))
    tiles = sum((place // TILE_MM).astype(int) for place in places) % 2
    rows = []
    for transform in (simpleitk().Transform(), alignment.whole):
        moved = apply_orientation(array(on_grid(there, here, simpleitk().sitkLinear, transform)), turn)
        rows += [_row(three_planes(np.where(tiles, moved, still), (x, y, z)), spacing)]
    return png_of(Image.fromarray(np.concatenate(rows)))


def _row(planes: Sequence[np.ndarray], spacing: np.ndarray) -> np.ndarray:
    """Axial, coronal and sagittal plane next to each other, a pixel for each mm, white around them."""
    x, y, z = spacing
    sides = ((x, y), (x, z), (y, z))
    images = []
    for plane, (across, down) in zip(planes, sides, strict=True):
        size = (max(1, round(plane.shape[1] * across)), max(1, round(plane.shape[0] * down)))
        grey = Image.fromarray((255 * np.clip(plane, 0, 1)).astype(np.uint8))
        images.append(np.asarray(grey.resize(size, Image.Resampling.BILINEAR)))
    tallest = max(image.shape[0] for image in images) + GAP
    padded = [np.pad(each, ((0, tallest - each.shape[0]), (0, GAP)), constant_values=255) for each in images]
    return np.concatenate(padded, axis=1)


def write_page(path: Path, cases: Sequence[Mapping[str, Any]], pictures: Mapping[str, bytes]) -> None:
    """Write the page.

    Args:
        path: of the HTML file.
        cases: records as in ``registration.json``.
        pictures: PNG by the name of the case.

    Raises:
        OutputError: the file cannot be written.
    """
    shown = {name: embedded(png) for name, png in pictures.items()}
    page = template(FOLDER / "page.html.j2").render(cases=cases, pictures=shown, style=as_it_is(STYLE))
    write_text(path, page)
