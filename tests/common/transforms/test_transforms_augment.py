"""Augmentation: one geometry for all arrays of a sample, intensities of the source alone, off as if not there."""

from __future__ import annotations

from math import cos, radians, sin

import pytest
import torch
from monai.transforms import Compose, RandSpatialCropd, SpatialPadd
from torch import Tensor

from common.data.datasets.cached_volumes import plain
from common.errors import ConfigError
from common.transforms.augment import random_augmentation

GEOMETRY = {"rotation": 20.0, "scale": 0.2, "flip": 0.5}
SHAPES = {"sagittal": (3, 24, 21), "axial": (1, 24, 21), None: (2, 12, 14, 13)}


def sample(shape: tuple[int, ...]) -> dict[str, Tensor]:
    """Smooth random images; the label and the context are linear functions of the image, the regions thresholds."""
    torch.manual_seed(1)
    image = torch.rand(shape)
    label = 3 - 2 * image[:1]
    region = (label > 2).float()
    return {"image": image, "label": label, "context": label / 2, "mask": region, "lesion": region, "nawm": 1 - region}


def drawn(settings: dict | None, plane: str | None, seed: int, given: dict[str, Tensor]) -> dict[str, Tensor]:
    augmented = Compose([random_augmentation(settings, plane)])
    augmented.set_random_state(seed=seed)
    return {key: plain(value) for key, value in augmented(dict(given)).items()}


@pytest.mark.parametrize(("plane", "shape"), SHAPES.items(), ids=str)
def test_label_and_context_stay_the_function_of_the_image_that_they_were(plane, shape) -> None:
    given, moved = sample(shape), 0
    for seed in range(12):
        found = drawn(GEOMETRY, plane, seed, given)
        assert {key: value.shape for key, value in found.items()} == {key: value.shape for key, value in given.items()}
        torch.testing.assert_close(found["label"], 3 - 2 * found["image"][:1], rtol=0, atol=1e-5)
        torch.testing.assert_close(found["context"], found["label"] / 2, rtol=0, atol=1e-5)
        moved += not torch.equal(found["image"], given["image"])
    assert 3 <= moved <= 12, "half of the samples are rotated and scaled"


@pytest.mark.parametrize(("plane", "shape"), SHAPES.items(), ids=str)
def test_regions_stay_regions_at_the_place_of_their_image(plane, shape) -> None:
    """A step of the image from 0 to 1 is, where it is not blurred by interpolation, the region."""
    step = torch.zeros(shape)
    step[:, 8:, 5:18] = 1
    given = {"image": step, "mask": step[:1].clone(), "lesion": step[:1].clone()}
    for seed in range(8):
        found = drawn(GEOMETRY, plane, seed, given)
        assert set(found["mask"].unique().tolist()) == {0.0, 1.0}
        torch.testing.assert_close(found["lesion"], found["mask"], rtol=0, atol=0)
        inside, outside = found["image"][:1] > 0.75, found["image"][:1] < 0.25
        assert found["mask"][inside].min() == 1
        assert found["mask"][outside].max() == 0


def test_a_rotation_is_by_its_angle_about_the_centre() -> None:
    """Of a linear ramp, exactly: value r . x at the rotated place, away from the reflected border."""
    rows, columns = torch.meshgrid(torch.arange(33.0) - 16, torch.arange(33.0) - 16, indexing="ij")
    given = {"image": torch.stack([rows, columns])}
    angles = set()
    for seed in range(6):
        found = drawn({"rotation": 30.0}, "axial", seed, given)["image"][:, 8:25, 8:25]
        along, across = (float(found[0, 9, 8] - found[0, 8, 8]), float(found[0, 8, 9] - found[0, 8, 8]))
        assert along**2 + across**2 == pytest.approx(1, abs=1e-4)
        assert abs(across) <= sin(radians(30)) + 1e-5
        assert along >= cos(radians(30)) - 1e-5
        assert found[:, 8, 8].tolist() == pytest.approx([0, 0], abs=1e-4)
        angles.add(round(across, 4))
    assert len(angles) > 2


@pytest.mark.parametrize(("plane", "axis"), [("axial", 1), ("coronal", 1), (None, 1), ("sagittal", None)])
def test_flips_exchange_left_and_right_alone(plane, axis) -> None:
    given = sample(SHAPES[None] if plane is None else SHAPES["axial"])
    found = drawn({"flip": 1.0}, plane, 0, given)
    for key, value in given.items():
        expected = value if axis is None else value.flip(axis)
        torch.testing.assert_close(found[key], expected, rtol=0, atol=0)


def test_intensities_of_the_source_alone_change_and_keep_its_range() -> None:
    given = {"image": torch.linspace(-1, 1, 21)[None, :, None].repeat(1, 1, 4), "label": torch.ones(1, 21, 4)}
    exponents = set()
    for seed in range(10):
        found = drawn({"gamma": 0.2}, "axial", seed, given)
        torch.testing.assert_close(found["label"], given["label"], rtol=0, atol=0)
        image = found["image"][0, :, 0]
        assert image[[0, -1]].tolist() == pytest.approx([-1, 1], abs=1e-5)
        # 0 is the middle of the range: ((0 + 1) / 2) ** gamma * 2 - 1
        exponent = float(torch.log2(2 / (image[10] + 1)))
        assert 0.8 - 1e-4 <= exponent <= 1.2 + 1e-4
        exponents.add(round(exponent, 4))
    assert 1.0 in exponents
    assert len(exponents) > 3


def test_noise_is_on_the_source_alone() -> None:
    given = {"image": torch.zeros(1, 64, 64), "label": torch.zeros(1, 64, 64)}
    deviations = [float(drawn({"noise": 0.1}, "axial", seed, given)["image"].std()) for seed in range(10)]
    assert 0.0 in deviations
    assert 0.02 < max(deviations) <= 0.105
    assert drawn({"noise": 1.0}, "axial", 3, {"label": torch.zeros(1, 4, 4)})["label"].abs().max() == 0


@pytest.mark.parametrize("settings", [None, {}, {"rotation": 0, "flip": None}])
def test_off_is_as_if_it_were_not_there(settings) -> None:
    given = {"image": torch.rand(1, 20, 20), "label": torch.rand(1, 20, 20)}
    crops = [RandSpatialCropd(["image", "label"], roi_size=8)]
    pads = [SpatialPadd(["image", "label"], spatial_size=24, value=-1)]
    for seed in range(4):
        plain = Compose([*pads, *crops]).set_random_state(seed=seed)(dict(given))
        found = Compose([*pads, random_augmentation(settings, "axial"), *crops]).set_random_state(seed=seed)(
            dict(given)
        )
        for key in given:
            torch.testing.assert_close(found[key], plain[key], rtol=0, atol=0)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"rotate": 5}, "--augmentation::rotate is not a setting: choose rotation, scale, flip, gamma or noise"),
        ({"flip": 2}, "--augmentation::flip is 2, not from 0 to 1: give a number in that range, 0 for off"),
        ({"scale": -0.1}, r"--augmentation::scale is -0\.1, not from 0 to 0\.5"),
    ],
)
def test_bad_settings_are_refused(settings, message) -> None:
    with pytest.raises(ConfigError, match=message):
        random_augmentation(settings)
