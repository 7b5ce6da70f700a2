"""``synthesize simulate``: pairs of a corrupted and the given volume, radiographs."""

from __future__ import annotations

import argparse

from common.errors import path_option
from medical_image_synthesis.catalogue import bundle_named
from medical_image_synthesis.options import add_reader, reader_of

MASKS = ("cartesian", "equispaced", "gaussian", "poisson", "radial")
PROFILES = ("gaussian", "box")
PLANES = ("sagittal", "coronal", "axial")
KERNELS = ("sharp", "soft")
RADIOGRAPHS = ("tiff", "png", "nifti")
ABOUT_MASKS = (
    "cartesian (random lines, Gaussian density), equispaced (as fastMRI), gaussian (2-D, as DAGAN), poisson "
    "or radial (golden angle)"
)
ABOUT_CENTRE = "fully measured part in the middle, of the lines (2-D masks: of rows and columns)"
ABOUT_PROFILES = "gaussian, with the thickness as full width at half maximum, or box, the mean of thin slices"
KINDS = {
    "low-dose": "CT at a lower dose, by noise inserted into projections",
    "undersample": "zero-filled MR of an undersampled k-space",
    "thicken": "MR or CT of thick slices on the thin grid",
    "noise": "MR with Rician noise",
    "motion": "MR of a head that moved in the plane of the slices during the scan",
    "interpolate": "a thick MR or CT on thin slices, for a network of thin slices",
    "radiograph": "digitally reconstructed radiographs of CT, by a cone beam",
}
EXAMPLES = """examples:
  synthesize simulate low-dose --dataset_dir DATA --out PAIRS --dose 0.25
  synthesize simulate undersample --dataset_dir DATA --out PAIRS --mask cartesian --acceleration 4
  synthesize simulate thicken --dataset_dir DATA --out PAIRS --thickness 5
  synthesize simulate motion --dataset_dir DATA --out PAIRS --distance_mm 2 --degrees 2
  synthesize simulate radiograph --dataset_dir DATA --out PICTURES --angles 0 90"""
CHOSEN = "(default: %(default)s)"


def add(command: argparse.ArgumentParser, _: str) -> None:
    """Add a command for each kind."""
    command.epilog = EXAMPLES
    commands = command.add_subparsers(required=True, metavar="KIND", dest="kind", prog="synthesize simulate")
    for kind, about in KINDS.items():
        parser = commands.add_parser(kind, help=about, description=f"{about[0].upper()}{about[1:]}.")
        {"low-dose": _add_low_dose, "radiograph": _add_radiograph}.get(kind, _add_mr)(parser, kind)
        parser.add_argument(
            "--dataset_dir", metavar="DATA", type=path_option, required=True, help="folder of the cases"
        )
        parser.add_argument("--out", type=path_option, required=True, help="folder of the results, <case>/FILE")
        parser.add_argument("--overwrite", action="store_true", help="replace cases that exist")
        if kind not in ("interpolate", "radiograph"):
            parser.add_argument(
                "--seed", type=int, default=0, help=f"seed of random numbers, with the case's name {CHOSEN}"
            )
        add_reader(parser)


def _add_low_dose(parser: argparse.ArgumentParser, _: str) -> None:
    add = parser.add_argument
    add("--dose", type=float, required=True, help="fraction of the full dose, above 0 to 1, such as 0.25")
    add("--ct", default="ct", help=f"name of the CT's file or folder of slices {CHOSEN}")
    add("--photons", type=float, default=1.0e6, help=f"photons of a full-dose ray in air {CHOSEN}")
    add("--electronic_noise", type=float, default=3.0, help=f"standard deviation of the noise in photons {CHOSEN}")
    add("--views", type=int, default=360, help=f"number of views in 180 degrees; 720 for 512 x 512 pixels {CHOSEN}")
    add("--kernel", choices=KERNELS, default="soft", help=f"reconstruction kernel of the noise {CHOSEN}")
    add("--bow_tie", type=float, metavar="MM", help="water diameter of a bow-tie filter in mm (default: no filter)")
    add("--noiseless", action="store_true", help="input CT without noise, such as phantoms")
    parser.set_defaults(run=low_dose)


def _add_radiograph(parser: argparse.ArgumentParser, _: str) -> None:
    add = parser.add_argument
    add("--ct", default="ct", help=f"name of the CT's file or folder of slices {CHOSEN}")
    about = "of the source in degrees: 0 in front (AP), 90 at the left"
    add("--angles", type=float, nargs="+", default=(0.0, 90.0), help=f"{about} {CHOSEN}")
    add("--source_to_detector", type=float, default=1500.0, help=f"distance in mm {CHOSEN}")
    add("--source_to_axis", type=float, default=1000.0, help=f"distance in mm of the CT's middle {CHOSEN}")
    add("--detector", type=int, nargs=2, default=(512, 512), help=f"columns and rows of pixels {CHOSEN}")
    add("--pixel_mm", type=float, default=0.8, help=f"side of a detector's pixel in mm {CHOSEN}")
    add("--energy", type=float, default=70.0, help=f"of all photons in keV, 30 to 150 {CHOSEN}")
    add("--output_format", choices=RADIOGRAPHS, default="tiff", help=f"of 16 bits, or NIfTI of integrals {CHOSEN}")
    parser.set_defaults(run=radiograph)


def _add_mr(parser: argparse.ArgumentParser, kind: str) -> None:
    add = parser.add_argument
    if kind == "undersample":
        add("--mask", choices=MASKS, default="cartesian", help=f"{ABOUT_MASKS} {CHOSEN}")
        add("--acceleration", type=float, default=4.0, help=f"acceleration factor, above 1 {CHOSEN}")
        add("--centre_fraction", type=float, help=f"{ABOUT_CENTRE} (default: 0.32 / acceleration)")
        add("--noise", type=float, default=0.0, help=f"SD of complex noise over the 99.5th percentile {CHOSEN}")
        add("--coils", type=int, default=1, help=f"number of simulated receive coils {CHOSEN}")
        add("--largest_phase", type=float, default=1.5, help=f"largest simulated phase in radians {CHOSEN}")
        add("--kspace", action="store_true", help="also write <case>/kspace.h5, in fastMRI's layout")
    elif kind == "thicken":
        add("--thickness", type=float, default=5.0, help=f"slice thickness in mm {CHOSEN}")
        add("--gap", type=float, default=0.0, help=f"gap between slices in mm {CHOSEN}")
        add("--profile", choices=PROFILES, default="gaussian", help=f"{ABOUT_PROFILES} {CHOSEN}")
    elif kind == "noise":
        add("--level", type=float, default=0.1, help=f"SD of Rician noise over the 99.5th percentile {CHOSEN}")
    elif kind == "motion":
        add("--distance_mm", type=float, default=2.0, help=f"length of each translation in mm {CHOSEN}")
        add("--degrees", type=float, default=2.0, help=f"angle of each rotation in degrees {CHOSEN}")
        add("--movements", type=int, default=2, help=f"moves, at random times of the scan {CHOSEN}")
    else:
        add("--slice", type=float, default=1.0, help=f"distance of the slices in mm {CHOSEN}")
    if kind != "noise":
        add("--plane", choices=PLANES, default="axial", help=f"plane of the slices {CHOSEN}")
    names = parser.add_mutually_exclusive_group()
    names.add_argument("--mr", default="mr", help=f"name of the MR's file or folder of slices {CHOSEN}")
    if kind in ("thicken", "interpolate"):
        names.add_argument("--ct", help="name of the CT's, in HU, in place of an MR's")
    parser.set_defaults(run=undersample if kind == "undersample" else degrade)


def low_dose(options: argparse.Namespace) -> int:
    """Write pairs of low-dose and given CT."""
    return _written(options, bundle_named("ldct").module("low_dose").write_pairs(options, reader_of(options)))


def degrade(options: argparse.Namespace) -> int:
    """Write pairs of corrupted and given MR, or of thick and given CT."""
    from common.simulation.degraded_cases import write_pairs

    return _written(options, write_pairs(options, reader_of(options)))


def radiograph(options: argparse.Namespace) -> int:
    """Write radiographs of CT."""
    from common.simulation.radiograph import write_pairs

    return _written(options, write_pairs(options, reader_of(options)))


def undersample(options: argparse.Namespace) -> int:
    """Write pairs of undersampled and given MR, from volumes or k-space."""
    return _written(options, bundle_named("mri_dagan").module("degrade").write_pairs(options, reader_of(options)))


def _written(options: argparse.Namespace, cases: int) -> int:
    print(f"{cases} cases written to {options.out}")
    return 0
