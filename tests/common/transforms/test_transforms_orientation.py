"""Orientation channel by channel: what MONAI's transform gives, and its inverse."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from monai.transforms import Compose, Invertd, Orientationd

from common.transforms import InvertInPlaced, OrientationByChanneld

AFFINES = {
    "as it is": np.diag([1.0, 2, 3, 1]),
    "flipped": np.diag([-1.0, -2, 3, 1]),
    "permuted": np.array([[0, 2.0, 0, 9], [0, 0, 1.5, -8], [3.0, 0, 0, 7], [0, 0, 0, 1]]),
    "both": np.array([[0, -2.0, 0, 9], [0, 0, 1.5, -8], [-3.0, 0, 0, 7], [0, 0, 0, 1]]),
}


def volume(channels: int, affine: np.ndarray) -> MetaTensor:
    values = np.random.default_rng(0).random((channels, 3, 4, 5), np.float32)
    return MetaTensor(torch.from_numpy(values), affine=torch.from_numpy(affine), meta={"case": "a"})


@pytest.mark.parametrize("channels", [1, 4])
@pytest.mark.parametrize("name", AFFINES)
def test_it_is_that_of_monai_and_is_inverted_likewise(name: str, channels: int) -> None:
    given = volume(channels, AFFINES[name])
    settings = {"keys": "image", "axcodes": "RAS", "labels": None}
    expected = Orientationd(**settings)({"image": volume(channels, AFFINES[name])})["image"]
    own = OrientationByChanneld(**settings)
    made = own({"image": volume(channels, AFFINES[name])})["image"]
    assert torch.equal(made.as_tensor(), expected.as_tensor())
    np.testing.assert_array_equal(made.affine, expected.affine)
    assert made.meta["case"] == "a"
    many = volume(4, AFFINES[name])
    assert own({"image": many})["image"].data_ptr() == many.data_ptr(), "several channels stay where they are"
    undone = Invertd("pred", own, orig_keys="image", nearest_interp=False)({"image": made, "pred": made.clone()})[
        "pred"
    ]
    assert torch.equal(undone.as_tensor(), given.as_tensor())
    np.testing.assert_allclose(undone.affine, AFFINES[name])


@pytest.mark.parametrize("slowest", [0, 2])
@pytest.mark.parametrize("name", AFFINES)
def test_a_prediction_is_turned_back_in_its_own_memory(name: str, slowest: int) -> None:
    """Whichever axis its slices were put together along."""
    prepare = Compose([Orientationd("image", axcodes="RAS", labels=None)])
    image = prepare({"image": volume(1, AFFINES[name])})["image"]
    slices = torch.stack(list(image.as_tensor().unbind(slowest + 1)))
    pred = MetaTensor(slices.movedim(0, slowest + 1), meta=image.meta)
    place = pred.data_ptr()
    made = InvertInPlaced("pred", prepare, orig_keys="image", nearest_interp=False)({"image": image, "pred": pred})
    assert torch.equal(made["pred"].as_tensor(), volume(1, AFFINES[name]).as_tensor())
    np.testing.assert_allclose(made["pred"].affine, AFFINES[name])
    assert made["pred"].data_ptr() == place
    assert made["pred"].applied_operations == []
