"""Checks of the dose calculation on water boxes, where the right answer is known without it.

    python -m examples.dose.checks [--modality photons protons]

prints what is expected and found, a line for each check; exit code 1 if one is outside its tolerance.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from common.errors import exit_code_of_user_errors
from examples.dose.environment import require_environment
from examples.dose.measures import Dose, Mask, compare, dose_mae, gamma_pass_rate

STEP = 2.5
"""Of the voxels in mm."""
SHAPE, WALL = (48, 28, 28), 4
"""Voxels of the volume, and of the air around the box of water."""
RADIUS = 12.5
"""Of the target in mm, a sphere in the middle of the box."""
AIR, WATER = -1000.0, 0.0
BONE, BONE_DENSITY = 350.0, 1.199
"""HU of the slab, and its relative density and stopping power by pyRadPlan's table."""
SLAB = 8
"""Voxels of the slab along the beam, 20 mm."""
MOVED = 2
"""Voxels that the box is moved towards the beam."""
SOURCE = 1000.0
"""Distance of the photons' source from the middle of the target in mm."""
ERRORS = (20, 50, 100)
"""HU that are added to or taken from the whole box."""
PRESCRIPTION = 2.0


@dataclass(frozen=True)
class Outcome:
    """One line: what was expected, with its tolerance, and what was found."""

    name: str
    expected: str
    found: str
    passed: bool


def box() -> tuple[Dose, Mask, Mask]:
    """Water in air with a spherical target: HU (X, Y, Z), target, and a body that leaves room for a moved box."""
    ct = np.full(SHAPE, AIR)
    ct[WALL:-WALL, WALL:-WALL, WALL:-WALL] = WATER
    middle = (np.array(SHAPE) - 1) / 2
    distance = STEP * np.linalg.norm(np.moveaxis(np.indices(SHAPE), 0, -1) - middle, axis=-1)
    return ct, distance <= RADIUS, np.ones(SHAPE, bool)


def axis(dose: Dose) -> Dose:
    """Dose along the beam from the left: the first axis reversed, averaged over the four voxels of the middle."""
    y, z = (n // 2 for n in SHAPE[1:])
    return dose[::-1, y - 1 : y + 1, z - 1 : z + 1].mean(axis=(1, 2))


def end_of_range(dose: Dose) -> float:
    """Depth in mm from the edge of the volume where dose falls below half of the prescription behind the target."""
    profile = axis(dose)
    last = int(np.flatnonzero(profile >= PRESCRIPTION / 2)[-1])
    above, below = profile[last] - PRESCRIPTION / 2, PRESCRIPTION / 2 - profile[last + 1]
    return float(STEP * (last + above / (above + below)))


def checks(modality: str) -> Iterator[Outcome]:
    """Plan once on water with a beam from the left, and compare the dose on changed boxes with what must come out."""
    from examples.dose.plan import Setup, dose_on, make_plan

    water, target, body = box()
    spacing = (STEP,) * 3
    plan = make_plan(water, spacing, target, body, Setup(modality, (90.0,), PRESCRIPTION, STEP))
    real = dose_on(plan, water)
    same = compare(real, dose_on(plan, water.copy()), target, spacing, PRESCRIPTION)
    passed = same["dose_mae"] == 0 and same["gamma"] == 100
    yield Outcome("the same CT", "MAE 0 %, gamma 100 %", f"{same['dose_mae']:g} %, {same['gamma']:g} %", passed)

    before, behind = axis(real)[WALL + 2 : WALL + 8].mean(), axis(real)[-WALL - 8 : -WALL].mean()
    passed = before > behind
    yield Outcome("gantry 90: from the left", "more dose on the left", f"{before:.2f}, {behind:.2f} Gy", bool(passed))

    slab = water.copy()
    slab[-WALL - SLAB : -WALL] = np.where(slab[-WALL - SLAB : -WALL] == WATER, BONE, AIR)
    shift = (BONE_DENSITY - 1) * SLAB * STEP
    moved = np.roll(water, MOVED, axis=0)
    found = dose_on(plan, slab), dose_on(plan, moved)
    if modality == "protons":
        reach = end_of_range(real)
        yield _near("20 mm of 350 HU: range, mm", -shift, end_of_range(found[0]) - reach, 0.3)
        yield _near("box 5 mm nearer: range, mm", -MOVED * STEP, end_of_range(found[1]) - reach, 0.1)
    else:
        yield _near("20 mm of 350 HU: dose behind, ratio", *_behind(real, found[0], shift), 0.01)
        yield _near("box 5 mm nearer: dose behind, ratio", *_behind(real, found[1], MOVED * STEP), 0.01)
    yield from _ranking({error: dose_on(plan, _wrong(water, error)) for error in _signed()}, real, spacing)


def _signed() -> list[int]:
    return [sign * size for sign in (1, -1) for size in ERRORS]


def _wrong(water: Dose, error: int) -> Dose:
    return np.where(water == WATER, water + error, water)


def _behind(real: Dose, changed: Dose, shift: float) -> tuple[float, float]:
    """Dose in the target over that in water, by the water in front and the inverse square law, and as computed.

    What lies behind ``shift`` mm more of water has the dose of the place that is so much deeper in the box, nearer to
    the source by as much.
    """
    depths = STEP * (np.arange(SHAPE[0]) - (SHAPE[0] - 1) / 2)
    inside = np.abs(depths) < RADIUS - STEP
    deeper = np.interp(depths + shift, depths, axis(real))[inside]
    nearer = ((SOURCE + depths + shift) / (SOURCE + depths))[inside] ** 2
    water = axis(real)[inside]
    return float(np.mean(deeper * nearer / water)), float(np.mean(axis(changed)[inside] / water))


def _ranking(doses: dict[int, Dose], real: Dose, spacing: Sequence[float]) -> Iterator[Outcome]:
    for sign in (1, -1):
        sizes = [sign * size for size in ERRORS]
        errors = [dose_mae(real, doses[size], PRESCRIPTION) for size in sizes]
        rates = [gamma_pass_rate(real, doses[size], spacing) for size in sizes]
        name = f"{', '.join(f'{size:+d}' for size in sizes)} HU"
        shown = [", ".join(f"{value:.{digits}f}" for value in found) for found, digits in ((errors, 2), (rates, 1))]
        rising = 0 < errors[0] < errors[1] < errors[2]
        yield Outcome(f"{name}: MAE, %", "above 0 and rising", shown[0], rising)
        yield Outcome(f"{name}: gamma, %", "not rising", shown[1], rates[0] >= rates[1] >= rates[2])


def _near(name: str, expected: float, found: float, tolerance: float) -> Outcome:
    return Outcome(name, f"{expected:.3f} +- {tolerance:g}", f"{found:.3f}", abs(found - expected) <= tolerance)


@exit_code_of_user_errors
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the checks of one or both modalities."""
    parser = argparse.ArgumentParser(prog="python -m examples.dose.checks", description=(__doc__ or "").split("\n")[0])
    both = ["photons", "protons"]
    parser.add_argument("--modality", nargs="+", choices=both, default=both, help="radiation (default: both)")
    chosen = parser.parse_args(arguments).modality
    require_environment()
    passed = True
    for modality in chosen:
        start = time.perf_counter()
        for outcome in checks(modality):
            passed &= outcome.passed
            verdict = "ok" if outcome.passed else "FAIL"
            print(f"{verdict:<5}{modality:<8} {outcome.name:<40} {outcome.expected:<22} {outcome.found}", flush=True)
        print(f"{modality}: {time.perf_counter() - start:.0f} s", flush=True)
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
