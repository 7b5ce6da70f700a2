"""Dose of a treatment plan on a real CT, recomputed on the synthetic one. Pencil beams, no Monte Carlo.

The plan is optimised on the real CT; its beams and weights are then applied to the synthetic CT. Needs an environment
of its own and reports what README.md in this folder describes. For research; not for clinical use.
"""

from __future__ import annotations

import argparse
import json
import math
import resource
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from common.errors import ConfigError, OutputError, exit_code_of_user_errors, path_option
from common.files import write_text
from common.io.export.nifti import save_on
from examples.dose.environment import require_environment
from examples.dose.measures import compare
from examples.dose.volumes import Case, Loaded, checked_sphere, find_cases, load
from medical_image_synthesis.options import add_reader, reader_of

GANTRY = {"photons": (0.0, 72.0, 144.0, 216.0, 288.0), "protons": (90.0, 270.0)}
"""Angles of the beams in degrees unless others are given."""
SPACINGS = (1.0, 5.0)
"""Limits of the dose grid in mm."""
TABLE, SETTINGS = "dose.csv", "dose.json"
KINDS = ("real", "synthetic", "target", "body")
SHOWN = {
    "case": "case", "modality": "modality", "dose_mae": "MAE %", "d98": "D98 Gy", "d98_synthetic": "synth.",
    "v95": "V95 %", "v95_synthetic": "synth.", "gamma": "gamma %", "seconds": "s",
}  # fmt: skip
"""Columns of the printed table; dose.csv has all."""


@exit_code_of_user_errors
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code: 0, or that of the error whose line ends stderr."""
    options = _parser().parse_args(arguments)
    require_environment()
    _require_ranges(options)
    sphere = checked_sphere(options.radius, options.centre)
    _require_new(options.out, options.overwrite)
    names = {kind: getattr(options, f"{kind}_name") for kind in KINDS}
    cases = find_cases(options.real, options.synthetic, options.target, options.body, names)
    for case in cases if len(cases) > 1 else ():  # a plan takes minutes: what is wrong with the last case comes first
        load(case, reader_of(options), sphere)
    write_text(options.out / SETTINGS, json.dumps(_settings(options), indent=2))
    rows: list[dict[str, Any]] = []
    for case in cases:
        loaded = load(case, reader_of(options), sphere)
        for modality in options.modality:
            rows.append(_row(case, loaded, modality, options))
            write_text(options.out / TABLE, pd.DataFrame(rows).to_csv(index=False))
            print(f"{case.name}, {modality}: {rows[-1]['seconds']:.0f} s", file=sys.stderr, flush=True)
    print(_text(rows))
    print(f"written to {options.out / TABLE}; peak memory {_peak_gb():.1f} GB")
    return 0


def _row(case: Case, loaded: Loaded, modality: str, options: argparse.Namespace) -> dict[str, Any]:
    """Plan, dose on both CTs and their comparison; the doses are written as NIfTI files on the real CT's grid."""
    from examples.dose.plan import Setup, dose_on, make_plan

    start = time.perf_counter()
    gantry = tuple(options.gantry or GANTRY[modality])
    setup = Setup(modality, gantry, options.prescription, options.dose_spacing, options.spot_spacing)
    plan = make_plan(loaded.real, loaded.spacing, loaded.target, loaded.body, setup)
    doses = {kind: dose_on(plan, getattr(loaded, kind)) for kind in ("real", "synthetic")}
    found = compare(doses["real"], doses["synthetic"], loaded.target, loaded.spacing, options.prescription)
    for kind, dose in doses.items():
        path = options.out / f"{case.name}_{modality}_{kind}.nii.gz"
        save_on(loaded.affine, loaded.as_stored(dose), path, "float32", f"dose in Gy on the {kind} CT, pencil beams")
    seconds = time.perf_counter() - start
    return {"case": case.name, "modality": modality, **found, "beamlets": plan.weights.size, "seconds": seconds}


def _text(rows: Sequence[Mapping[str, Any]]) -> str:
    lines = [[_shown(row[name]) for name in SHOWN] for row in rows]
    return pd.DataFrame(lines, columns=list(SHOWN.values())).to_string(index=False)


def _shown(value: object) -> str:
    if not isinstance(value, float):
        return str(value)
    return "-" if math.isnan(value) else f"{value:.2f}"


def _settings(options: argparse.Namespace) -> dict[str, Any]:
    from importlib.metadata import version

    chosen = {name: _plain(value) for name, value in vars(options).items() if name != "overwrite"}
    return chosen | {"versions": {name: version(name) for name in ("pyRadPlan", "pymedphys", "numpy")}}


def _plain(value: object) -> object:
    return str(value) if isinstance(value, Path) else value


def _peak_gb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def _require_ranges(options: argparse.Namespace) -> None:
    low, high = SPACINGS
    if not low <= options.dose_spacing <= high:
        fault = f"--dose_spacing is {options.dose_spacing:g} mm, outside {low:g} to {high:g}"
        raise ConfigError(fault, "choose one in between")
    for name in ("prescription", "spot_spacing"):
        if not 0 < getattr(options, name) < math.inf:
            raise ConfigError(f"--{name} is {getattr(options, name):g}", "pass a finite number above 0")


def _require_new(out: Path, overwrite: bool) -> None:
    if out.exists() and not out.is_dir():
        raise OutputError(f"--out {out} is a file", "pass a folder")
    if (out / TABLE).exists() and not overwrite:
        raise OutputError(f"--out {out} already holds {TABLE}", "add --overwrite, or choose another --out")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m examples.dose", description=(__doc__ or "").split("\n\n")[0])
    add = parser.add_argument
    about = "CT in HU: a NIfTI file, a DICOM series, or a folder of cases"
    add("--real", type=path_option, required=True, metavar="PATH", help=f"real {about}")
    add("--synthetic", type=path_option, required=True, metavar="PATH", help=f"synthetic {about}")
    add("--target", type=path_option, metavar="PATH", help="mask to irradiate (default: a sphere)")
    add("--radius", type=float, default=20.0, help="radius of that sphere in mm (default: %(default)s)")
    about = "centre of that sphere in mm, scanner coordinates (default: the middle of the body)"
    add("--centre", type=float, nargs=3, metavar=("R", "A", "S"), help=about)
    about = "mask of the patient (default: above -500 HU in the real CT, cavities filled)"
    add("--body", type=path_option, metavar="PATH", help=about)
    for kind in KINDS:
        add(f"--{kind}_name", metavar="NAME", help=f"in folders: --{kind} holds <case>/NAME.nii.gz")
    add("--modality", nargs="+", choices=list(GANTRY), default=list(GANTRY), help="radiation (default: both)")
    about = "angles of the beams in degrees (default: photons 0 72 144 216 288, protons 90 270)"
    add("--gantry", type=float, nargs="+", metavar="DEGREES", help=about)
    add("--prescription", type=float, default=2.0, help="dose of the target in Gy (default: %(default)s)")
    add("--dose_spacing", type=float, default=2.5, help="spacing of the dose grid in mm (default: %(default)s)")
    add("--spot_spacing", type=float, default=5.0, help="spacing of beamlets and spots in mm (default: %(default)s)")
    about = f"folder of the results, {TABLE}, {SETTINGS} and the doses (default: %(default)s)"
    add("--out", type=path_option, default=Path("dose"), metavar="DIR", help=about)
    add("--overwrite", action="store_true", help="replace existing files in --out")
    add_reader(parser)
    return parser


if __name__ == "__main__":
    sys.exit(main())
