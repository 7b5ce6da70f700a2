from __future__ import annotations

import json

import pytest
from lesion_dcgan_aug.data.selection import check_patches
from lesion_dcgan_aug.liver import LESIONS, liver
from lesion_dcgan_aug.phantoms import write_liver_lesions

from common.data.datalist import load_datalist
from common.errors import ConfigError


@pytest.mark.parametrize("spacing", [0.4, 7])
def test_spacings_out_of_range_are_refused(spacing):
    with pytest.raises(ConfigError, match=f"spacing is {spacing}, not between 0.5 and 6.0 mm"):
        liver(0, spacing)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("liver") / "data"
    write_liver_lesions(root, 5, 4.0, seed=7)
    return root


def test_patches_are_listed_by_patient_and_class_and_can_be_used(root):
    lists = load_datalist(root / "datalist.json")
    owners = {key: {item["patient"] for item in items} for key, items in lists.items()}
    assert {key: len(own) for key, own in owners.items()} == {"training": 3, "validation": 1, "test": 1}
    for items in lists.values():
        for name in LESIONS:
            assert 2 <= sum(item["class"] == name for item in items) <= 3 * len({item["patient"] for item in items})
    assert check_patches([item for items in lists.values() for item in items]) == []
    assert json.loads((root / "datalist.json").read_text())["description"] == "SYNTHETIC phantom, not a patient"
