"""Registration of real scans: MS patients (Lesjak et al. 2017) moved on purpose, and the scans of another patient."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from movements import errors_mm, mapped, moving
from scipy import ndimage

from common.registration.align import Alignment, Grid, align, mask_on, working
from common.registration.quality import Limits, Quality, array, measure, without_needless_warp
from common.transforms.body import distance_from_body

itk = pytest.importorskip("SimpleITK")
SCANS = Path(__file__).resolve().parents[2] / "shared" / "data" / "open_ms"
PATIENTS = ("patient07", "patient19", "patient26")
SMALL = {"degrees": (8, -5, 12), "shift": (10, -6, 8)}
LARGE = {"degrees": (20, -15, 15), "shift": (15, 5, -10)}

LONGEST = pytest.mark.longest
"""Continuous integration has T2 onto T1, the contrasts that differ most."""

pytestmark = [
    pytest.mark.real,
    pytest.mark.slow,
    pytest.mark.skipif(not SCANS.is_dir(), reason=f"no scans at {SCANS}"),
]


def scan(patient: str, name: str) -> Grid:
    """A scan at 2 mm."""
    image = nib.load(SCANS / patient / f"{name}.nii.gz")
    values = np.asarray(image.dataobj, dtype=np.float32)[: 2 * (image.shape[0] // 2)][..., : 2 * (image.shape[2] // 2)]
    x, y, z = (n // 2 for n in values.shape)
    affine = image.affine @ np.diag([2, 2, 2, 1.0])
    affine[:3, 3] = image.affine[:3, :3] @ [0.5, 0.5, 0.5] + image.affine[:3, 3]
    return np.clip(values[:, : 2 * y].reshape(x, 2, y, 2, z, 2).mean((1, 3, 5)), 0, None), affine


def points_of(volume: Grid) -> np.ndarray:
    """Voxel centres in RAS mm, (N, 3)."""
    indices = np.stack(np.indices(volume[0].shape), -1).reshape(-1, 3)
    return indices @ volume[1][:3, :3].T + volume[1][:3, 3]


def moved(volume: Grid, move) -> Grid:
    """The volume as it is at the moved points."""
    places = (move(points_of(volume)) - volume[1][:3, 3]) @ np.linalg.inv(volume[1][:3, :3]).T
    return ndimage.map_coordinates(volume[0], places.T, order=1).reshape(volume[0].shape), volume[1]


def registered(fixed: Grid, other: Grid, deform: bool) -> tuple[Alignment, Quality]:
    """The alignment and its numbers, by the outlines of the heads."""
    outlines = [distance_from_body(*volume, 6) for volume in (fixed, other)]
    rim, bodies = (outlines[0][0] <= 6, outlines[0][1]), [(distance <= 0, affine) for distance, affine in outlines]
    here, there = working(*fixed), working(*other)
    body = array(mask_on(bodies[0], here)) > 0
    alignment = without_needless_warp(here, there, body, align(here, there, (rim, bodies[1]), deform))
    return alignment, measure(here, there, body, bodies[1], alignment)


def errors(transform, fixed: Grid, move, belongs=None) -> np.ndarray:
    """How far brain points come from where they belong, by default from where they were, in mm."""
    inside = points_of(fixed)[fixed[0].ravel() > 5]
    points = inside[np.random.default_rng(0).choice(len(inside), 500)]
    return errors_mm(transform, move, points, None if belongs is None else mapped(belongs, points))


@pytest.mark.parametrize("movement", [pytest.param(SMALL, marks=LONGEST), LARGE], ids=["small", "large"])
@pytest.mark.parametrize("target", ["t2", pytest.param("t1", marks=LONGEST), pytest.param("flair", marks=LONGEST)])
def test_a_rigid_movement_is_found_to_half_a_millimetre(target, movement):
    """Against where the unmoved scan is registered: scans of a patient are published up to .6 mm away from there."""
    move = moving(**movement)
    fixed, other = scan("patient19", "t1"), scan("patient19", target)
    unmoved, _ = registered(fixed, other, deform=False)
    alignment, quality = registered(fixed, moved(other, move), deform=False)
    assert errors(itk.Transform(), fixed, move).mean() > 10
    assert errors(alignment.whole, fixed, move, unmoved.whole).mean() < 0.5
    assert list(quality.faults(Limits())) == []


@pytest.mark.parametrize("target", ["t2", pytest.param("t1", marks=LONGEST)])
def test_the_error_of_a_warp_is_halved(target):
    move = moving((3, 4, -5), (4, 3, -2), warp=4)
    fixed = scan("patient26", "t1")
    alignment, quality = registered(fixed, moved(scan("patient26", target), move), deform=True)
    assert errors(alignment.whole, fixed, move).mean() < 0.5 * errors(alignment.rigid, fixed, move).mean()
    assert quality.information[1] > quality.information[0]


def test_what_is_not_warped_is_not_deformed():
    move = moving(**SMALL)
    alignment, quality = registered(scan("patient07", "t1"), moved(scan("patient07", "t2"), move), deform=True)
    assert quality.displacement == 0
    assert errors(alignment.whole, scan("patient07", "t1"), move).mean() < 0.5


@pytest.mark.parametrize(("target", "deform"), [("t2", True), ("t2", False), pytest.param("t1", True, marks=LONGEST)])
def test_another_patients_scan_is_refused(target, deform):
    _, quality = registered(scan("patient26", "t1"), scan("patient07", target), deform)
    assert any("as with another patient's scan" in fault for fault in quality.faults(Limits()))
