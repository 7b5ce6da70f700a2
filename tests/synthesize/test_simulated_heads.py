"""What the calibration of shipped weights refuses, and the heads that it draws."""

from __future__ import annotations

import json
from pathlib import Path

import label_maps
import nibabel as nib
import numpy as np
import pytest
import torch

from common.errors import CheckpointError, ConfigError
from common.weights.info import save
from medical_image_synthesis.simulated_heads import Drawn, _written, calibrate, check
from tools.repository import ROOT

SIMULATION = {
    "_target_": "common.simulation.simulate.MrCtPair",
    "source": {"_target_": "common.simulation.physics.SpinEcho"},
    "scanner": {"_target_": "common.simulation.scanner.Scanner", "thick_probability": 0},
    "heads": {
        "_target_": "common.simulation.label_heads.heads_of",
        "label_maps": "@label_maps",
        "spacings_mm": [8.0],
    },
}


def weights_in(bundle: Path, **told: object) -> Path:
    path = bundle / "models" / "pretrained.pt"
    save({"weight": torch.ones(1)}, path, {"bundle": bundle.name, "settings": {}, "trained_on": {}, **told})
    return path


def test_weights_without_a_simulation_are_refused(tmp_path: Path) -> None:
    weights_in(tmp_path)
    with pytest.raises(CheckpointError, match=r"json names no simulation: .*synthesize export"):
        calibrate(tmp_path)


def test_a_simulation_of_another_version_is_refused(tmp_path: Path) -> None:
    weights_in(tmp_path, simulation={**SIMULATION, "variety": None}, config={"label_maps": None}, seed=0)
    with pytest.raises(CheckpointError, match=r"this version cannot build .*MrCtPair.*variety.*: export"):
        calibrate(tmp_path)


TOLD = [path for path in ROOT.glob("bundles/*/models/pretrained*.json") if not path.stem.endswith("_trust")]
SIMULATED = sorted(path for path in TOLD if '"simulation"' in path.read_text())


@pytest.mark.parametrize("told", SIMULATED, ids=lambda path: path.parts[-3])
def test_the_simulation_of_weights_that_are_shipped_can_be_built(told: Path, tmp_path: Path) -> None:
    (item,) = _written(told.with_suffix(".pt"), tmp_path, Drawn(3, 1, None, 6.0))
    source, mask = (nib.nifti1.load(item[key]).get_fdata() for key in ("image", "mask"))
    assert source[mask > 0].mean() > 2 * source[mask == 0].mean()


def test_without_weights_nothing_is_drawn(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"pretrained.pt"):
        check(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_bundle_without_the_step_is_refused(tmp_path: Path) -> None:
    weights_in(tmp_path, simulation=SIMULATION, config={}, seed=0)
    (tmp_path / "configs").mkdir()
    for name in ("train", "evaluate"):
        (tmp_path / "configs" / f"{name}.yaml").write_text("bundle_root: here\n")
    with pytest.raises(ConfigError, match="has no run id calibrating: choose a translation bundle"):
        calibrate(tmp_path, heads=1)


def test_heads_are_those_of_validation_on_their_grid_and_others_each_time(tmp_path: Path) -> None:
    """The pixels of a check may be others; of four maps three are kept for validation."""
    maps = label_maps.write(tmp_path / "maps", count=4)
    weights = weights_in(tmp_path / "bundle", simulation=SIMULATION, config={"label_maps": None}, seed=5)
    first = _written(weights, tmp_path / "first", Drawn(3, 2, maps))
    again = _written(weights, tmp_path / "again", Drawn(3, 2, maps))
    other = _written(weights, tmp_path / "other", Drawn(4, 2, maps, 6.0))
    assert [item["case"] for item in first] == ["head_000", "head_001"]

    def volume(item: dict, key: str) -> nib.nifti1.Nifti1Image:
        return nib.nifti1.load(item[key])

    for item, same in zip(first, again, strict=True):
        for key in ("image", "label", "mask"):
            np.testing.assert_array_equal(volume(item, key).get_fdata(), volume(same, key).get_fdata())
        assert volume(item, "image").header.get_zooms() == (8, 8, 8)
        assert 0.1 < volume(item, "image").get_fdata().max() <= 1, "as simulated: source and target may share a unit"
        assert volume(item, "label").get_fdata().min() < -900
    assert volume(other[0], "image").header.get_zooms() == (6, 6, 6)
    assert json.loads(weights.with_suffix(".json").read_text())["simulation"]["heads"]["spacings_mm"] == [8.0]
