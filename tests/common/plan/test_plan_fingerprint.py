from __future__ import annotations

import numpy as np
import pytest
from monai.transforms import Compose, Orientationd
from plan_cases import write_pair

from common.errors import DataError
from common.plan.fingerprint import fingerprint
from common.transforms import HeadMaskd, LoadVolumed, ScaleWindowd, WorkingSpacingd

KEYS = ["image", "label", "mask"]


def preprocessing() -> Compose:
    """As in mr2ct_pix2pix."""
    return Compose(
        [
            LoadVolumed(KEYS),
            Orientationd(KEYS, axcodes="RAS", labels=None, allow_missing_keys=True),
            WorkingSpacingd(KEYS, None),
            HeadMaskd("label", -500),
            ScaleWindowd("image", percentiles=[0.5, 99.5]),
            ScaleWindowd("label", window=[-600, 1400]),
        ]
    )


def items(root):
    return [
        {"case": folder.name, "image": str(folder / "mr.nii.gz"), "label": str(folder / "ct.nii.gz"), "mask": str(mask)}
        for folder in sorted(root.iterdir())
        for mask in [folder / "mask.nii.gz"]
    ]


@pytest.fixture
def two_cases(tmp_path):
    """The foreground is a box of 4 x 6 x 2 voxels, with 0, 1, ..., 47 in the MR and one voxel of 2000 HU of 48."""
    mask = np.zeros((10, 10, 5), bool)
    mask[3:7, 2:8, 1:3] = True
    source = np.zeros(mask.shape)
    source[mask] = 100 + np.arange(48)
    target = np.where(mask, 40.0, -1000.0)
    target[3, 2, 1] = 2000
    for name in ("b", "a"):
        write_pair(tmp_path / name, source, target, mask, (1.0, 2.0, 5.0))
    return items(tmp_path)


def test_a_case_by_hand(two_cases):
    first, second = fingerprint({"training": two_cases}, preprocessing())
    assert (first.name, second.name) == ("a", "b")
    assert first.spacing == (1, 2, 5)
    assert first.box == (4, 6, 2)
    # a slice across the first axis has 12 of 50 voxels in the foreground, all above 1 %
    assert first.slices == (4, 6, 2)
    assert not first.is_sheared
    # between the first two and the last two of 48 values
    assert first.sources == (pytest.approx((100 + 0.005 * 47, 100 + 0.995 * 47)),)
    assert first.target == pytest.approx((40, 40 + 0.765 * 1960))


def test_the_order_of_the_cases_changes_nothing(two_cases):
    assert fingerprint({"training": two_cases}, preprocessing()) == fingerprint(
        {"training": two_cases[::-1]}, preprocessing()
    )


def test_only_the_training_section_counts(two_cases):
    (found,) = fingerprint({"training": two_cases[:1], "test": two_cases[1:]}, preprocessing())
    assert found.name == two_cases[0]["case"]


def test_without_a_mask_the_head_of_the_target_is_the_foreground(two_cases):
    for item in two_cases:
        del item["mask"]
    assert fingerprint({"training": two_cases}, preprocessing())[0].box == (4, 6, 2)


def test_no_cases_and_an_empty_mask_are_refused(two_cases, tmp_path):
    with pytest.raises(DataError, match="section training has no cases to plan for: pass another --dataset_dir"):
        fingerprint({"training": [], "training_A": [], "training_B": []}, preprocessing())
    empty = np.zeros((10, 10, 5))
    write_pair(tmp_path / "e" / "empty", empty + 1, empty - 1000, empty, (1.0, 1.0, 1.0))
    with pytest.raises(DataError, match="the mask of empty is empty: correct it"):
        fingerprint({"training": items(tmp_path / "e")}, preprocessing())
