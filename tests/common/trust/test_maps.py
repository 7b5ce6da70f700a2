"""The map of a case, by hand; what is refused."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from monai.inferers import Inferer
from torch import nn

from common.errors import ConfigError
from common.stitching import CascadeInferer, FlowInferer, MirrorInferer, PatchStitchingInferer, TargetScaleInferer
from common.trust.intervals import Interval
from common.trust.maps import UncertaintyMaps, brightness, inference_options
from common.weights import checkpoints


class Called(Inferer):
    """Calls the network."""

    def __call__(self, inputs: torch.Tensor, network: torch.nn.Module) -> torch.Tensor:
        return network(inputs).clone()


PLACE = np.arange(8.0)[:, None, None] * np.ones((8, 4, 4))


def write(record, weights, unit: str, interval: Interval):
    replace(record, unit=unit, intervals={"all": interval}).write(weights)


def test_a_calibration_in_z_scores_is_for_the_unit_of_the_targets(weights, record):
    """z-scores times 50 and 7: the map is 50 times that in z-scores; 4 z were removed, and 0.75 + 3 x 4 is 12.75."""
    write(record, weights, "z", Interval(0.75, 3.0, 9))
    network, found = nn.Identity(), {}
    for unit, values, inferer in (("z", PLACE, Called()), ("a.u.", 50 * PLACE + 7, TargetScaleInferer(Called()))):
        maps = UncertaintyMaps(weights, unit)
        if unit == "a.u.":
            with pytest.raises(ConfigError, match=r"--uncertainty is calibrated in z-scores, .* in a\.u\.: omit it"):
                maps.require_same_inference(inferer, network)
            network.register_buffer("target_scale", torch.tensor([7.0, 50.0]))
        maps.require_same_inference(inferer, network)
        scale = 50 if unit == "a.u." else 1
        found[unit] = maps.half_widths(values, network, values + 4 * scale)
        assert maps.metadata() == {"Level": 0.9, "CaseLevel": 0.9, "Unit": unit}
    np.testing.assert_allclose(found["z"], 12.75, rtol=1e-5)
    np.testing.assert_allclose(found["a.u."], 50 * 12.75, rtol=1e-5)


def test_a_calibration_in_percent_of_brightness_is_for_scans_of_any_scale(weights, record):
    """Brightness of 0 to 7: the 99.5th percentile of 4 to 7 is 7; 2 x 5 + 2 x 7 / 100, times 30 elsewhere."""
    write(record, weights, "percent of brightness", Interval(2.0, 2.0, 9))
    maps = UncertaintyMaps(weights, "a.u.")
    maps.require_same_inference(Called(), nn.Identity())
    assert brightness(PLACE) == 7
    plain, bright = (maps.half_widths(scale * PLACE, nn.Identity(), scale * (PLACE - 5)) for scale in (1.0, 30.0))
    np.testing.assert_allclose(plain, 10.14, rtol=1e-5)
    np.testing.assert_allclose(bright, 304.2, rtol=1e-5)


@pytest.mark.parametrize(("calibrated", "unit"), [("HU", "DVR"), ("percent of brightness", "HU"), ("a.u.", "a.u.")])
def test_another_unit_is_refused(weights, record, calibrated, unit):
    intervals = record.intervals if calibrated == "HU" else {"all": Interval(2.0, 0.0, 9)}
    replace(record, unit=calibrated, intervals=intervals).write(weights)
    with pytest.raises(ConfigError, match=f"--uncertainty is calibrated in {calibrated}, not in {unit}: calibrate"):
        UncertaintyMaps(weights, unit)


def test_constant_intervals_need_no_source_and_end_with_the_range_of_the_targets(weights, record):
    """6 DVR where targets reach from -1 to 8.5, so that at 3 an interval of 5.5 reaches its upper end."""
    write(record, weights, "DVR", Interval(6.0, 0.0, 9))
    about = {"schema_version": 1, "sha256": checkpoints.sha256(weights), "bundle": "", "trained_on": {}}
    weights.with_suffix(".json").write_text(json.dumps({**about, "settings": {"target_window": [-1, 8.5]}}))
    maps = UncertaintyMaps(weights, "DVR")

    assert not maps.needs_source
    found = maps.half_widths(PLACE, nn.Identity())
    np.testing.assert_allclose(found[:, 0, 0], [6, 6, 6, 5.5, 5, 6, 6, 6])


def test_intervals_of_a_restoration_grow_with_what_it_removed_around_a_voxel(weights, record):
    """40 HU removed of one half of a volume and 8 of the other: 3 + 2 x 40 and 3 + 2 x 8 HU, far from their border."""
    soft = dict.fromkeys(("air", "soft", "bone"), Interval(3.0, 2.0, 9))
    replace(record, unit="HU", intervals=soft).write(weights)
    maps = UncertaintyMaps(weights, "HU")
    source = np.full((48, 4, 4), 8.0)
    source[24:] = -40
    found = maps.half_widths(np.zeros((48, 4, 4)), nn.Identity(), source)
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
    maps.require_same_inference(Called(), nn.Identity())
    with pytest.raises(ConfigError, match=rf"--uncertainty is calibrated for {name} \[\], not \[.*\]: omit it"):
        maps.require_same_inference(inferer, nn.Identity())
