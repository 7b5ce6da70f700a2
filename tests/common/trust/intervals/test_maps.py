"""The map of a case from a network, by hand."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from monai.inferers import Inferer

from common.errors import ConfigError
from common.stitching import TargetScaleInferer
from common.trust.intervals.conformal import Interval
from common.trust.intervals.maps import UncertaintyMaps, brightness
from common.trust.intervals.record import Record
from common.trust.intervals.variations import manner
from common.weights import checkpoints


class Called(Inferer):
    """Calls the network."""

    def __call__(self, inputs: torch.Tensor, network: torch.nn.Module) -> torch.Tensor:
        return network(inputs).clone()


class Place(torch.nn.Module):
    """The place along the first axis, whatever the input: mirrored, it is the other way round."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.arange(8.0)[None, None, :, None, None].expand(1, 1, 8, 4, 4)


def test_a_calibration_in_z_scores_is_for_the_unit_of_the_targets(tmp_path):
    """z-scores times 50 HU and 7: the map is 50 times that in z-scores; half width 3 x (spread + 0.25) z."""
    weights = tmp_path / "model.pt"
    weights.write_bytes(b"weights")
    intervals = {"all": Interval(3.0, 0.25, 9)}
    network = Place()
    inferers = {"z": Called(), "a.u.": TargetScaleInferer(Called())}
    how = manner(inferers["z"], network)
    Record(checkpoints.sha256(weights), "z", 0.9, 0.9, how, intervals, intervals, [], []).write(weights)
    place, made = np.arange(8.0)[:, None, None] * np.ones((8, 4, 4)), {}
    for unit, values in (("z", place), ("a.u.", 50 * place + 7)):
        maps = UncertaintyMaps(weights, unit)
        if unit == "a.u.":
            with pytest.raises(ConfigError, match=r"--uncertainty: is calibrated in z-scores, but got a\.u\."):
                maps.require_same_manner(inferers[unit], network)
            network.register_buffer("target_scale", torch.tensor([7.0, 50.0]))
        maps.require_same_manner(inferers[unit], network)
        given = (torch.zeros(1, 8, 4, 4), values, inferers[unit], network)
        made[unit] = maps.half_widths(*given, lambda output: output[0].numpy())
        assert maps.told()["Unit"] == unit
    assert made["z"].max() == pytest.approx(3 * (np.sqrt((5**2 + 7**2) / 4) + 0.25))  # at the last place
    np.testing.assert_allclose(made["a.u."], 50 * made["z"], rtol=1e-5)


def test_a_calibration_in_percent_of_brightness_is_for_scans_of_any_scale(tmp_path):
    """Brightness of 0 to 7: the 99.5th percentile of 4 to 7 is 7; 2 x (spread + 7 / 100), times 30 in another scale."""
    weights = tmp_path / "model.pt"
    weights.write_bytes(b"weights")
    network, inferer = Place(), Called()
    about = manner(inferer, network), {"all": Interval(2.0, 1.0, 9)}, {"all": Interval(2.0, 1.0, 9)}, [], []
    Record(checkpoints.sha256(weights), "percent of brightness", 0.9, 0.9, *about).write(weights)
    maps = UncertaintyMaps(weights, "a.u.")
    maps.require_same_manner(inferer, network)
    values = np.arange(8.0)[:, None, None] * np.ones((8, 4, 4))
    assert brightness(values) == 7
    given = torch.zeros(1, 8, 4, 4)
    plain, bright = (
        maps.half_widths(given, scale * values, inferer, network, lambda output, s=scale: s * output[0].numpy())
        for scale in (1.0, 30.0)
    )
    spread = np.sqrt((5**2 + 7**2) / 4)
    assert plain.max() == pytest.approx(2 * (spread + 0.07))
    np.testing.assert_allclose(bright, 30 * plain, rtol=1e-5)
    with pytest.raises(ConfigError, match="--uncertainty: is calibrated in percent of brightness, but got HU"):
        UncertaintyMaps(weights, "HU")


def test_a_calibration_in_arbitrary_units_is_not_taken(tmp_path):
    weights = tmp_path / "model.pt"
    weights.write_bytes(b"weights")
    intervals = {"all": Interval(2.0, 1.0, 9)}
    about = manner(Called(), Place()), intervals, intervals, [], []
    Record(checkpoints.sha256(weights), "a.u.", 0.9, 0.9, *about).write(weights)
    with pytest.raises(ConfigError, match=r"--uncertainty: is calibrated in a\.u\., but got a\.u\.; calibrate: "):
        UncertaintyMaps(weights, "a.u.")


def test_half_widths_of_a_network_by_hand(tmp_path):
    """Contrasts change nothing, the move gives 3 to 7 and 0 to 2, mirrored 7 to 0; factor 2, floor 1, up to 8.5."""
    weights = tmp_path / "model.pt"
    weights.write_bytes(b"weights")
    intervals = {"all": Interval(2.0, 1.0, 9)}
    Record(checkpoints.sha256(weights), "DVR", 0.9, 0.9, {}, intervals, intervals, [], []).write(weights)
    about = {"schema_version": 1, "sha256": checkpoints.sha256(weights), "bundle": "", "trained_on": {}}
    weights.with_suffix(".json").write_text(json.dumps({**about, "settings": {"target_window": [-1, 8.5]}}))
    maps = UncertaintyMaps(weights, "DVR")
    place = np.arange(8.0)[:, None, None] * np.ones((8, 4, 4))
    made = maps.half_widths(
        torch.zeros(1, 8, 4, 4), place, lambda x, network: network(x), Place(), lambda output: output[0].numpy()
    )
    moved = np.array([3, 4, 5, 6, 7, 0, 1, 2]) - np.arange(8)
    spread = np.sqrt((moved**2 + (7 - 2 * np.arange(8)) ** 2) / 4)
    widths = np.minimum(2 * (spread + 1), [8.5, 7.5, 6.5, 5.5, 5, 6, 7, 8])  # to the further end of the targets' range
    np.testing.assert_allclose(made, widths[:, None, None] * np.ones((8, 4, 4)), rtol=1e-6)
    assert maps.told() == {"Level": 0.9, "CaseLevel": 0.9, "Unit": "DVR"}
