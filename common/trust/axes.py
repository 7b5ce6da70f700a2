"""Axes of a head: whether what an affine calls top, front and side looks so, compared with an average head.

An image of any contrast is explained by the tissues of the average head, placed in its box, by a linear fit. Turned by
each of the other 23 ways in which axes may be exchanged or reversed, left and right aside, it fits less well if its own
axes are right. Whole and skull-stripped heads, and heads cut at the bottom, are compared.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from itertools import permutations, product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

Volume = NDArray[np.floating[Any]]
FILE = Path(__file__).parent / "weights" / "average_head.pt"
"""Tissue of each voxel (X, Y, Z) of the average head, RAS, made by ``tools/recogniser``."""
TISSUES = ("fluid", "white", "grey", "bone", "marrow", "soft", "fat", "sinus", "air")
"""Of the numbers in it."""
BRAIN = ("fluid", "white", "grey")
VOXEL_MM = 5.0
"""Of the average head."""
CUTS_MM = (0.0, 20.0, 40.0, 60.0, 80.0)
"""What a scan may miss of the average head at the bottom."""
CELLS = (26, 28, 22)
"""Cells in which a head is compared, from left to right, back to front, bottom to top."""
SECTION = 140.0 * 180.0
"""Area of the average head's box from above in mm^2, by which others are scaled alike from left to right and back to
front, since a head is longer than wide; from bottom to top each box is stretched to the cells."""
CELL_MM = 7.5
COARSE_MM = 3.0
"""Voxels are averaged up to this size."""
LEAST_RATIO = 1.1
"""Residual by its own axes over that by others above which the axes of a scan look wrong. [measured] 12 real scans have
.35 to .83, cut to the upper half up to 1.08; 12 of label maps have .76 to 1.04. Of wrong axes 810 of 828 were found."""
SIDES = (("left", "right"), ("back", "front"), ("bottom", "top"))


class Axes(NamedTuple):
    """Which axis of a volume looks like left to right, back to front and bottom to top, 1 or -1 where it runs so."""

    order: tuple[int, int, int]
    signs: tuple[int, int, int]


OWN = Axes((0, 1, 2), (1, 1, 1))


def turned_axes(volume: Volume, spacing: Volume) -> str | None:
    """In what way the axes of a head look wrong; None where they look right or nothing fits.

    Args:
        volume: (X, Y, Z) oriented RAS by its affine, of any contrast, air darkest and all the same around the head, see
            :class:`common.transforms.SubjectBoxd`.
        spacing: of its voxels, in mm.
    """
    residuals = _residuals(volume, np.asarray(spacing, float))
    best = min(residuals, key=residuals.__getitem__)
    if best == OWN or residuals[OWN] < LEAST_RATIO * residuals[best]:  # of one slice all are 0, or just below
        return None
    looks = [
        f"{SIDES[axis][sign > 0]} is where its affine has {SIDES[found][1]}"
        for axis, (found, sign) in enumerate(zip(best.order, best.signs, strict=True))
        if (found, sign) != (axis, 1)
    ]
    return f"the head looks turned: its {', '.join(looks)}"


def _residuals(volume: Volume, spacing: Volume) -> dict[Axes, float]:
    """Share of the variance of a volume that the tissues do not explain, by the axes that it is given."""
    air = float(volume.min())
    steps = np.clip(np.round(COARSE_MM / spacing).astype(int), 1, volume.shape)
    inside = np.argwhere(volume > air)
    if not inside.size:
        return {OWN: 1.0}
    box = tuple(slice(low, high) for low, high in zip(inside.min(0), inside.max(0) + 1, strict=True))
    clipped = np.minimum(volume[box], np.percentile(volume[box], 99)).astype(np.float32)
    means = ndimage.uniform_filter(clipped, steps, mode="nearest")[tuple(slice(s // 2, None, s) for s in steps)]
    sizes = spacing * steps
    smooth = ndimage.gaussian_filter(means, COARSE_MM / sizes, mode="constant", cval=air)
    residuals = {}
    for axes in _all_axes():
        values = _in_cells(smooth, sizes, axes, air).ravel()
        values -= values.mean()
        total = float(values @ values)
        explained = max(float(((base.T @ values) ** 2).sum()) for base in _bases())
        residuals[axes] = 1 - explained / total if total > 0 else 1.0
    return residuals


def _all_axes() -> Iterator[Axes]:
    """Every order and direction of axes but for mirror images of left and right, which look alike."""
    for order, (front, top) in product(permutations((0, 1, 2)), product((1, -1), repeat=2)):
        yield Axes(order, (1, front, top))  # type: ignore[arg-type]


def _in_cells(smooth: Volume, sizes: Volume, axes: Axes, outside: float) -> Volume:
    """A head in its tight box (X, Y, Z), voxels of some sizes in mm, in ``CELLS`` by the axes that it is given."""
    order = list(axes.order)
    sides, mm = np.array(smooth.shape)[order], sizes[order]
    cell = CELL_MM * np.sqrt(np.prod((sides * mm)[:2]) / SECTION)
    steps = np.array([cell, cell, sides[2] * mm[2] / CELLS[2]]) / mm
    starts = (sides - 1) / 2 - steps * (np.array(CELLS) - 1) / 2
    matrix, offset = np.zeros((3, 3)), np.zeros(3)
    for axis, (found, sign) in enumerate(zip(order, axes.signs, strict=True)):
        matrix[found, axis] = sign * steps[axis]
        offset[found] = starts[axis] if sign > 0 else sides[axis] - 1 - starts[axis]
    placed: Volume = ndimage.affine_transform(
        smooth, matrix, offset, output_shape=CELLS, order=1, mode="constant", cval=outside
    )
    return placed


@cache
def _bases() -> list[Volume]:
    """Orthonormal bases of what tissues explain (cells, tissues), of the average head whole, cut and stripped."""
    whole = torch.load(FILE, weights_only=True).numpy()
    brain = np.where(np.isin(whole, [TISSUES.index(name) for name in BRAIN]), whole, TISSUES.index("air"))
    cut = [round(mm / VOXEL_MM) for mm in CUTS_MM]
    return [_base(labels[:, :, start:]) for labels, starts in ((whole, cut), (brain, cut[:2])) for start in starts]


def _base(labels: NDArray[np.uint8]) -> Volume:
    places = np.argwhere(labels != TISSUES.index("air"))
    tight = labels[tuple(slice(low, high) for low, high in zip(places.min(0), places.max(0) + 1, strict=True))]
    shares: list[Volume] = [np.ones(np.prod(CELLS))]
    for number in range(len(TISSUES) - 1):  # air follows from the others
        smooth = ndimage.gaussian_filter((tight == number).astype(np.float32), COARSE_MM / VOXEL_MM, mode="constant")
        shares.append(_in_cells(smooth, np.full(3, VOXEL_MM), OWN, 0.0).ravel())
    base: Volume = np.linalg.qr(np.stack(shares, axis=1))[0]
    return base
