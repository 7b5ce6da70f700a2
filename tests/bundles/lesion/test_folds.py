import re
from collections import Counter

import pytest
from lesion_dcgan_aug.data.cases import patient_folds

from common.errors import ConfigError, DataError

CLASSES = ["cyst", "metastasis", "hemangioma"]


def items(**patients):
    """Lesions of each patient, by class."""
    return [
        {"case": f"{patient}_{number}", "patient": patient, "class": name}
        for patient, names in patients.items()
        for number, name in enumerate(names)
    ]


MIXED = items(
    **{f"c{i}": ["cyst"] * (1 + i % 3) for i in range(6)},
    **{f"m{i}": ["metastasis"] * 2 for i in range(5)},
    **{f"h{i}": ["hemangioma"] for i in range(3)},
    both=["cyst", "metastasis"],
)


def test_every_item_is_tested_once_and_patients_stay_together():
    folds = patient_folds(MIXED, 3, 0, CLASSES)
    assert Counter(item["case"] for fold in folds for item in fold) == Counter(item["case"] for item in MIXED)
    owners = [{item["patient"] for item in fold} for fold in folds]
    assert sum(map(len, owners)) == 15
    assert len(set.union(*owners)) == 15


@pytest.mark.parametrize("seed", range(20))
def test_every_fold_tests_every_class_evenly(seed):
    for name in CLASSES:
        counts = [
            len({item["patient"] for item in fold if item["class"] == name})
            for fold in patient_folds(MIXED, 3, seed, CLASSES)
        ]
        assert max(counts) - min(counts) <= 1
        assert min(counts) >= 1


def test_the_seed_decides_and_the_order_of_items_does_not():
    first = patient_folds(MIXED, 3, 0, CLASSES)
    again = patient_folds(MIXED[::-1], 3, 0, CLASSES)
    other = patient_folds(MIXED, 3, 1, CLASSES)
    sets = [[{item["case"] for item in fold} for fold in dealt] for dealt in (first, again, other)]
    assert sets[0] == sets[1] != sets[2]


def test_a_class_with_fewer_patients_than_folds_is_named():
    few = items(a=["cyst"] * 9, b=["cyst"], c=["metastasis"], d=["metastasis"], e=["metastasis"])
    rule = "class cyst has 2 patients for 3 folds: add patients, lower --folds"
    with pytest.raises(DataError, match=re.escape(rule)):
        patient_folds(few, 3, 0, ["cyst", "metastasis"])
    with pytest.raises(DataError, match="class hemangioma has 0 patients for 2 folds"):
        patient_folds(few, 2, 0, CLASSES)


def test_one_fold_is_none():
    with pytest.raises(ConfigError, match="--folds is 1, below 2"):
        patient_folds(MIXED, 1, 0, CLASSES)
