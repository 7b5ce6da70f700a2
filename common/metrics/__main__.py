"""Command that scores a synthetic volume: ``python -m common.metrics score --help``."""

from __future__ import annotations

import argparse
import json
import math
import sys
import zlib
from collections.abc import Sequence
from itertools import product
from pathlib import Path

import nibabel as nib
import numpy as np
from nibabel.affines import apply_affine
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError, SpatialImage

from common.errors import DataError, exit_code_of_mistakes
from common.metrics import CT_RANGE, HFEN_SIGMA, score

AFFINE_TOLERANCE_MM = 1e-3
"""Tolerance of the corner voxels of two volumes on the same grid; headers store float32."""


def score_files(
    pred: str | Path, truth: str | Path, mask: str | Path, value_range: tuple[float, float] = CT_RANGE
) -> dict[str, object]:
    """Metrics of a synthetic volume from files on one grid (X, Y, Z), with the conditions they were measured under.

    Returns:
        The metrics of :func:`common.metrics.score`, None where one is undefined or infinite, and ``value_range``,
        ``mask_voxels``, ``unit`` (HU for the CT range, else the values as stored) and ``hfen_sigma_voxels``.

    Raises:
        DataError: a file cannot be read, shapes or affines differ, or :func:`common.metrics.score` rejects the values.
        ConfigError: ``value_range`` is not two finite numbers, the lower one first.
    """
    volumes = {Path(path): _loaded(Path(path)) for path in (truth, pred, mask)}
    for path in (pred, mask):
        _check_same_grid(Path(path), volumes[Path(path)], volumes[Path(truth)])
    arrays = {path: _values(path, volume) for path, volume in volumes.items()}
    measures = score(arrays[Path(pred)], arrays[Path(truth)], arrays[Path(mask)], value_range)
    return {
        **{name: value if math.isfinite(value) else None for name, value in measures.items()},
        "value_range": list(value_range),
        "mask_voxels": int(np.count_nonzero(arrays[Path(mask)] > 0)),
        "unit": "HU" if tuple(value_range) == CT_RANGE else "as stored",
        "hfen_sigma_voxels": HFEN_SIGMA,
    }


@exit_code_of_mistakes
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code: 0, or that of the error whose line ends stderr."""
    options = _parser().parse_args(arguments)
    result = score_files(options.pred, options.truth, options.mask, tuple(options.value_range))
    print(json.dumps(result, allow_nan=False))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m common.metrics", description=__doc__)
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("score", help="print the metrics of one volume inside a mask as one JSON object")
    command.add_argument("--pred", type=Path, required=True, help="synthetic volume (NIfTI)")
    command.add_argument("--truth", type=Path, required=True, help="real volume on the same grid")
    command.add_argument("--mask", type=Path, required=True, help="voxels to score, above 0 inside, on the same grid")
    command.add_argument(
        "--value_range",
        type=float,
        nargs=2,
        default=CT_RANGE,
        metavar=("LOW", "HIGH"),
        help="range that psnr, ssim and ms_ssim clip to (default: %(default)s HU)",
    )
    return parser


def _loaded(path: Path) -> SpatialImage:
    try:
        volume = nib.load(path)
    except (OSError, EOFError, zlib.error, ImageFileError, HeaderDataError) as error:
        raise DataError(str(path), "must be a readable volume", error, "check the path and the file") from error
    if not isinstance(volume, SpatialImage) or len(volume.shape) != 3 or volume.affine is None:
        shape = getattr(volume, "shape", type(volume).__name__)
        raise DataError(str(path), "must be a volume of three dimensions (X, Y, Z)", shape, "save one volume per file")
    return volume


def _values(path: Path, volume: SpatialImage) -> np.ndarray:
    if volume.get_data_dtype().kind not in "iuf":
        kind = volume.get_data_dtype()
        raise DataError(str(path), "must hold one real number per voxel", f"type {kind}", "convert it to float32")
    try:
        return np.asanyarray(volume.dataobj, dtype=np.float64)
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise DataError(str(path), "must be a whole file", error, "copy or write it again") from error


def _check_same_grid(path: Path, volume: SpatialImage, truth: SpatialImage) -> None:
    """Refuse a volume whose shape, or position of any corner voxel in mm, is not that of the truth."""
    if volume.shape != truth.shape:
        raise DataError(str(path), f"must have the shape {truth.shape} of the truth", volume.shape, "resample it")
    corners = np.array(list(product(*((0, side - 1) for side in truth.shape))))
    apart = np.linalg.norm(apply_affine(volume.affine, corners) - apply_affine(truth.affine, corners), axis=1).max()
    # In this form a NaN in an affine is refused too.
    if not apart <= AFFINE_TOLERANCE_MM:
        rule = f"must lie within {AFFINE_TOLERANCE_MM} mm of the truth by its affine"
        raise DataError(str(path), rule, f"{apart:.4g} mm", "resample it or fix its affine")


if __name__ == "__main__":
    sys.exit(main())
