"""Stitching of whole volumes: equal to MONAI's, and the time of the published volume."""

from __future__ import annotations

import torch

from tools.bench import stitching
from tools.bench.clock import Row, peak_gib
from tools.checks.findings import Finding

DIFFERENCE = 1e-4
"""Largest difference from MONAI's sliding window, relative to the largest value: rounding of spectra in 32 bits."""


def stitched(small: tuple[int, int, int], large: tuple[int, int, int], stride: int, batch_size: int) -> list[Finding]:
    """A small volume compared with MONAI, and a large one in both modes."""
    with torch.no_grad():
        with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):  # whose convolutions round to ten bits
            row = stitching.against_monai(small, 16, 4)
        return [agrees(row, DIFFERENCE), _timed(row), _timed(stitching.modes(large, stride, batch_size))]


def agrees(row: Row, limit: float) -> Finding:
    """The row of a comparison whose results must be equal."""
    difference = float(row.note.removeprefix("difference "))
    return Finding("stitching", row.case, f"{difference:.1e}", f"difference <= {limit:.0e}", difference <= limit)


def _timed(row: Row) -> Finding:
    measured = f"{row.before:.3g} s -> {row.after:.3g} s, x{row.ratio:.2f}"
    return Finding("stitching", row.case, measured, note=f"peak memory {peak_gib():.2f} GiB")
