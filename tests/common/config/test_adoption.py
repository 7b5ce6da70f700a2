"""The inferer of a configuration with the components of the one that weights were trained with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from common.config.weights import Adoption
from common.weights.info import WeightsInfo

MIRROR, FLOW, SLICES, PATCHES = (f"common.stitching.{name}Inferer" for name in ("Mirror", "Flow", "Plane", "Patch"))
OWN = {"_target_": MIRROR, "axes": "@mirrored", "inferer": {"_target_": SLICES, "plane": "axial", "batch_size": 8}}


def adopted(trained: dict[str, Any]) -> Any:
    """The inferer of a configuration of slices, by weights that were trained with another one."""
    config = {"inferer": OWN, "mirrored": [0], "side": 16}
    about = WeightsInfo(Path("model.pt"), "", "a", {"side": 32, "inferer": trained}, {}, {}, {})
    return Adoption(about, config, [config], []).changes()["inferer"]


def test_patches_of_the_training_take_the_place_of_slices() -> None:
    made = adopted({"_target_": PATCHES, "roi_size": "@side"})
    assert made == {"_target_": MIRROR, "axes": "@mirrored", "inferer": {"_target_": PATCHES, "roi_size": "@side"}}


def test_what_has_an_inferer_inside_is_put_around_the_own_slices() -> None:
    made = adopted({"_target_": FLOW, "steps": 3, "inferer": {"_target_": SLICES, "plane": "sagittal"}})
    slices = {"_target_": SLICES, "plane": "sagittal", "batch_size": 8}
    inner = {"_target_": FLOW, "steps": 3, "inferer": slices}
    assert made == {"_target_": MIRROR, "axes": "@mirrored", "inferer": inner}


def test_a_null_that_the_configuration_lacks_is_added_and_one_that_it_has_is_no_change() -> None:
    config = {"inferer": OWN, "depth": None}
    about = WeightsInfo(Path("model.pt"), "", "a", {"neighbours": None, "depth": None}, {}, {}, {})
    assert Adoption(about, config, [config], []).changes() == {"neighbours": None}


def test_slices_of_the_training_take_the_place_of_patches_inside_what_both_have() -> None:
    own = {"_target_": MIRROR, "inferer": {"_target_": FLOW, "steps": 1, "inferer": {"_target_": PATCHES}}}
    slices = {"_target_": SLICES, "plane": "axial", "neighbours": "@neighbours"}
    trained = {"_target_": FLOW, "steps": 3, "inferer": slices}
    about = WeightsInfo(Path("model.pt"), "", "a", {"neighbours": 5, "inferer": trained}, {}, {}, {})
    config = {"inferer": own}
    made = Adoption(about, config, [config], []).changes()["inferer"]
    assert made == {"_target_": MIRROR, "inferer": {"_target_": FLOW, "steps": 3, "inferer": slices}}


@pytest.mark.parametrize(("kind", "inner"), [(PATCHES, "@stitching"), (SLICES, {"_target_": SLICES})])
def test_the_innermost_of_the_configuration_may_be_named(kind: str, inner: Any) -> None:
    """Of the same kind it stays; of another one it is replaced."""
    config = {
        "inferer": {"_target_": FLOW, "steps": 1, "inferer": "@stitching"},
        "stitching": {"_target_": PATCHES, "roi_size": 16},
    }
    trained = {"_target_": FLOW, "steps": 3, "inferer": {"_target_": kind}}
    about = WeightsInfo(Path("model.pt"), "", "a", {"inferer": trained}, {}, {}, {})
    made = Adoption(about, config, [config], []).changes()["inferer"]
    assert made == {"_target_": FLOW, "steps": 3, "inferer": inner}


def test_windows_of_a_training_follow_its_own_patches_and_those_of_an_evaluation_the_weights() -> None:
    config = {"validate": {"inferer": {"_target_": PATCHES, "roi_size": "@side", "mode": "fast"}}, "side": 16}
    trained = {"_target_": PATCHES, "roi_size": 192, "mode": "faithful"}
    about = WeightsInfo(Path("model.pt"), "", "a", {"inferer": trained}, {}, {}, {})
    sides = {}
    for same_files in (False, True):
        changes = Adoption(about, config, [config], [], same_files).changes()
        assert changes["validate::inferer"]["mode"] == "faithful"
        sides[same_files] = changes["validate::inferer"]["roi_size"]
    assert sides == {False: "@side", True: 192}


def test_an_option_counts_where_weights_recorded_its_value_inside_a_component():
    """Weights of before had ``mode`` inside ``stitching``; configs name it at the top."""
    recorded = {"stitching": {"_target_": "Patches", "mode": "fast"}, "network_def": {"_target_": "Net"}}
    shipped = {**recorded, "mode": "fast", "stitching": {"_target_": "Patches", "mode": "@mode"}}
    about = WeightsInfo(Path("model.pt"), "", "", recorded, {}, {}, {})
    assert Adoption(about, {**shipped, "mode": "faithful"}, [shipped], {"mode"}).changes() == {}
    assert Adoption(about, shipped, [shipped], ()).changes() == {"stitching": recorded["stitching"]}
