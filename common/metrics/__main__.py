"""Commands that score a synthetic volume: ``python -m common.metrics {score,attenuation} --help``."""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from common.errors import DataError, exit_code_of_mistakes, path_option
from common.grids import same_grid, show_grid
from common.io import Scan, VolumeReader
from common.metrics import CT_RANGE, HFEN_SIGMA, HU, score
from common.metrics.attenuation import BONE_LINES, attenuation_errors
from common.metrics.tissue import BONE_HU


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
    scans = _scans(pred, truth, mask)
    arrays = {name: scan.values for name, scan in scans.items()}
    measures = score(arrays["pred"], arrays["truth"], arrays["mask"], value_range)
    return {
        **_finite(measures),
        "value_range": list(value_range),
        "mask_voxels": int(np.count_nonzero(arrays["mask"] > 0)),
        "unit": HU if tuple(value_range) == CT_RANGE else "as stored",
        "hfen_sigma_voxels": HFEN_SIGMA,
    }


def attenuation_of_files(
    pred: str | Path, truth: str | Path, mask: str | Path, kvp: int = 120, bone_hu: float = BONE_HU
) -> dict[str, object]:
    """Errors of a synthetic CT, of water and of four classes as attenuation maps, from files on one grid (X, Y, Z).

    Returns:
        The maps of :func:`common.metrics.attenuation.attenuation_errors`, None where a measure is undefined, and
        ``kvp`` and ``bone_hu``.

    Raises:
        DataError: a file cannot be read, shapes or affines differ, or the truth is no CT in HU.
        ConfigError: unknown ``kvp``, or bone does not begin above fat.
    """
    scans = _scans(pred, truth, mask)
    arrays = {name: scan.values for name, scan in scans.items()}
    errors = attenuation_errors(**arrays, affine=scans["truth"].affine, kvp=kvp, bone_hu=bone_hu)
    return {**{name: _finite(measures) for name, measures in errors.items()}, "kvp": kvp, "bone_hu": bone_hu}


def _scans(pred: str | Path, truth: str | Path, mask: str | Path) -> dict[str, Scan]:
    """The three volumes by their names.

    Raises:
        DataError: a file cannot be read, or is on another grid than the truth.
    """
    reader = VolumeReader()
    scans = {name: reader.read(path, name) for name, path in (("truth", truth), ("pred", pred), ("mask", mask))}
    reference = scans["truth"]
    for name, scan in scans.items():
        if not same_grid(scan.values.shape, scan.affine, reference.values.shape, reference.affine):
            rule = f"has the truth's grid, {show_grid(reference.values.shape, reference.affine)}"
            raise DataError(name, rule, show_grid(scan.values.shape, scan.affine), "resample it or fix its affine")
    return scans


def _finite(measures: Mapping[str, float]) -> dict[str, float | None]:
    return {name: value if math.isfinite(value) else None for name, value in measures.items()}


@exit_code_of_mistakes
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code: 0, or that of the error whose line ends stderr."""
    options = _parser().parse_args(arguments)
    if options.command == "attenuation":
        result = attenuation_of_files(options.pred, options.truth, options.mask, options.kvp, options.bone_hu)
    else:
        result = score_files(options.pred, options.truth, options.mask, tuple(options.value_range))
    print(json.dumps(result, allow_nan=False))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m common.metrics", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("score", help="print the metrics of one volume inside a mask as one JSON object")
    _add_volumes(command)
    command.add_argument(
        "--value_range",
        type=float,
        nargs=2,
        default=CT_RANGE,
        metavar=("LOW", "HIGH"),
        help="range that psnr, ssim and ms_ssim clip to (default: %(default)s HU)",
    )
    command = commands.add_parser(
        "attenuation", help="print the errors of a synthetic CT as attenuation map of PET as one JSON object"
    )
    _add_volumes(command)
    known = ", ".join(map(str, BONE_LINES))
    command.add_argument("--kvp", type=int, default=120, help=f"tube voltage of the CT: {known} (default: %(default)s)")
    command.add_argument(
        "--bone_hu",
        type=float,
        default=BONE_HU,
        help="threshold of bone in the map of four classes (default: %(default)s HU)",
    )
    return parser


def _add_volumes(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--pred", type=path_option, required=True, help="synthetic volume: a NIfTI file or a folder with a DICOM series"
    )
    command.add_argument("--truth", type=path_option, required=True, help="real volume on the same grid")
    command.add_argument(
        "--mask", type=path_option, required=True, help="voxels to score, above 0 inside, on the same grid"
    )


if __name__ == "__main__":
    sys.exit(main())
