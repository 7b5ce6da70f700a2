"""Windows, percentiles and z-scores, and the way back to a unit."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from monai.data import MetaTensor

from common.errors import ConfigError
from common.transforms import ScaleWindowd, ToUnitd


def channel(*values: float) -> torch.Tensor:
    return torch.tensor(values).reshape(1, -1, 1, 1)


def scaled(image: torch.Tensor, **settings) -> torch.Tensor:
    return ScaleWindowd("image", **settings)({"image": image})["image"]


class TestScaleWindow:
    def test_window_by_hand_and_back(self):
        # [-600, 1400] is 2000 wide: (v + 600) / 2000 * 2 - 1
        image, window = channel(-600.0, 1400, 400, -100), [-600, 1400]
        made = scaled(image, window=window)
        assert made.flatten().tolist() == pytest.approx([-1, 1, 0, -0.5])
        restored = ToUnitd("image", window=window)({"image": made})["image"]
        torch.testing.assert_close(restored, image, rtol=0, atol=1e-3)
        with pytest.raises(ConfigError, match="^air is 1000 HU, above -300: pass -1000, or null"):
            ToUnitd("image", window=window, air=1000)

    def test_clipping(self):
        image = channel(-1600, 2400)
        assert scaled(image, window=[-600, 1400]).flatten().tolist() == [-1, 1]
        assert scaled(image, window=[-600, 1400], clip=False).flatten().tolist() == pytest.approx([-2, 2])

    def test_percentiles_ignore_the_background_and_follow_each_image(self):
        # foreground 1 ... 101 has percentiles 10 -> 11 and 90 -> 91 whatever the number of zeros; twice as bright, same
        image = channel(*[0.0] * 500, *np.arange(1.0, 102))
        result = scaled(image, percentiles=[10, 90])
        assert result[0, 0, 0, 0] == -1
        assert result.flatten()[500 + 10] == pytest.approx(-1)
        assert result.flatten()[500 + 50] == pytest.approx(0, abs=1e-6)
        assert result.flatten()[500 + 90] == pytest.approx(1)
        for brighter in (2, 1e-6, 1e-12, 1e20):  # reconstructions of k-space can be below 1e-5
            torch.testing.assert_close(scaled(brighter * image, percentiles=[10, 90]), result)

    def test_each_channel_on_its_own(self):
        image = torch.cat([channel(0, 1, 2, 3), channel(0, 100, 200, 300)])
        result = scaled(image, percentiles=[0, 100])
        torch.testing.assert_close(result[0], result[1])

    def test_a_window_for_each_channel(self):
        image = torch.cat([channel(0, 50, 100), channel(0, 0.5, 1)])
        result = scaled(image, window=[[0, 100], [0, 2]])
        assert result.reshape(2, 3).tolist() == [[-1, 0, 1], [-1, -0.5, 0]]
        torch.testing.assert_close(scaled(image[:1], window=[[0, 100]]), result[:1])
        assert scaled(image, window=[0, 100])[1].flatten().tolist() == pytest.approx([-1, -0.99, -0.98])
        message = "the scale of image has 2 windows for 3 channels: give one window, or one per channel"
        with pytest.raises(ConfigError, match=message):
            scaled(torch.zeros(3, 2, 2, 2), window=[[0, 100], [0, 2]])
        with pytest.raises(ConfigError, match=r"has \[2, 0\], not low < high"):
            scaled(image, window=[[0, 100], [2, 0]])

    @pytest.mark.parametrize("level", [0.0, 7.0])
    def test_constant_image_becomes_background(self, level):
        assert (scaled(torch.full((1, 3, 3, 3), level), percentiles=[1, 99]) == -1).all()
        # the foreground of two values has no spread to divide by
        assert scaled(channel(0, 5, 5, 5), percentiles=[1, 99]).abs().max() <= 1

    @pytest.mark.parametrize(("offset", "spread", "varies"), [(1000, 1e-3, False), (1000, 1.0, True), (0, 1e-3, True)])
    def test_noise_around_a_value_is_no_contrast(self, offset, spread, varies):
        noise = offset + spread * torch.randn(1, 9, 9, 9, generator=torch.Generator().manual_seed(0))
        result = scaled(noise, percentiles=[1, 99])
        assert result.std() > 0.3 if varies else (result == -1).all()

    def test_integers_are_not_truncated(self):
        image = MetaTensor(torch.tensor([0, 1, 2, 4], dtype=torch.int16).reshape(1, 4, 1, 1), affine=torch.eye(4) * 2)
        result = scaled(image, window=[0, 4])
        assert result.dtype == torch.float32
        assert result.flatten().tolist() == pytest.approx([-1, -0.5, 0, 1])
        assert result.affine[0, 0] == 2

    @pytest.mark.parametrize(
        ("window", "points", "scaled_values", "values"),
        [
            # the lowest 0.05 of the scale, 50 HU of the window, from -1000 HU up; half-way in it, half-way to -550
            ([-600, 1400], (), (-1, -0.975, -0.95, 0, 1), (-1000, -775, -550, 400, 1400)),
            ([-600, 1400], ([-200, -0.9],), (-1, -0.95, -0.9, 0.05), (-1000, -400, -200, 600)),
            ([-600, 1400], ([-500, -0.98], [400, 0]), (-1, 0, 1), (-1000, 400, 1400)),
            ([-1024, 2000], (), (-1.3, -1, 1, 1.1), (-1024, -1024, 2000, 2000)),  # air is inside
            ([-60, 200], (), (-1, 1), (-60, 200)),  # what ends here is fat, or fluid, as well
            ([-4, 6], (), (-1, 1), (-4, 6)),  # not in HU
        ],
    )
    def test_air_that_the_window_cut(self, window, points, scaled_values, values):
        to_unit = ToUnitd("image", window=window, points=points, air=-1000)
        restored = to_unit({"image": channel(*scaled_values)})["image"]
        assert restored.flatten().tolist() == pytest.approx(values, abs=1e-2)

    @pytest.mark.parametrize(
        ("settings", "fault"),
        [
            ({}, "has neither window nor percentiles: set one of them"),
            ({"window": [0, 1], "percentiles": [1, 99]}, "has window and percentiles: set one of them"),
            ({"window": [5, 5]}, r"has \[5, 5\], not low < high"),
        ],
    )
    def test_exactly_one_rule(self, settings, fault):
        with pytest.raises(ConfigError, match=fault):
            ScaleWindowd("image", **settings)


SCALE = {"window": [-1024, 2000], "points": [[-200, -0.6], [100, 0.5]]}


def test_a_scale_with_points_there_and_back_clipped_unless_asked_for():
    image = channel(-1000.0, -200, -50, 1050, 2000)
    there = scaled(image, **SCALE)
    assert there.flatten().tolist() == pytest.approx([-1 + 0.4 * 24 / 824, -0.6, -0.05, 0.75, 1], abs=1e-6)
    torch.testing.assert_close(ToUnitd("image", **SCALE)({"image": there})["image"], image, rtol=0, atol=1e-3)
    assert scaled(channel(-3000, 3900), **SCALE).flatten().tolist() == pytest.approx([-1, 1])
    assert scaled(channel(3900), **SCALE, clip=False).flatten().tolist() == pytest.approx([1.5], abs=1e-6)


@pytest.mark.parametrize("scale", [{"percentiles": [1, 99]}, {"window": [[0, 100], [0, 2]]}])
def test_one_fixed_window_alone_has_points(scale):
    with pytest.raises(ConfigError, match="has points and no fixed window for all channels, but"):
        ScaleWindowd("image", **scale, points=[[50, 0.5]])
