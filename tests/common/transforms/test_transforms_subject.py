"""Crop to the subject: what lies around it, and how much, changes nothing of what a network is shown."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from monai.transforms import Compose, Invertd

from common.transforms import ScaleWindowd, SubjectBoxd
from common.transforms.subject import subject_in, with_dark_padding

AFFINE = np.array([[0, 2.0, 0, -30], [-2.0, 0, 0, 50], [0, 0, 3.0, 7], [0, 0, 0, 1]])


def item(values: np.ndarray, affine: np.ndarray = AFFINE, **others: np.ndarray) -> dict:
    volumes = {"image": values, **others}
    return {
        key: MetaTensor(torch.from_numpy(np.asarray(each, np.float32))[None], affine=torch.from_numpy(affine))
        for key, each in volumes.items()
    }


def block() -> np.ndarray:
    """An octagonal block of 100 to 200 in air of 0, in 22 x 20 x 18 voxels from (5, 6, 7) on."""
    values = np.zeros((40, 36, 34), np.float32)
    values[5:27, 6:26, 7:25] = np.linspace(100, 200, 22)[:, None, None]
    x, y, _ = np.abs(np.indices(values.shape) - np.array([15.5, 15.5, 15.5])[:, None, None, None])
    return np.where(x + y < 16, values, 0)


def test_the_box_is_that_of_the_subject_and_a_margin_in_whole_voxels() -> None:
    label = block() - 1000
    made = SubjectBoxd(["image", "label", "mask"])(item(block(), label=label, mask=block() > 0))
    assert made["image"].shape == (1, 22 + 2 * 3, 20 + 2 * 3, 18 + 2 * 2)  # 6 mm are 3 voxels of 2 mm, 2 of 3 mm
    np.testing.assert_allclose(made["image"].affine[:3, 3], AFFINE[:3, :3] @ (2, 3, 5) + AFFINE[:3, 3])
    assert torch.equal(made["image"].as_tensor()[0, 3:-3, 3:-3, 2:-2], torch.from_numpy(block()[5:27, 6:26, 7:25]))
    assert made["image"][0, 0].unique().tolist() == [0.0]
    assert made["label"][0, 0].unique().tolist() == [-1000.0]
    assert made["mask"].sum() == (block() > 0).sum()


def test_a_margin_beyond_the_field_of_view_is_air() -> None:
    made = SubjectBoxd("image")(item(block()[5:27, 6:26, 7:25]))
    whole = SubjectBoxd("image")(item(block()))
    assert torch.equal(made["image"].as_tensor(), whole["image"].as_tensor())


@pytest.mark.parametrize("view", ["whole", "cut"])
def test_the_inverse_gives_the_grid_back(view: str) -> None:
    values = block() if view == "whole" else block()[5:27, 6:26, 7:25]
    box = Compose([SubjectBoxd("image")])
    made = box(item(values))
    made["pred"] = made["image"] * 2
    back = Invertd("pred", box, "image")(made)["pred"]
    np.testing.assert_array_equal(back.affine, AFFINE)
    np.testing.assert_array_equal(back[0], 2 * values)


def test_quantities_keep_their_values_and_have_0_outside() -> None:
    made = SubjectBoxd("image", floor=None)(item(np.where(block() > 0, block(), 3)))
    assert made["image"].unique().tolist()[:2] == [0.0, 3.0]  # 3 up to clear_mm from the outline
    assert made["image"].max() == 200


def test_channels_have_their_own_air() -> None:
    volumes = np.stack([block(), 10 * block() + 1])
    image = MetaTensor(torch.from_numpy(volumes), affine=torch.from_numpy(AFFINE))
    made = SubjectBoxd("image")({"image": image})["image"]
    assert made.amin(dim=(1, 2, 3)).tolist() == [0, 1]
    assert torch.equal(made[1].as_tensor(), 10 * made[0].as_tensor() + 1)


def test_without_air_the_field_of_view_is_kept() -> None:
    values = np.random.default_rng(0).uniform(300, 500, (20, 20, 20))
    box, body, _ = subject_in(values, np.ones(3), 6)
    assert (box, body.all()) == ((slice(0, 20),) * 3, True)


def padded(values: np.ndarray, inside: np.ndarray) -> np.ndarray:
    return np.pad(values, ((9, 4), (0, 13), (5, 2)))


def cropped(values: np.ndarray, inside: np.ndarray) -> np.ndarray:
    return values[tuple(slice(each.min(), each.max() + 1) for each in np.nonzero(inside))]


def outside(value: float) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    return lambda values, inside: np.where(inside, values, value)


def noisy(values: np.ndarray, inside: np.ndarray) -> np.ndarray:
    noise = np.abs(np.random.default_rng(1).normal(0, 0.01 * values.max(), values.shape))
    return np.where(inside, values, noise)


def marked(values: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """With a bright marker in a corner, one dark voxel of a resampling, and a frame of zeros."""
    values = values.copy()
    values[1:3, 1:3, 1:3], values[-2, -2, -2] = 2 * values.max(), -1
    return padded(values, inside)


AROUND = {
    "padded": padded, "padded with -32768": lambda v, i: np.pad(v, 11, constant_values=-32768), "cropped": cropped,
    "-32768": outside(-32768), "bright": outside(20), "as tissue": outside(300), "noise": noisy, "marker": marked,
}  # fmt: skip
"""What a field of view may hold next to the same head."""


@pytest.mark.parametrize("around", AROUND)
def test_what_lies_around_a_head_changes_nothing(around: str, mr: np.ndarray) -> None:
    """The network's input, scaled by percentiles, is the same to .2 % of the scale, on the same grid of the world."""
    show = Compose([SubjectBoxd("image"), ScaleWindowd("image", percentiles=[0.5, 99.5])])
    spacing = np.full(3, 2.5)
    box, _, kept = subject_in(mr, spacing, 4.0)
    inside = np.zeros(mr.shape, bool)
    inside[box] = kept
    expected, made = (show(item(each))["image"] for each in (mr, AROUND[around](mr, inside)))
    assert made.shape == expected.shape
    assert float((made - expected).abs().mean()) < 0.004
    assert expected.std() > 0.3  # it is an image


def test_zero_that_is_the_mean_of_z_scores_is_air_outside() -> None:
    scores = np.pad(np.random.default_rng(0).standard_normal((20, 20, 20)), 10)
    made = with_dark_padding(scores)
    assert made[0, 0, 0] == pytest.approx(np.percentile(scores[scores != 0], 1))
    assert np.array_equal(made[10:-10, 10:-10, 10:-10], scores[10:-10, 10:-10, 10:-10])
