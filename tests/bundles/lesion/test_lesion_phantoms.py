import json

import nibabel as nib
import numpy as np
import pytest
from lesion_dcgan_aug.data.cases import check_patches
from lesion_dcgan_aug.liver import LESIONS, liver
from lesion_dcgan_aug.phantoms import write_liver_lesions

from common.data.datalist import load_datalist
from common.simulation.dataset import case_seed


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
