from __future__ import annotations

import numpy as np
import pytest
from mri2pet_sketcher_refiner.microstructure import brain_microstructure
from mri2pet_sketcher_refiner.plaques import (
    RIM_SHARE,
    Plaques,
    _depth,
    _lay,
)

SPACING = 3.0


@pytest.fixture(scope="module")
def patient():
    return brain_microstructure(3, SPACING, patient=True)


@pytest.fixture(scope="module")
def control():
    return brain_microstructure(3, SPACING, patient=False)


def test_patient_and_control_of_a_seed_share_the_head_and_differ_by_disease(patient, control):
    for name in ("mask", "white", "grey", "coherence"):
        np.testing.assert_array_equal(getattr(patient, name), getattr(control, name))
    assert control.lesion.max() == 0
    assert 1 < patient.lesion.sum() * SPACING**3 / 1000 < 40
    assert np.all(patient.lesion <= patient.white)
    assert np.all(patient.myelin <= control.myelin)
    assert np.all(patient.water >= control.water)


def test_depth_in_an_ellipsoid_by_hand():
    # Radii 2 and, along x, 4; voxels of 1 mm from (-4, -4, -4), so that (4, 4, 4) is the centre.
    depth = _depth((9, 9, 9), np.full(3, -4.0), 1.0, np.array([1.0, 0.0, 0.0]), (2.0, 4.0))
    assert depth.dtype == np.float32
    places = {(4, 4, 4): 2, (8, 4, 4): 0, (0, 4, 4): 0, (4, 6, 4): 0, (4, 4, 3): 1, (6, 4, 4): 1, (4, 8, 4): -2}
    for index, expected in places.items():
        assert depth[index] == pytest.approx(expected, abs=1e-5)


def test_a_plaque_is_laid_where_it_reaches_further_in():
    maps = Plaques(*(np.array(values, np.float32) for values in ([0.8, 0, 0.2], [0.5, 0, 0.5], [0.3, 0, 0.3])))
    _lay(maps, np.array([0.0, 2.0, 4.0], np.float32), spacing=2.0, radius=4.0, lost=0.9, water=0.7)
    np.testing.assert_allclose(maps.extent, [0.8, 1, 1])
    # At half the radius, half way from the rim's share to all.
    np.testing.assert_allclose(maps.demyelination, [0.5, 0.9 * (RIM_SHARE + (1 - RIM_SHARE) / 2), 0.9], rtol=1e-6)
    np.testing.assert_allclose(maps.water, [0.3, 0.7, 0.7], rtol=1e-6)
