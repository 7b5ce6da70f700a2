"""A made-up hospital: MR and CT of heads as two scanners store them, and how far a registration of them is off.

``python -m tools.checks.hospital --label_maps MAPS --out DIR`` writes ``<case>/{mr,ct}.mha`` in 16 bits into
``DIR/scanned`` (CT moved and warped, on a grid of its own), ``DIR/by_headers`` (this CT resampled onto the MR's grid)
and ``DIR/exact`` (CT of the unmoved head on the MR's grid). ``--out DIR --registered REGISTERED`` prints the error of
each transform in mm. Images are those of :mod:`tools.checks.real.physics`, which no training simulates.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from tqdm import tqdm

from common.errors import ConfigError, exit_code_of_user_errors
from common.io.itk_files import itk_image
from common.registration.align import on_grid, simpleitk
from tools.checks.real import physics
from tools.checks.real.heads import padded_labels
from tools.checks.real.movements import errors_mm, moving, seen

MR_MM, CT_MM = (2.0, 2.0, 2.0), (1.5, 1.5)
DEGREES, SHIFT_MM, WARP_MM = 9.0, 9.0, 2.45
"""Largest rotation about and translation along each axis; waves along each, 3 mm root mean square together."""
SCALES = (0.94, 1.06)
"""Of the axes of a head."""
NOISE_SHARE, NOISE_HU = 0.02, 15.0
"""Standard deviations of the noise of the MR, as a share of its 99th percentile, and of the CT."""
FOLDERS = ("scanned", "by_headers", "exact")
STILL = moving((0, 0, 0), (0, 0, 0))


def write_case(given: argparse.Namespace, case: str, path: Path, mirrored: bool, rng: Generator) -> dict[str, Any]:
    """Write one head into each folder; how it moves before the CT, and points in it."""
    codes = physics.tissues_of(padded_labels(path), rng)
    levels = np.array([physics.CONTRASTS["T1"](tissue) for tissue in physics.TISSUES.values()])
    scale = rng.uniform(*SCALES, 3) * (-1 if mirrored else 1, 1, 1)
    degrees, shift = (rng.uniform(-most, most, 3).tolist() for most in (DEGREES, SHIFT_MM))
    movement = {"degrees": degrees, "shift": shift, "warp": WARP_MM, "phase": float(rng.uniform(0, 2 * np.pi))}
    ct = physics.ct_of(codes, rng)
    mr, grid = seen(physics.mixed(codes, levels), scale, MR_MM, STILL)
    mr *= np.linspace(0.85, 1.15, mr.shape[2]) / np.percentile(mr, 99)  # coils are nearer to the crown
    real, imaginary = NOISE_SHARE * given.noise * rng.standard_normal((2, *mr.shape))
    images = {"mr": stored(1000 * np.hypot(mr + real, imaginary), grid)}
    for name, spacing, move in (("exact", MR_MM, STILL), ("scanned", (*CT_MM, given.slice_mm), moving(**movement))):
        hu, grid = seen(ct, scale, spacing, move)
        images[name] = stored(hu + NOISE_HU * given.noise * rng.standard_normal(hu.shape), grid)
    images["by_headers"] = on_grid(images["scanned"], images["mr"], simpleitk().sitkLinear, outside=-1000)
    for folder in FOLDERS:
        (given.out / folder / case).mkdir(parents=True)
        for name, image in (("mr", images["mr"]), ("ct", images[folder])):
            simpleitk().WriteImage(image, given.out / folder / case / f"{name}.mha", useCompression=True)
    inside = rng.choice(np.argwhere(codes != physics.NAMES.index("air")), 500)
    return {**movement, "points": (scale * (inside - (np.array(codes.shape) - 1) / 2)).round(2).tolist()}


def stored(values: NDArray[Any], affine: NDArray[Any]) -> Any:
    """A volume as an image of ITK in 16 bits."""
    return itk_image(np.rint(values).astype(np.int16), affine, "volume")


def write(given: argparse.Namespace) -> None:
    """Write the hospital, ``patients.csv`` of each folder and ``movements.json``; a mirrored head is of its patient."""
    maps = sorted(given.label_maps.glob("*.nii.gz"))
    if not maps:
        raise ConfigError(f"no label maps in {given.label_maps} (from --label_maps)", "see docs/how-to/label-maps.md")
    movements, patients = {}, "case,patient\n"
    for number in tqdm(range(given.cases), unit="case"):
        path, case, rng = maps[number % len(maps)], f"scan_{number + 1:02d}", np.random.default_rng((45, number))
        movements[case] = write_case(given, case, path, number >= len(maps), rng)
        patients += f"{case},{path.name.split('.')[0]}\n"
    for folder in FOLDERS:
        (given.out / folder / "patients.csv").write_text(patients)
    (given.out / "movements.json").write_text(json.dumps(movements))


def print_errors(given: argparse.Namespace) -> None:
    """Print mean errors in the head (in its upper half) of each case: unregistered, by the rigid part, by all of it."""
    for case, movement in json.loads((given.out / "movements.json").read_text()).items():
        points, file = np.array(movement.pop("points")), given.registered / case / "transform.h5"
        if file.is_file():
            whole = simpleitk().CompositeTransform(simpleitk().ReadTransform(file))
            steps = (simpleitk().Transform(), whole.GetNthTransform(0), whole)
            errors = np.array([errors_mm(step, moving(**movement), points) for step in steps])
            means = zip(errors.mean(1), errors[:, points[:, 2] > 0].mean(1), strict=True)
            print(case, *(f"{head:.2f} ({upper:.2f})" for head, upper in means), "mm")


@exit_code_of_user_errors
def main(arguments: Sequence[str]) -> int:
    """Write a hospital, or print the errors of its registration."""
    parser = argparse.ArgumentParser(prog="python -m tools.checks.hospital", description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--label_maps", type=Path)
    what.add_argument("--registered", type=Path)
    parser.add_argument("--cases", type=int, default=20)
    parser.add_argument("--slice_mm", type=float, default=3.0)
    parser.add_argument("--noise", type=float, default=1.0, help="factor")
    given = parser.parse_args(arguments)
    write(given) if given.label_maps else print_errors(given)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
