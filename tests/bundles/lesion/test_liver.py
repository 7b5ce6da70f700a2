from __future__ import annotations

import json

import nibabel as nib
import numpy as np
import pytest
from lesion_dcgan_aug.data.selection import check_patches
from lesion_dcgan_aug.liver import LESIONS, liver
from lesion_dcgan_aug.phantoms import write_liver_lesions
from scipy import ndimage

from common.data.datalist import load_datalist
from common.errors import ConfigError
from common.simulation.dataset import case_seed


@pytest.fixture(scope="module")
def patients():
    return [liver(seed, 2.0) for seed in range(12)]


def lesions(patients, name):
    """HU of each lesion's core and rim, its surroundings, and the edge's steepness."""
    found = []
    for patient in patients:
        components, count = ndimage.label(patient.masks[name])
        for number in range(1, count + 1):
            mask = components == number
            core = ndimage.binary_erosion(mask, iterations=2)
            rim = mask & ~ndimage.binary_erosion(mask, iterations=1)
            around = ndimage.binary_dilation(mask, iterations=5) & ~ndimage.binary_dilation(mask, iterations=3)
            if core.sum() >= 5:
                values = [patient.ct[part] for part in (core, rim, around)]
                found.append([*(part.mean() for part in values), values[1].max(), values[0].std()])
    return np.array(found)


def test_every_patient_has_two_or_three_lesions_of_each_class_apart_from_each_other(patients):
    for patient in patients:
        counts = [ndimage.label(patient.masks[name])[1] for name in LESIONS]
        assert set(counts) <= {2, 3}
        assert ndimage.label(np.any(list(patient.masks.values()), axis=0))[1] == sum(counts)


def test_cysts_are_water_and_homogeneous(patients):
    cysts = lesions(patients, "cyst")
    assert cysts[:, 0].min() > -5
    assert cysts[:, 0].max() < 40, "those of a few pixels are blurred with the liver"
    assert np.median(cysts[:, 0]) < 22
    assert np.median(cysts[:, 4]) < 16, "noise alone"


def test_metastases_are_darker_than_the_liver_and_brighter_than_cysts(patients):
    metastases, cysts = lesions(patients, "metastasis"), lesions(patients, "cyst")
    assert np.median(metastases[:, 0]) > np.median(cysts[:, 0]) + 10
    assert (metastases[:, 0] < metastases[:, 2] - 5).mean() > 0.9


def test_hemangiomas_have_a_bright_edge_around_a_darker_middle(patients):
    hemangiomas, metastases = lesions(patients, "hemangioma"), lesions(patients, "metastasis")
    assert np.median(hemangiomas[:, 1] - hemangiomas[:, 0]) > 8
    assert np.median(hemangiomas[:, 3]) > np.median(metastases[:, 3]) + 10, "nodules like blood"
    assert 100 < hemangiomas[:, 3].max() < 230


@pytest.mark.parametrize("spacing", [0.4, 7])
def test_spacings_out_of_range_are_refused(spacing):
    with pytest.raises(ConfigError, match=f"spacing is {spacing}, not between 0.5 and 6.0 mm"):
        liver(0, spacing)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("liver") / "data"
    write_liver_lesions(root, 5, 4.0, seed=7)
    return root


def test_volumes_and_masks_are_those_of_the_seed(root):
    expected = liver(case_seed(7, 2), 4.0)
    volume = nib.load(root / "phantom_002" / "ct.nii.gz")
    assert np.array_equal(np.asarray(volume.dataobj), np.rint(expected.ct))
    assert np.array_equal(volume.affine, expected.affine)
    for name in LESIONS:
        mask = nib.load(root / "phantom_002" / f"{name}.nii.gz")
        assert np.array_equal(np.asarray(mask.dataobj), expected.masks[name])
    assert bytes(volume.header["descrip"]).startswith(b"SYNTHETIC phantom")


def test_patches_are_listed_by_patient_and_class_and_can_be_used(root):
    lists = load_datalist(root / "datalist.json")
    owners = {key: {item["patient"] for item in items} for key, items in lists.items()}
    assert {key: len(own) for key, own in owners.items()} == {"training": 3, "validation": 1, "test": 1}
    for items in lists.values():
        for name in LESIONS:
            assert 2 <= sum(item["class"] == name for item in items) <= 3 * len({item["patient"] for item in items})
    assert check_patches([item for items in lists.values() for item in items]) == []
    assert json.loads((root / "datalist.json").read_text())["description"] == "SYNTHETIC phantom, not a patient"
