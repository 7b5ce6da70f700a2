"""Joining of folds: which are found, what the one network says, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from common.data.split_record import DATALIST_NAME
from common.errors import CheckpointError
from common.training import ensemble
from common.weights.info import read_info, save
from medical_image_synthesis.command import main as synthesize

PLAIN: dict[str, Any] = {"_target_": "toy_networks.Scale", "weight": "@start"}
STAGED: dict[str, Any] = {"_target_": "common.networks.cascade.SingleStage", "stage": PLAIN, "scaled": True}


def run(
    folder: Path,
    weights: dict[str, float | list[float]],
    network: dict[str, Any] = PLAIN,
    start: float = 1.0,
    cases: tuple[str, ...] = ("a", "b", "c"),
) -> Path:
    """A finished run with cases to train on, to validate and to test."""
    state: dict[str, Tensor] = {name: torch.tensor(value) for name, value in weights.items()}
    about = {"bundle": "mr2ct_pix2pix", "settings": {"network_def": network, "start": start}, "trained_on": {}}
    save(state, folder / "models" / "model.pt", about)
    sections = zip(("training", "validation", "test"), cases, strict=True)
    lists = {section: [{"case": name, "image": f"{name}.nii.gz"}] for section, name in sections}
    (folder / DATALIST_NAME).write_text(json.dumps({"root": "data", **lists}))
    return folder


def folds(root: Path, network: dict[str, Any] = PLAIN) -> list[Path]:
    first = run(root / "variants" / "resenc", {"weight": 1.0}, network)
    return [first, run(root / "variants" / "resenc_fold_1", {"weight": 4.0}, network, cases=("b", "a", "c"))]


def joined(path: Path) -> dict[str, Any]:
    return {name: value.tolist() for name, value in torch.load(path).items()}


def test_folds_are_found_in_order_and_joined(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folds(tmp_path)
    run(tmp_path / "variants" / "resenc_fold_10", {"weight": 7.0}, cases=("d", "e", "c"))
    run(tmp_path / "variants" / "resenc_ensemble_fold_1", {"weight": 9.0})
    assert synthesize(["ensemble", "--output_dir", str(tmp_path)]) == 0
    assert "resenc, resenc_fold_1, resenc_fold_10\n" in capsys.readouterr().out
    path = tmp_path / "variants" / "resenc_ensemble" / "models" / "model.pt"
    weights = {"members.0.weight": 1, "members.1.weight": 4, "members.2.weight": 7}
    assert joined(path) == {**weights, "gain": [1, 1, 1], "offset": [0, 0, 0]}
    settings = read_info(path).settings
    made = {"_target_": "common.networks.ensemble.NetworkEnsemble", "members": 3, "network": PLAIN}
    assert settings == {"network_def": made, "start": 1.0}


def test_all_cases_that_a_member_saw_count_as_seen(tmp_path: Path) -> None:
    path = ensemble.join(folds(tmp_path), tmp_path / "all")
    split = json.loads((path.parents[1] / DATALIST_NAME).read_text())
    assert sorted(item["case"] for item in split["training"]) == ["a", "b"]
    assert [item["case"] for item in split["test"]] == ["c"]


def test_scores_are_averaged_on_one_scale(tmp_path: Path) -> None:
    """Scales of 10 +- 2 and 20 +- 4: the second one's z is 2 z + 5 on the first."""
    runs = [
        run(tmp_path / name, {"stages.0.weight": weight, "in_use": 1, "target_scale": scale}, STAGED)
        for name, weight, scale in (("one", 1.0, [10.0, 2.0]), ("two", 3.0, [20.0, 4.0]))
    ]
    path = ensemble.join(runs, tmp_path / "both")
    weights = {"stages.0.members.0.weight": 1, "stages.0.members.1.weight": 3, "in_use": 1, "target_scale": [10, 2]}
    assert joined(path) == {**weights, "stages.0.gain": [1, 2], "stages.0.offset": [0, 5]}
    network = read_info(path).settings["network_def"]
    assert network["stage"] == {"_target_": "common.networks.ensemble.NetworkEnsemble", "members": 2, "network": PLAIN}
    assert network["scaled"] is True


def test_one_fold_is_no_ensemble(tmp_path: Path) -> None:
    run(tmp_path / "variants" / "resenc", {"weight": 1.0})
    with pytest.raises(CheckpointError, match="one trained fold of resenc in .*, two are needed: train folds"):
        ensemble.folds_of(tmp_path, "resenc")


def test_other_settings_are_refused(tmp_path: Path) -> None:
    runs = [run(tmp_path / "one", {"weight": 1.0}), run(tmp_path / "two", {"weight": 1.0}, start=2.0)]
    with pytest.raises(CheckpointError, match=r"start of .*two/models/model.pt is 2.0, not that of .*one/"):
        ensemble.join(runs, tmp_path / "new")


def test_a_cascade_is_refused(tmp_path: Path) -> None:
    network = {"_target_": "common.networks.cascade.Cascade"}
    runs = [run(tmp_path / name, {"stages.0.weight": 1.0, "stages.1.weight": 1.0}, network) for name in "xy"]
    with pytest.raises(CheckpointError, match="model.pt is a cascade, whose stages"):
        ensemble.join(runs, tmp_path / "new")


def test_a_case_that_one_tests_and_another_saw_is_refused(tmp_path: Path) -> None:
    runs = [run(tmp_path / "one", {"weight": 1.0}), run(tmp_path / "two", {"weight": 1.0}, cases=("c", "b", "a"))]
    with pytest.raises(CheckpointError, match="c is a test case of one fold and was seen by another"):
        ensemble.join(runs, tmp_path / "new")


def test_nothing_is_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folds(tmp_path)
    assert synthesize(["ensemble", "--output_dir", str(tmp_path), "--name", "both"]) == 0
    assert synthesize(["ensemble", "--output_dir", str(tmp_path), "--name", "both"]) == 2
    assert "model.pt exists: remove its folder, or pass another --name" in capsys.readouterr().err
