"""Batches of one case without copies."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from monai.data import MetaTensor, decollate_batch, list_data_collate
from monai.transforms import Compose, Flipd, SpatialCrop

from common.inference import CaseDataset, OneCaseLoader
from common.inference.dataset import ERROR_KEY, emptied
from common.io.modality import LABELS


def volume() -> MetaTensor:
    values = torch.arange(24.0).reshape(1, 2, 3, 4)
    return MetaTensor(
        values, affine=torch.diag(torch.tensor([1.0, 2, 3, 1])), meta={"filename_or_obj": "a", "warnings": ""}
    )


class Made:
    """Gives a volume, a mask and a number."""

    def __call__(self, item):
        return {**item, "image": volume(), "mask": volume() > 5, "scale": torch.tensor([1.0, 2.0])}


def test_a_batch_is_that_of_monai_but_shares_its_memory():
    made = Compose([Made(), Flipd("image", 0)])({"case": "a"})
    (expected,) = decollate_batch(list_data_collate([made]))
    dataset = CaseDataset([{"case": "a"}], lambda item: made)
    (batch,) = OneCaseLoader(dataset, num_workers=0)
    assert batch["image"].data_ptr() == made["image"].data_ptr()
    assert batch["case"] == ["a"]
    (item,) = decollate_batch(batch)
    torch.testing.assert_close(item["image"].as_tensor(), expected["image"].as_tensor())
    np.testing.assert_array_equal(item["image"].affine, expected["image"].affine)
    assert item["image"].applied_operations[0]["class"] == "Flip"
    assert item["image"].meta["filename_or_obj"] == "a"


def test_a_crop_of_its_volume_moves_the_affine():
    """As the inverse of a padding does."""
    (batch,) = OneCaseLoader(CaseDataset([{"case": "a"}], Made()), num_workers=0)
    (item,) = decollate_batch(batch)
    assert SpatialCrop(roi_start=(1, 1, 2), roi_end=(2, 3, 4))(item["image"]).affine[:3, 3].tolist() == [1, 2, 6]


def test_an_emptied_volume_has_the_geometry_and_no_memory():
    empty = emptied(volume())
    assert empty.shape == (1, 2, 3, 4)
    assert empty.untyped_storage().nbytes() == 4
    np.testing.assert_array_equal(empty.affine, volume().affine)


@pytest.mark.parametrize(("values", "is_kept"), [([[-1, 1], [-1, -1]], True), ([[-1, -1], [-1, -1]], False)])
def test_channels_of_a_label_map_need_contrast_together(values, is_kept):
    """Two labels in two voxels: a map without one of them is whole, one without any is empty."""
    channels = torch.tensor(values, dtype=torch.float32).repeat_interleave(8, dim=1).reshape(2, 16, 1, 1)
    image = MetaTensor(channels, meta={LABELS: True})
    (item,) = CaseDataset([{"case": "a"}], lambda item: {**item, "image": image})
    assert (ERROR_KEY not in item) == is_kept
