"""Settings that weights come with: those of a training pass, and what no training has written is refused."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from common.config.checks import NotLocatedError
from common.config.files import BundleFiles
from common.config.weights import require_recorded
from common.errors import CheckpointError
from common.weights.info import WeightsInfo, needed_settings

TRAIN = {
    "bundle_root": "x",
    "depth": 4,
    "plane": "axial",
    "target_window": [-600, 1400],
    "reader": {"_target_": "common.io.VolumeReader", "nan_fill": None},
    "preprocessing": {
        "_target_": "Compose",
        "transforms": [
            {"_target_": "common.transforms.LoadVolumed", "keys": ["image"], "reader": "@reader"},
            {"_target_": "common.transforms.ScaleWindowd", "keys": "label", "window": "@target_window"},
        ],
    },
    "network_def": {"_target_": "common.networks.unet.UNet", "depth": "@depth"},
    "validate": {"inferer": {"_target_": "common.stitching.PlaneInferer", "plane": "@plane"}},
}
RECORDED = needed_settings(TRAIN)


def check(settings: dict[str, Any]) -> None:
    about = WeightsInfo(Path("model.pt"), "", "one", settings, {}, {}, {})
    require_recorded(about, BundleFiles({"train.yaml": TRAIN}))


def test_what_a_training_records_passes() -> None:
    assert RECORDED.keys() == {"depth", "plane", "target_window", "preprocessing", "network_def", "inferer"}
    check(RECORDED)
    check(RECORDED | {"plane": "coronal", "target_window": [0, 50.5], "depth": 7})


@pytest.mark.parametrize("name", ["depth", "plane", "target_window", "network_def", "preprocessing"])
def test_a_setting_that_is_missing(name: str) -> None:
    rest = {key: value for key, value in RECORDED.items() if key != name}
    with pytest.raises(CheckpointError, match=f"^the settings of model.pt lack {name}: restore"):
        check(rest)


def test_a_part_of_a_section_that_shipped_files_refer_to() -> None:
    shipped = {**TRAIN, "output": {"unit": "HU", "suffix": "ct"}, "name": "@output::suffix"}
    about = WeightsInfo(Path("model.pt"), "", "one", {**RECORDED, "output": {"unit": "HU"}}, {}, {}, {})
    with pytest.raises(CheckpointError, match="^the settings of model.pt lack output::suffix: restore"):
        require_recorded(about, BundleFiles({"train.yaml": shipped}))


@pytest.mark.parametrize(
    ("place", "value", "found"),
    [
        (["plane"], 5, r"--plane is 5, not a text"),
        (["target_window"], [0, "50"], r"--target_window is \[0, '50'\], not of the form"),
        (["network_def", "_target_"], ["a"], r"--network_def::_target_ is \['a'\], no class or function"),
        (["preprocessing", "transforms", 1, "key"], "label", "did you mean --preprocessing::transforms::1::key"),
        (["inferer", "plan"], "axial", r"did you mean --validate::inferer::plane\?"),
    ],
)
def test_a_setting_of_another_kind(place: list[Any], value: Any, found: str) -> None:
    settings: Any = copy.deepcopy(RECORDED)
    holder = settings
    for part in place[:-1]:
        holder = holder[part]
    holder[place[-1]] = value
    with pytest.raises(CheckpointError, match=f"^the settings of model.pt are not those of a training .*{found}"):
        check(settings)


def test_a_component_that_lost_its_name() -> None:
    settings = copy.deepcopy(RECORDED)
    settings["network_def"]["_target"] = settings["network_def"].pop("_target_")
    with pytest.raises(CheckpointError, match="--network_def is .*, not a section"):
        check(settings)


def test_a_network_of_the_users_own_that_is_not_on_the_path_is_no_fault_of_the_file() -> None:
    settings: Any = copy.deepcopy(RECORDED)
    settings["network_def"] = {"_target_": "own_absent.Net"}
    with pytest.raises(
        NotLocatedError, match=r"^own_absent\.Net cannot be located \(from --network_def::_target_\): put"
    ):
        check(settings)
