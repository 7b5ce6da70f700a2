import numpy as np
import pytest
from mri2pet_sketcher_refiner.microstructure import brain_microstructure
from scipy import ndimage

from common.errors import ConfigError
from common.simulation.head import head_anatomy

SPACING = 3.0


@pytest.fixture(scope="module")
def patient():
    return brain_microstructure(3, SPACING, patient=True)


@pytest.fixture(scope="module")
def control():
    return brain_microstructure(3, SPACING, patient=False)


def normal(brain):
    """Pure white matter outside plaques."""
    return (brain.white - brain.lesion > 0.95) & brain.mask


def test_the_same_arguments_give_the_same_bits(patient):
    again = brain_microstructure(3, SPACING, patient=True)
    for name in ("mask", "white", "grey", "lesion", "myelin", "water", "coherence", "grey_myelin"):
        np.testing.assert_array_equal(getattr(patient, name), getattr(again, name))


def test_the_mask_is_the_brain_with_its_fluid_and_without_the_skull(patient):
    fractions = head_anatomy(3, SPACING).fractions
    tissue = patient.white + patient.grey
    assert tissue[patient.mask].sum() > 0.98 * tissue.sum()
    for name in ("skull", "marrow", "fat", "skin", "muscle", "background"):
        assert fractions[name][patient.mask].sum() < 0.002 * patient.mask.sum()
    assert 1200 < patient.mask.sum() * SPACING**3 / 1000 < 1700
    assert ndimage.label(patient.mask)[1] == 1
    assert not (ndimage.binary_fill_holes(patient.mask) & ~patient.mask).any()


def test_patient_and_control_of_a_seed_share_the_head_and_differ_by_disease(patient, control):
    for name in ("mask", "white", "grey", "coherence"):
        np.testing.assert_array_equal(getattr(patient, name), getattr(control, name))
    assert control.lesion.max() == 0
    assert 1 < patient.lesion.sum() * SPACING**3 / 1000 < 40
    assert np.all(patient.lesion <= patient.white)
    assert np.all(patient.myelin <= control.myelin)
    assert np.all(patient.water >= control.water)


def test_myelin_falls_from_controls_to_normal_appearing_white_matter_to_plaques(patient, control):
    mean = {
        "control": control.myelin[normal(control)].mean(),
        "nawm": patient.myelin[normal(patient)].mean(),
        "lesion": patient.myelin[patient.lesion > 0.9].mean(),
    }
    assert mean["control"] == pytest.approx(1, abs=0.02)
    assert 0.84 < mean["nawm"] < 0.98
    assert 0.25 < mean["lesion"] < 0.75
    assert patient.myelin.min() >= 0
    assert 0.05 < patient.water[normal(patient)].mean() < 0.3 < patient.water[patient.lesion > 0.9].mean()


def test_diffuse_changes_are_smooth_and_of_both_factors(patient, control):
    inside = normal(patient)
    for name, spread in (("myelin", 0.02), ("water", 0.02)):
        change = getattr(patient, name) - getattr(control, name)
        near = ndimage.uniform_filter(change, 3)
        core = inside & ~ndimage.binary_dilation(patient.lesion > 0, iterations=2)
        assert change[core].std() > spread
        assert (change - near)[core].std() < 0.15 * change[core].std()


def test_myelin_does_not_follow_the_fibres():
    correlations = []
    for seed in range(4):
        brain = brain_microstructure(seed, 4.0, patient=True)
        correlations.append(np.corrcoef(brain.myelin[normal(brain)], brain.coherence[normal(brain)])[0, 1])
    assert abs(np.mean(correlations)) < 0.25


def test_changes_grow_towards_the_ventricles():
    patient, control = (brain_microstructure(5, 4.0, patient=ill) for ill in (True, False))
    # Ventricles: fluid deep inside the brain.
    deep = ndimage.distance_transform_edt(patient.mask) * 4.0 > 28
    distance = ndimage.distance_transform_edt(~(deep & (patient.white + patient.grey < 0.2))) * 4.0
    lost = control.myelin - patient.myelin
    inside = normal(patient) & (patient.lesion == 0)
    assert lost[inside & (distance < 8)].mean() > 1.2 * lost[inside & (distance > 24)].mean()


def test_bad_spacing_names_the_rule():
    with pytest.raises(ConfigError, match="spacing is .*, not between"):
        brain_microstructure(0, 0.0, patient=True)
