import numpy as np
import pytest
from scipy import ndimage

from common.simulation.grid import Motion
from common.simulation.head import head_anatomy
from common.simulation.tissues import TISSUES


def volume_ml(anatomy, *names):
    return sum(anatomy.fractions[name].sum(dtype=np.float64) for name in names) * anatomy.spacing**3 / 1000


def test_fractions_are_shares_that_sum_to_one(head):
    assert set(head.fractions) == set(TISSUES)
    total = np.zeros(head.head.shape)
    for fraction in head.fractions.values():
        assert fraction.dtype == np.float32
        assert fraction.min() >= 0
        assert fraction.max() <= 1 + 1e-6
        total += fraction
    np.testing.assert_allclose(total, 1, atol=1e-5)


def test_volumes_are_those_of_an_adult_head(head):
    # Brain 1000..1550 ml with grey above white matter; skull with diploe several hundred ml.
    assert 1000 < volume_ml(head, "grey", "white", "lesion") < 1550
    assert 1.2 < volume_ml(head, "grey") / volume_ml(head, "white", "lesion") < 2.0
    assert 100 < volume_ml(head, "csf") < 400
    assert 400 < volume_ml(head, "skull", "marrow") < 900
    assert 20 < volume_ml(head, "sinus") < 120


def test_the_same_seed_gives_the_same_head_at_another_spacing_and_another_seed_another(head):
    coarse = head_anatomy(3, 4.0)
    for names in (("white", "lesion"), ("grey",), ("skull", "marrow"), ("fat",), ("background",)):
        assert volume_ml(coarse, *names) == pytest.approx(volume_ml(head, *names), rel=0.05)
    difference = np.abs(head.fractions["white"] - head_anatomy(4, 2.5).fractions["white"]).sum()
    assert difference > 0.3 * head.fractions["white"].sum()


def test_skull_encloses_the_brain(head):
    # Walking from white matter through all that is not mostly bone never reaches the skin; the slices with the foramen
    # magnum are left out.
    bone = head.fractions["skull"] + head.fractions["marrow"] > 0.5
    above = slice(int(0.35 * bone.shape[2]), None)
    regions, _ = ndimage.label(~bone[..., above])
    brain = np.unique(regions[head.fractions["white"][..., above] > 0.9])
    skin = np.unique(regions[head.fractions["skin"][..., above] > 0.5])
    assert len(brain) == 1
    assert brain[0] > 0
    assert brain[0] not in skin


def test_a_turn_takes_brain_and_vessels_along():
    motion = Motion((3.0, -2.0, 1.0), (2.0, -1.0, 3.0))
    still, moved = head_anatomy(3, 4.0), head_anatomy(3, 4.0, *motion)
    for name in ("white", "vessel"):
        # The neck leaves the field of view, so that only what lies above it is compared, at the place it came from.
        world = np.argwhere(moved.head) * 4.0 + moved.affine[:3, 3]
        rest = (world - motion.apply(np.zeros((1, 3)))) @ motion.matrix
        above = rest[:, 2] > -20
        read, there = (
            ndimage.map_coordinates(anatomy.fractions[name], ((points - moved.affine[:3, 3]) / 4.0).T, order=1)[above]
            for anatomy, points in ((still, rest), (moved, world))
        )
        unmoved = still.fractions[name][moved.head][above]
        assert np.corrcoef(read, there)[0, 1] > 0.85
        assert np.corrcoef(read, there)[0, 1] > np.corrcoef(unmoved, there)[0, 1] + 0.1
