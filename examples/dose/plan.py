"""A plan by pyRadPlan's pencil beams: optimised on one CT, its dose computed on any other with the same weights.

Volumes are (X, Y, Z) with axes towards left, posterior and superior, as pyRadPlan has them. Gantry angles are those of
IEC 61217 for a patient on the back, head first: 0 degrees comes from in front, 90 degrees from the patient's left.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyRadPlan
import SimpleITK
from numpy.typing import NDArray
from pyRadPlan.cst import ExternalVOI, Target
from pyRadPlan.dose.engines import get_engine
from pyRadPlan.optimization.objectives import SquaredDeviation, SquaredOverdosing
from pyRadPlan.stf import get_generator

from common.errors import DataError

Volume = NDArray[np.floating]
Mask = NDArray[np.bool_]
MACHINE = "Generic"
"""Of pyRadPlan, with its table from HU to relative density or stopping power (``pyRadPlan.ct.default_hlut``)."""
TARGET_WEIGHT, BODY_WEIGHT = 1000.0, 300.0
"""Priorities of the squared deviation in the target and of the squared dose above half the prescription elsewhere."""
BODY_PART = 0.5

pyRadPlan.settings.xp.prefer_gpu = False


@dataclass(frozen=True)
class Setup:
    """How a plan is made.

    Args:
        modality: ``photons`` (6 MV, intensity modulated) or ``protons`` (pencil beam scanning).
        gantry: angles of the beams in degrees, in one axial plane.
        prescription: of the target in Gy.
        dose_spacing: of the grid that dose is computed on, mm.
        spot_spacing: distance of beamlets or spots, mm.
    """

    modality: str
    gantry: tuple[float, ...]
    prescription: float = 2.0
    dose_spacing: float = 2.5
    spot_spacing: float = 5.0


@dataclass(frozen=True)
class Plan:
    """Beams with the weights of their beamlets, and the structures that they were planned for.

    Args:
        setup: how it was made.
        spacing: of the CT's voxels in mm.
        target: (X, Y, Z).
        body: (X, Y, Z); outside it there is neither density nor dose, on any CT.
        beams: pyRadPlan's steering information.
        weights: of the beamlets, (N,).
    """

    setup: Setup
    spacing: tuple[float, ...]
    target: Mask
    body: Mask
    beams: Any
    weights: NDArray[np.floating]


def make_plan(ct: Volume, spacing: Sequence[float], target: Mask, body: Mask, setup: Setup) -> Plan:
    """Optimise the weights on a CT for the prescribed dose in the target and at most half of it elsewhere.

    Args:
        ct: in HU.
        spacing: of its voxels in mm.
        target: its voxels, inside ``body``.
        body: the patient's voxels.
        setup: of the plan.

    Raises:
        DataError: no beamlet reaches the target.
    """
    image = _image(ct, spacing)
    structures, wanted = _structures(image, target, body, setup.prescription), _wanted(setup)
    with _quiet():
        generator = get_generator(wanted)
        generator.console_progress = False
        beams = pyRadPlan.validate_stf(generator.generate(image, structures))
        if not beams.total_number_of_bixels:
            angles = ", ".join(f"{angle:g}" for angle in setup.gantry)
            fault = f"no beamlet of {setup.modality} reaches the target at gantry {angles}"
            raise DataError(fault, "enlarge the target, or pass other --gantry angles")
        influence = _engine(wanted).calc_dose_influence(image, structures, beams)
        weights = pyRadPlan.fluence_optimization(image, structures, beams, influence, wanted)
    return Plan(setup, tuple(spacing), target, body, beams, np.asarray(weights))


def dose_on(plan: Plan, ct: Volume) -> NDArray[np.float32]:
    """Dose of a plan on a CT in Gy, on the CT's grid; 0 outside the body.

    Args:
        plan: of :func:`make_plan`.
        ct: in HU, on the grid of the CT that was planned on.
    """
    image = _image(ct, plan.spacing)
    structures, wanted = _structures(image, plan.target, plan.body, plan.setup.prescription), _wanted(plan.setup)
    with _quiet():
        found = _engine(wanted).calc_dose_forward(image, structures, plan.beams, plan.weights)
    dose = SimpleITK.GetArrayFromImage(found["physical_dose"]).T
    return np.where(plan.body, dose, 0).astype(np.float32)


def _wanted(setup: Setup) -> Any:
    kind = pyRadPlan.PhotonPlan if setup.modality == "photons" else pyRadPlan.IonPlan
    angles = list(setup.gantry)
    steps = dict.fromkeys("xyz", setup.dose_spacing)
    return kind(
        radiation_mode=setup.modality,
        machine=MACHINE,
        num_of_fractions=1,
        prescribed_dose=setup.prescription,
        prop_stf={"gantry_angles": angles, "couch_angles": [0.0] * len(angles), "bixel_width": setup.spot_spacing},
        prop_dose_calc={"dose_grid": {"resolution": steps}},
        prop_opt={"solver": "scipy"},
    )


def _engine(wanted: Any) -> Any:
    engine = get_engine(wanted)
    engine.console_progress = False
    return engine


def _structures(image: Any, target: Mask, body: Mask, prescription: float) -> Any:
    aim = SquaredDeviation(priority=TARGET_WEIGHT, d_ref=prescription)
    limit = SquaredOverdosing(priority=BODY_WEIGHT, d_max=BODY_PART * prescription)
    vois = [
        Target(name="target", ct_image=image, mask=_mask(target, image), objectives=[aim]),
        ExternalVOI(name="body", ct_image=image, mask=_mask(body, image), objectives=[limit]),
    ]
    return pyRadPlan.StructureSet(vois=vois, ct_image=image)


def _image(ct: Volume, spacing: Sequence[float]) -> Any:
    """The CT with its first voxel at the origin: beams are placed by the target, not by the scanner's coordinates."""
    image = SimpleITK.GetImageFromArray(np.ascontiguousarray(ct.T, dtype=np.float32))
    image.SetSpacing([float(step) for step in spacing])
    return pyRadPlan.CT(cube_hu=image)


def _mask(mask: Mask, image: Any) -> Any:
    made = SimpleITK.GetImageFromArray(np.ascontiguousarray(mask.T, dtype=np.uint8))
    made.CopyInformation(image.cube_hu)
    return made


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what pyRadPlan logs of its progress and NumPy of rays that are parallel to an axis."""
    logger = logging.getLogger("pyRadPlan")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), np.errstate(divide="ignore", invalid="ignore"):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
