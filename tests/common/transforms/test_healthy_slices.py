"""Slices without lesion."""

from __future__ import annotations

import torch
from monai.data import MetaTensor

from common.transforms.healthy_slices import HealthySlicesd


def test_slices_with_a_lesion_leave_the_mask() -> None:
    lesion = torch.zeros(1, 2, 3, 4)
    lesion[0, 1, 2, 1] = 1
    item = {"mask": MetaTensor(torch.ones(1, 2, 3, 4)), "lesion": MetaTensor(lesion)}
    assert HealthySlicesd()(item)["mask"][0].sum((0, 1)).tolist() == [6, 0, 6, 6]
    assert item["mask"].sum() == 24, "the case itself stays"
    without = {"mask": item["mask"]}
    assert HealthySlicesd()(without) == without
