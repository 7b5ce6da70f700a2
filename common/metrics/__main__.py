"""Command that scores a synthetic volume: ``python -m common.metrics score --help``."""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from common.errors import DataError, exit_code_of_mistakes, path_option
from common.grids import same_grid, show_grid
from common.io import VolumeReader
from common.metrics import CT_RANGE, HFEN_SIGMA, HU, score


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
    reader = VolumeReader()
    scans = {name: reader.read(path, name) for name, path in (("truth", truth), ("pred", pred), ("mask", mask))}
    reference = scans["truth"]
    for name, scan in scans.items():
        if not same_grid(scan.values.shape, scan.affine, reference.values.shape, reference.affine):
            rule = f"has the truth's grid, {show_grid(reference.values.shape, reference.affine)}"
            raise DataError(name, rule, show_grid(scan.values.shape, scan.affine), "resample it or fix its affine")
    arrays = {name: scan.values for name, scan in scans.items()}
    measures = score(arrays["pred"], arrays["truth"], arrays["mask"], value_range)
    return {
        **{name: value if math.isfinite(value) else None for name, value in measures.items()},
        "value_range": list(value_range),
        "mask_voxels": int(np.count_nonzero(arrays["mask"] > 0)),
        "unit": HU if tuple(value_range) == CT_RANGE else "as stored",
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
    command.add_argument(
        "--pred", type=path_option, required=True, help="synthetic volume: a NIfTI file or a folder with a DICOM series"
    )
    command.add_argument("--truth", type=path_option, required=True, help="real volume on the same grid")
    command.add_argument(
        "--mask", type=path_option, required=True, help="voxels to score, above 0 inside, on the same grid"
    )
    command.add_argument(
        "--value_range",
        type=float,
        nargs=2,
        default=CT_RANGE,
        metavar=("LOW", "HIGH"),
        help="range that psnr, ssim and ms_ssim clip to (default: %(default)s HU)",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
