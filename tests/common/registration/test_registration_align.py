"""Known movements of MR and CT are found again."""

from __future__ import annotations

import numpy as np
import pytest
from moved_heads import AFFINE, SHAPE, errors_mm, moving, volume

from common.errors import OutputError
from common.registration import align as aligning
from common.registration.align import Grid, align, working

itk = pytest.importorskip("SimpleITK")


def body(values: np.ndarray) -> Grid:
    """The voxels brighter than air."""
    return values > values.min() + 20, AFFINE


def found(fixed: np.ndarray, moved: np.ndarray, deform: bool = False, **settings: bool):
    return align(working(fixed, AFFINE), working(moved, AFFINE), (body(fixed), body(moved)), deform, **settings)


@pytest.mark.parametrize("names", [("mr", "mr"), ("mr", "ct")])
def test_a_rigid_movement_is_found_to_half_a_millimetre(names):
    move = moving((6, -10, 14), (9, -6, 11))
    alignment = found(volume(names[0]), volume(names[1], move))
    assert errors_mm(itk.Transform(), move).mean() > 10
    assert errors_mm(alignment.whole, move).mean() < 0.5
    assert errors_mm(alignment.rigid, move).max() < 1


def test_a_smooth_warp_is_at_least_halved():
    move = moving((3, 2, -4), (4, -3, 2), warp=4)
    alignment = found(volume("mr"), volume("ct", move), deform=True)
    rigid, whole = errors_mm(alignment.rigid, move).mean(), errors_mm(alignment.whole, move).mean()
    assert rigid > 3
    assert whole < rigid / 2


def test_the_centres_are_a_start_where_the_headers_are_far_off():
    move = moving((3, 2, -4), (0, 0, 0))
    fixed, moved = volume("mr"), volume("ct", move)
    away = np.array(AFFINE)
    away[:3, 3] += (400, -300, 1000)
    masks = body(fixed), (body(moved)[0], away)
    alignment = align(working(fixed, AFFINE), working(moved, away), masks, False, centred=True)
    assert errors_mm(alignment.whole, lambda points: move(points - (400, -300, 1000))).mean() < 0.5


@pytest.mark.parametrize(("shift", "centred", "moved"), [(8.0, False, 0.0), (8.0, True, 8.0), (0.0, False, 0.0)])
def test_a_search_that_leads_away_from_an_aligned_pair_is_not_followed(monkeypatch, shift, centred, moved):
    away = itk.Euler3DTransform()
    away.SetTranslation((shift, 0, 0))
    monkeypatch.setattr(aligning, "_stepped", lambda *_: (away, 0.0))
    alignment = found(volume("mr"), volume("ct"), centred=centred)
    assert alignment.rigid.GetTranslation() == (moved, 0, 0)


def test_more_threads_change_nothing():
    fixed, moved = volume("mr"), volume("mr", moving((3, 2, -4), (4, -3, 2)))
    threads = itk.ProcessObject.GetGlobalDefaultNumberOfThreads()
    parameters = []
    for number in (1, 3):
        itk.ProcessObject.SetGlobalDefaultNumberOfThreads(number)
        parameters.append(found(fixed, moved).rigid.GetParameters())
    itk.ProcessObject.SetGlobalDefaultNumberOfThreads(threads)
    assert parameters[0] == pytest.approx(parameters[1], rel=1e-9)


def test_a_sheared_volume_is_refused():
    sheared = np.array(AFFINE)
    sheared[0, 1] = 0.5
    with pytest.raises(OutputError, match="not at right angles"):
        working(np.zeros(SHAPE, np.float32), sheared)
