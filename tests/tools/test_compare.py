"""The comparison on equal processor time: epochs from a measured one, other steps of the flow, the table."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
import torch

from common.weights.info import read_info, save
from tools import compare
from tools.bench.memory import Use

STEP_SECONDS = {"train": 4.0, "flow": 2.0}
"""Of an epoch, besides a start of ten."""


def summary(path: Path, **mae: float) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = {name: {"mae": {"mean": value}, "unknown": {"mean": 1}} for name, value in mae.items()}
    path.write_text(json.dumps(rows))
    return path


def test_half_of_the_epochs_have_falling_rates() -> None:
    words = ["--max_epochs", "5", "--constant_epochs", "3", "--decay_epochs", "2", "--val_interval", "5"]
    assert compare.epochs_of(5) == words


def test_the_start_of_a_training_does_not_count(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(compare, "train", lambda bundle, task, row, epochs, *options: 10 + 4.0 * epochs)
    assert compare.budget("mr2ct_pix2pix", [], "train", 60, tmp_path) == 15
    assert compare.budget("mr2ct_pix2pix", [], "train", 1, tmp_path) == 1


def test_short_epochs_are_measured_over_many(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    starts = {1: 15.0, 3: 10.0, 12: 9.0, 48: 11.0}  # what the beginning takes varies by more than three epochs
    monkeypatch.setattr(compare, "train", lambda bundle, task, row, epochs, *options: starts[epochs] + 1.0 * epochs)
    assert compare.budget("mr2ct_pix2pix", [], "train", 600, tmp_path) == round(600 * 47 / 43)


def test_copies_of_the_flow_take_other_steps(tmp_path: Path) -> None:
    about = {"bundle": "mr2ct_pix2pix", "settings": {"steps": 3}, "trained_on": {}}
    save({"weight": torch.ones(1)}, tmp_path / "variants" / "flow" / "models" / "model.pt", about)
    compare.other_steps(tmp_path)
    found = {
        path.parents[1].name: read_info(path).settings["steps"] for path in tmp_path.glob("variants/*/models/*.pt")
    }
    assert found == {"flow": 3, "flow_1_steps": 1, "flow_10_steps": 10}


def test_without_a_flow_nothing_is_copied(tmp_path: Path) -> None:
    compare.other_steps(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_table_has_the_range_over_the_seeds(tmp_path: Path) -> None:
    paths = [
        summary(tmp_path / "a" / "s.json", model=1.5, flow=3),
        summary(tmp_path / "b" / "s.json", model=0.5, flow=3),
    ]
    assert compare.table(paths[:1]).to_dict() == {"mae": {"model": "1.5", "flow": "3"}}
    assert compare.table(paths).to_dict() == {"mae": {"model": "0.5 to 1.5", "flow": "3 to 3"}}


def test_a_volume_costs_what_more_of_them_take_longer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for case in ("a", "b", "c"):
        (tmp_path / "data" / case).mkdir(parents=True)
    save({"weight": torch.ones(1)}, tmp_path / "out" / "variants" / "flow" / "models" / "model.pt", {})

    def use(words: list[str], log: Path) -> Use:
        cases = len([path for path in Path(words[words.index("--dataset_dir") + 1]).iterdir() if path.is_dir()])
        return Use(0, 0.5 * cases, 10 + cases * (3.0 if "flow" in words else 2.0))

    monkeypatch.setattr(compare, "use_of", use)
    found = compare.costs("mr2ct_pix2pix", tmp_path / "out", tmp_path / "data").to_dict("index")
    assert found == {"model": {"seconds": "2.00", "memory": "1.50"}, "flow": {"seconds": "3.00", "memory": "1.50"}}
    monkeypatch.setattr(compare, "use_of", lambda words, log: Use(2, 1.0, 1.0))
    with pytest.raises(SystemExit, match="inference of model failed"):
        compare.costs("mr2ct_pix2pix", tmp_path / "out", tmp_path / "data")


def test_a_bundle_has_the_rows_whose_overlays_it_has(capsys: pytest.CaptureFixture[str]) -> None:
    own = {"mr2ct_pix2pix": "resenc_3d", "mri2pet_sketcher_refiner": "resenc_slabs"}
    for bundle, further in own.items():
        assert set(compare.rows_of(bundle)) == {"train", "no_adversarial", "resenc", "flow", *further.split()}
    with pytest.raises(SystemExit) as error:
        compare.main(["mri2pet_sketcher_refiner", "--rows", "resenc_3d"])
    assert error.value.code == 2
    assert "--rows: are of train, no_adversarial, " in (told := capsys.readouterr().err)
    assert "but got resenc_3d" in told


def test_a_row_is_its_overlays_with_its_own_options(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[list[str]] = []
    monkeypatch.setattr(compare, "run_all", lambda commands: given.extend(commands) or 0)
    compare.train("pd2t2_dcgan_acm", [], "resenc_slabs", 2, "--seed", "7")
    (words,) = given
    configs = words[words.index("--config_file") + 1]
    assert [Path(name).stem for name in json.loads(configs.replace("'", '"'))] == ["train", "demo", "resenc"]
    assert " ".join(words).endswith("--variant resenc_slabs --neighbours 3 --patch_size [64,64,8] --seed 7")
    compare.train("mri_dagan", [], "fine_tuned", 2)
    assert " ".join(given.pop()).endswith("--variant fine_tuned --pretrained true --learning_rate 5.0e-4")
    assert "fine_tuned" not in compare.rows_of("mri_dagan"), "only by name"
    compare.train("mr2ct_pix2pix", ["flair"], "no_adversarial", 2)
    configs = given[1][given[1].index("--config_file") + 1]
    assert [Path(name).stem for name in json.loads(configs.replace("'", '"'))][2:] == ["flair", "no_adversarial"]


def test_another_task_needs_its_own_cases(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        compare.main(["mr2ct_pix2pix", "--task", "flair"])
    assert "--task: needs cases of your own, by --options" in capsys.readouterr().err


def test_every_row_is_trained_for_the_same_time_and_all_are_evaluated(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trained: list[tuple[str, int, str]] = []

    def train(bundle: str, task: list[str], row: str, epochs: int, *options: str) -> float:
        given = dict(zip(options[::2], options[1::2], strict=True))
        if "--seed" in given:
            trained.append((row, epochs, given["--seed"]))
        return 10 + STEP_SECONDS[row] * epochs

    def evaluate(steps: list[list[str]]) -> int:
        out = Path(steps[0][steps[0].index("--output_dir") + 1])
        summary(out / "evaluation" / "summary.json", model=len(trained), flow=7)
        return 0

    monkeypatch.setattr(compare, "train", train)
    monkeypatch.setattr(compare, "run_all", evaluate)
    monkeypatch.setattr(compare, "costs", lambda *places: pd.DataFrame({"seconds": {"model": "1.25"}}))
    (tmp_path / "mr2ct_pix2pix" / "data").mkdir(parents=True)
    words = ["mr2ct_pix2pix", "--minutes", "1", "--seeds", "0", "5", "--rows", "train", "flow", "--out", str(tmp_path)]
    assert compare.main(words) == 0
    assert trained == [("train", 15, "0"), ("flow", 30, "0"), ("train", 15, "5"), ("flow", 30, "5")]
    told = capsys.readouterr().out
    assert "model  2 to 4    1.25" in told
    trained.clear()
    words[words.index("5")] = "9"
    assert compare.main([*words, "--options", "--dataset_dir mine"]) == 0
    assert trained == [("train", 15, "9"), ("flow", 30, "9")]  # what is recorded is not trained again
    assert "1.25" not in capsys.readouterr().out
    assert "seed 5: train 15 epochs in 70 s, flow 30 epochs in 70 s" in told
