"""The gate measures transforms that are given, and names what exceeds its limits with the number."""

from __future__ import annotations

import numpy as np
import pytest
from moved_heads import AFFINE, SHAPE, volume

from common.registration.align import Alignment, working
from common.registration.quality import Limits, Quality, measure, without_needless_move, without_needless_warp

itk = pytest.importorskip("SimpleITK")
GOOD = Quality((0.3, 0.6), 0.6, (0.8, 0.97), 1.0, (0.8, 1.3), 6.0, 2.0, 8.0, 12.0)


def image(name: str, *given):
    """The working image of a head, on the grid of its volume, whose voxels are larger than the least."""
    return working(volume(name, *given), AFFINE)


BODY = volume("mr") > 0


def stretched(factor: float) -> Alignment:
    rigid = itk.Euler3DTransform()
    stretch = itk.AffineTransform(3)
    stretch.Scale((factor, 1.0, 1.0))
    return Alignment(rigid, itk.CompositeTransform([rigid, stretch]))


def test_numbers_of_a_given_stretch():
    head = image("mr")
    quality = measure(head, head, BODY, (BODY, AFFINE), stretched(1.25))
    assert quality.jacobian == pytest.approx((1.25, 1.25), abs=1e-6)
    assert quality.displacement == pytest.approx(0.25 * 66, abs=6)
    assert quality.dice[0] == 1
    assert quality.dice[1] == pytest.approx(2 * 0.8 / 1.8, abs=0.02)
    assert quality.information[1] < quality.information[0]
    assert (quality.covered, quality.rotation, quality.translation) == (1, 0, 0)


def test_a_volume_that_is_cut_off_covers_less_and_is_compared_where_it_is():
    half = SHAPE[2] // 2
    cut = working(volume("mr")[..., :half], AFFINE)
    quality = measure(image("mr"), cut, BODY, (BODY[..., :half], AFFINE), stretched(1.0))
    assert quality.covered == pytest.approx(0.5, abs=0.04)
    assert quality.dice[1] == 1


@pytest.mark.parametrize(
    ("changed", "limits", "said"),
    [
        ({}, {}, []),
        ({"dice": (0.8, 0.85)}, {}, ["the Dice of the bodies is 0.850, below 0.9"]),
        ({"sharpness": 0.031}, {}, ["sharpness is 0.031, below 0.05, as with another patient's scan"]),
        ({"information": (0.6, 0.3)}, {}, ["mutual information fell from 0.600 to 0.300"]),
        ({"jacobian": (-0.1, 1.3)}, {}, ["the Jacobian determinant is -0.10 to 1.30, outside 0.2 to 5"]),
        ({"displacement": 31.0}, {}, ["the deformation reaches 31.0 mm, over 20 mm"]),
        ({"covered": 0.3}, {}, ["the target covers 30% of the source's body, less than 50%"]),
        ({}, {"dice": 0.98}, ["the Dice of the bodies is 0.970, below 0.98"]),
        ({}, {"displacement": 5.0}, ["the deformation reaches 6.0 mm, over 5 mm"]),
    ],
)
def test_faults(changed, limits, said):
    assert list(Quality(**{**vars(GOOD), **changed}).faults(Limits(**limits))) == said


def test_a_warp_that_gains_nothing_is_dropped():
    head = image("mr")
    kept, needless = stretched(1.25), stretched(1.01)
    found = [without_needless_warp(head, head, BODY, each) for each in (kept, needless)]
    assert [each.whole.GetNumberOfTransforms() for each in found] == [1, 1]
    wide = image("mr", lambda points: points * (0.8, 1, 1))
    assert without_needless_warp(head, wide, BODY, kept) is kept


def test_an_aligned_pair_is_not_moved():
    head = image("mr")
    found = []
    for shift in (0.3, 3.0):
        rigid = itk.Euler3DTransform()
        rigid.SetTranslation((shift, 0, 0))
        alignment = Alignment(rigid, itk.CompositeTransform([rigid]))
        quality = measure(head, head, BODY, (BODY, AFFINE), without_needless_move(head, head, BODY, alignment))
        found.append((quality.translation, quality.information[1] < quality.information[0]))
    assert found == [(0, False), (3, True)]


def test_another_person_is_less_sharp():
    head = image("mr")
    others = (image("ct", None, person) for person in (0, 1))
    found = [measure(head, other, BODY, (BODY, AFFINE), stretched(1.0)).sharpness for other in others]
    assert found[0] > 0.09 > found[1]


def test_a_rotation_is_measured():
    head = image("mr")
    turn = itk.Euler3DTransform()
    turn.SetRotation(0, np.radians(30), 0)
    turn.SetTranslation((3, 4, 0))
    quality = measure(head, head, BODY, (BODY, AFFINE), Alignment(turn, itk.CompositeTransform([turn])))
    assert (quality.rotation, quality.translation) == (pytest.approx(30), pytest.approx(5))
    assert quality.displacement == pytest.approx(0, abs=1e-9)
