"""The spread of an inference under changes of its input, and the map of a case, by hand; what is refused."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from monai.inferers import Inferer
from torch import Tensor, nn

from common.errors import ConfigError
from common.stitching import CascadeInferer, FlowInferer, MirrorInferer, PatchStitchingInferer, TargetScaleInferer
from common.trust.intervals import Interval
from common.trust.maps import UncertaintyMaps, brightness, inference_options
from common.trust.variations import PASSES, REMOVED, spread_of, variations, with_gamma
from common.weights import checkpoints


class Called(Inferer):
    """Calls the network."""

    def __call__(self, inputs: torch.Tensor, network: torch.nn.Module) -> torch.Tensor:
        return network(inputs).clone()


class Place(torch.nn.Module):
    """The place along the first axis, whatever the input: mirrored, it is the other way round."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.arange(8.0)[None, None, :, None, None].expand(1, 1, 8, 4, 4)


PLACE = np.arange(8.0)[:, None, None] * np.ones((8, 4, 4))
LAST = np.sqrt((5**2 + 7**2) / 4)
"""Spread at the last place."""


def write(record, weights, unit: str, interval: Interval):
    replace(record, unit=unit, intervals={"all": interval}).write(weights)


def test_a_calibration_in_z_scores_is_for_the_unit_of_the_targets(weights, record):
    """z-scores times 50 HU and 7: the map is 50 times that in z-scores; half-width 0.75 + 3 x spread."""
    write(record, weights, "z", Interval(0.75, 3.0, 9))
    network, found = Place(), {}
    for unit, values, inferer in (("z", PLACE, Called()), ("a.u.", 50 * PLACE + 7, TargetScaleInferer(Called()))):
        maps = UncertaintyMaps(weights, unit)
        if unit == "a.u.":
            with pytest.raises(ConfigError, match=r"--uncertainty is calibrated in z-scores, .* in a\.u\.: omit it"):
                maps.require_same_inference(inferer, network)
            network.register_buffer("target_scale", torch.tensor([7.0, 50.0]))
        maps.require_same_inference(inferer, network)
        given = (torch.zeros(1, 8, 4, 4), values, inferer, network)
        found[unit] = maps.half_widths(*given, lambda output: output[0].numpy())
        assert maps.metadata() == {"Level": 0.9, "CaseLevel": 0.9, "Unit": unit}
    assert found["z"].max() == pytest.approx(3 * LAST + 0.75)
    np.testing.assert_allclose(found["a.u."], 50 * found["z"], rtol=1e-5)


def test_a_calibration_in_percent_of_brightness_is_for_scans_of_any_scale(weights, record):
    """Brightness of 0 to 7: the 99.5th percentile of 4 to 7 is 7; 2 x spread + 2 x 7 / 100, times 30 elsewhere."""
    write(record, weights, "percent of brightness", Interval(2.0, 2.0, 9))
    maps = UncertaintyMaps(weights, "a.u.")
    maps.require_same_inference(Called(), Place())
    assert brightness(PLACE) == 7
    plain, bright = (
        maps.half_widths(
            torch.zeros(1, 8, 4, 4), scale * PLACE, Called(), Place(), lambda output, s=scale: s * output[0].numpy()
        )
        for scale in (1.0, 30.0)
    )
    assert plain.max() == pytest.approx(2 * LAST + 0.14)
    np.testing.assert_allclose(bright, 30 * plain, rtol=1e-5)


@pytest.mark.parametrize(("calibrated", "unit"), [("HU", "DVR"), ("percent of brightness", "HU"), ("a.u.", "a.u.")])
def test_another_unit_is_refused(weights, record, calibrated, unit):
    intervals = record.intervals if calibrated == "HU" else {"all": Interval(2.0, 0.0, 9)}
    replace(record, unit=calibrated, intervals=intervals).write(weights)
    with pytest.raises(ConfigError, match=f"--uncertainty is calibrated in {calibrated}, not in {unit}: calibrate"):
        UncertaintyMaps(weights, unit)


def test_constant_intervals_take_no_further_pass_and_end_with_the_range_of_the_targets(weights, record):
    """6 DVR where targets reach from -1 to 8.5, so that at 3 an interval of 5.5 reaches its upper end."""
    write(record, weights, "DVR", Interval(6.0, 0.0, 9))
    about = {"schema_version": 1, "sha256": checkpoints.sha256(weights), "bundle": "", "trained_on": {}}
    weights.with_suffix(".json").write_text(json.dumps({**about, "settings": {"target_window": [-1, 8.5]}}))
    maps = UncertaintyMaps(weights, "DVR")

    def inferer(image: torch.Tensor, network: nn.Module) -> torch.Tensor:
        raise AssertionError("no further pass")

    found = maps.half_widths(torch.zeros(1, 8, 4, 4), PLACE, inferer, Place(), lambda output: output[0].numpy())
    assert maps.passes == 0
    np.testing.assert_allclose(found[:, 0, 0], [6, 6, 6, 5.5, 5, 6, 6, 6])


def test_intervals_of_a_restoration_grow_with_what_it_removed_around_a_voxel(weights, record):
    """40 HU removed of one half of a volume and 8 of the other: 3 + 2 x 40 and 3 + 2 x 8 HU, far from their border."""
    soft = dict.fromkeys(("air", "soft", "bone"), Interval(3.0, 2.0, 9))
    replace(record, unit="HU", intervals=soft, spread=REMOVED).write(weights)
    maps = UncertaintyMaps(weights, "HU")
    assert maps.passes == 0
    image = torch.full((1, 48, 4, 4), 0.08)
    image[:, 24:] = -0.4

    def inferer(image: torch.Tensor, network: nn.Module) -> torch.Tensor:
        raise AssertionError("no further pass")

    found = maps.half_widths(image, np.zeros((48, 4, 4)), inferer, Place(), lambda output: 100 * output[0].numpy())
    np.testing.assert_allclose(found[[0, -1], 0, 0], [19, 83], rtol=1e-5)
    assert 19 < found[23, 0, 0] < found[24, 0, 0] < 83


@pytest.mark.parametrize(
    ("inferer", "found"),
    [
        (MirrorInferer(Called(), [0]), {"mirrored": [0], "steps": [], "mode": []}),
        (MirrorInferer(FlowInferer(Called(), steps=7)), {"mirrored": [], "steps": [7], "mode": []}),
        (
            CascadeInferer(PatchStitchingInferer("fast", roi_size=[8, 8, 8])),
            {"mirrored": [], "steps": [], "mode": ["fast"]},
        ),
    ],
)
def test_an_inference_with_other_options_than_the_calibrated_is_refused(weights, record, inferer, found):
    assert inference_options(inferer) == found
    record.write(weights)
    name = next(name for name, value in found.items() if value != record.inference[name])
    maps = UncertaintyMaps(weights, "HU")
    maps.require_same_inference(Called(), Place())
    with pytest.raises(ConfigError, match=rf"--uncertainty is calibrated for {name} \[\], not \[.*\]: omit it"):
        maps.require_same_inference(inferer, Place())


class Power(nn.Module):
    """The input to the power of 4, so that it shows a contrast."""

    def forward(self, x: Tensor) -> Tensor:
        return x**4


def array_of(output: Tensor) -> np.ndarray:
    return output[0].numpy()


def test_spread_is_the_root_mean_square_of_differences():
    """Contrasts change nothing; moved by three voxels and back, and mirrored and back, each place is another."""
    spread = spread_of(torch.zeros(1, 8, 4, 4), PLACE, Called(), Place(), array_of)
    moved, mirrored = np.array([3, 4, 5, 6, 7, 0, 1, 2]), np.arange(8)[::-1]
    expected = np.sqrt(((moved - np.arange(8)) ** 2 + (mirrored - np.arange(8)) ** 2) / 4)
    np.testing.assert_allclose(spread[:, 0, 0], expected, rtol=1e-6)
    assert (PASSES, spread.dtype) == (4, np.float32)


def test_contrasts_keep_the_range_of_each_channel():
    image = torch.tensor([1.0, 2.0, 5.0]).reshape(1, 1, 3, 1, 1)
    torch.testing.assert_close(with_gamma(image, 0.5).flatten(), torch.tensor([1.0, 3.0, 5.0]))
    both = torch.cat([image, 100 * image], dim=1)
    torch.testing.assert_close(with_gamma(both, 0.5)[:, 1], 100 * with_gamma(image, 0.5)[:, 0])


@pytest.mark.parametrize("number", range(PASSES))
def test_a_network_that_gives_its_input_back_gives_what_was_varied(number: int):
    vary, undo = variations()[number]
    image = torch.rand(1, 1, 8, 8, 8, generator=torch.Generator().manual_seed(0))
    expected = with_gamma(image, (0.8, 1.25)[number]) if number < 2 else image
    torch.testing.assert_close(undo(vary(image)), expected, rtol=0, atol=0)
    assert not torch.equal(vary(image), image)


def test_a_spread_sees_the_contrast_of_a_network_that_answers_to_it():
    image = torch.full((1, 4, 4, 4), 0.5)
    image[0, 0], image[0, 1] = 0.0, 1.0
    spread = spread_of(image, array_of(Power()(image)), Called(), Power(), array_of)
    expected = [np.sqrt(sum((0.5 ** (4 * gamma) - 0.5**4) ** 2 for gamma in (0.8, 1.25)) / 4)] * 2
    np.testing.assert_allclose(spread[:, 0, 0], [0, 0, *expected], atol=1e-6)


def test_batch_statistics_of_a_network_in_training_stay_as_they_are():
    network, seen = nn.BatchNorm3d(1).train(), []

    def restore(output: Tensor) -> np.ndarray:
        seen.append(output)
        return array_of(output)

    image = torch.full((1, 2, 2, 2), 3.0)
    image[..., 0] = 1.0
    spread_of(image, np.zeros((2, 2, 2)), Called(), network, restore)
    assert (float(network.running_mean), float(network.running_var), network.training) == (0, 1, True)
    torch.testing.assert_close(seen[-1], image / (1 + 1e-5) ** 0.5)
    assert not seen[0].requires_grad
