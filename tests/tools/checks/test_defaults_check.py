"""The comparison of published settings with the demo's: what it trains, for how long, and its verdict."""

from __future__ import annotations

import json
import math
import re

import forked_commands
import pandas as pd
import pytest
from bundle_commands import Bundle

from tools.checks import defaults as defaults_check
from tools.checks.defaults import TrainedRow, epochs, evaluations, options_of, run_dir, trained_configs
from tools.repository import bundle_names, own_settings

TUNED = {"learning_rate", "losses", "distance_weight", "batch_size", "norm", "adversarial_loss", "pool_size"}
DEMO = {"learning_rate": 1.0e-3, "batch_size": 8, "max_epochs": 10}
PUBLISHED = {"learning_rate": 2.0e-4, "batch_size": 1, "max_epochs": 200, "constant_epochs": 100, "decay_epochs": 100}


def test_epochs_give_the_demos_product_of_steps_and_rate():
    # 72 images: the demo makes 10 * 72 / 8 = 90 steps of 1e-3, so the defaults need 450 of 2e-4, and 7 * 72 = 504 do
    assert epochs(PUBLISHED, DEMO, 1.0) == {
        "max_epochs": 7, "constant_epochs": 3, "decay_epochs": 4, "val_interval": 7,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("length", "own", "wanted"),
    [(0.001, {}, 1), (1.0, {"max_epochs": 3}, 3), (4.0, {}, 25), (1.0, {"batch_size": 8}, 50)],
)
def test_epochs_are_at_least_one_and_at_most_the_configs_own(length, own, wanted):
    assert epochs(PUBLISHED | own, DEMO, length)["max_epochs"] == wanted


@pytest.mark.parametrize("bundle", bundle_names())
def test_only_sizes_and_durations_are_the_demos(bundle):
    for config in trained_configs(bundle):
        options = options_of(bundle, config, 1.0)
        assert not TUNED & options.keys()
        assert options["max_epochs"] == options["constant_epochs"] + options["decay_epochs"]
        assert options["width"] == own_settings(bundle, "demo")["width"]


def test_every_kind_of_overlay_is_found_where_it_is_written(tmp_path):
    """A variant and a pretraining in folders of the main run, another task in an output of its own."""
    places = {"train": ".", "adv": "variants/adv", "pretrain": "pretraining", "mr2ct_3d": "mr2ct_3d"}
    for config, place in places.items():
        assert config in trained_configs("pd2t2_dcgan_acm")
        assert run_dir("pd2t2_dcgan_acm", config, tmp_path) == tmp_path / place


def test_another_task_is_evaluated_by_its_own_overlay_and_variants_with_the_main_model(tmp_path):
    configs = ["train", "adv", "pretrain", "mr2ct_3d"]
    (tmp_path / "models").mkdir()
    for weights, wanted in ((False, ["mr2ct_3d"]), (True, ["", "mr2ct_3d"])):
        if weights:
            (tmp_path / "models" / "model.pt").touch()
        found = evaluations("pd2t2_dcgan_acm", configs, tmp_path)
        assert [step[-1] for step in found] == [str(tmp_path / name) for name in wanted]
        assert all(
            ("mr2ct_3d.yaml" in step[step.index("--config_file") + 1]) == ("mr2ct_3d" in step[-1]) for step in found
        )


def row(config="train", first=2.0, last=1.0, untrained=244.0, demo=152.0, defaults=180.0, control=False):
    return TrainedRow(config, 8, first, last, untrained, demo, defaults, control)


@pytest.mark.parametrize(
    ("given", "learns"),
    [
        ({}, True),
        ({"defaults": 244.0}, False),
        ({"demo": math.nan, "defaults": math.nan}, False),
        ({"untrained": math.nan, "defaults": math.nan}, True),
        ({"untrained": math.nan, "last": 2.0}, False),
        ({"untrained": math.nan, "last": math.nan}, False),
        ({"demo": 250.0}, True),
        ({"demo": 250.0, "defaults": math.nan}, False),
    ],
)
def test_defaults_learn_when_they_beat_what_is_untrained_or_else_when_their_loss_fell(given, learns):
    assert row(**given).learns is learns


def written(folder, config_folder, losses, scores):
    """What a training and an evaluation leave in ``folder``."""
    run = folder / config_folder
    run.mkdir(parents=True, exist_ok=True)
    (folder / "models").mkdir(exist_ok=True)
    (folder / "models" / "model.pt").touch()
    (run / "log.csv").write_text("epoch,loss\n" + "".join(f"{i + 1},{loss}\n" for i, loss in enumerate(losses)))
    (folder / "evaluation").mkdir(exist_ok=True)
    summary = {method: {"mae": {"mean": value, "std": 0.0, "n": 2}} for method, value in scores.items()}
    (folder / "evaluation" / "summary.json").write_text(json.dumps(summary))


@pytest.mark.parametrize(("defaults", "code"), [(180.0, 0), (260.0, 1)])
def test_command_reads_both_runs_and_fails_where_the_defaults_do_not_learn(
    tmp_path, monkeypatch, capsys, defaults, code
):
    started = []

    def run(steps):
        for step in steps:
            assert step[-2] == "--output_dir"
            started.append(step[step.index("run") + 1])
            folder = tmp_path / "mr2ct_pix2pix" / step[-1].rsplit("/", 1)[-1]
            reached = {"demo": 152.0, "defaults": defaults}[folder.name]
            written(folder, ".", [3.0, 2.0], {"model": reached, "linear_fit": 244.0})
        return 0

    monkeypatch.setattr(defaults_check, "run_all", run)
    assert defaults_check.main(["mr2ct_pix2pix", "--configs", "train", "--out", str(tmp_path)]) == code
    assert started == ["training", "evaluating", "training", "evaluating"]
    assert f"152.0  {defaults:.1f}" in capsys.readouterr().out
    (kept,) = json.loads((tmp_path / "mr2ct_pix2pix" / "table.json").read_text())
    assert kept["untrained"] == 244.0
    assert kept["defaults"] == defaults


@pytest.mark.slow
@pytest.mark.longest
def test_the_published_variants_are_trained_as_the_demo_and_scored_together(monkeypatch, tmp_path, capsys):
    """Two steps a stage on four small phantoms; the commands that it starts are forked, as a user's would not be."""
    name, stages = "pd2t2_dcgan_acm", {"train": 2, "adv": 1, "no_adversarial": 2, "resgan": 1}
    small = {"phantoms::cases": 4, "phantoms::spacing": 5, "samples_per_epoch": 4, "batch_size": 2,
             "patch_size": [16, 16, 16], "max_epochs": 1, "constant_epochs": 1, "decay_epochs": 0, "val_interval": 1,
             "demo_data": tmp_path / "data"}  # fmt: skip
    words = [str(word) for key, value in small.items() for word in (f"--{key}", value)]

    def shorter(steps: list[list[str]]) -> int:
        for step in steps:
            done = forked_commands.run(
                [*step, *words], str(defaults_check.ROOT), Bundle(name).environment(), timeout=300
            )
            assert done.returncode == 0, done.stderr[-3000:]
        return 0

    monkeypatch.setattr(defaults_check, "run_all", shorter)
    given = [name, "--settings", "demo", "--configs", *stages, "--out", str(tmp_path)]
    assert defaults_check.main(given) in (0, 1), "two steps need not teach anything"
    monkeypatch.undo()
    printed = capsys.readouterr().out
    for config, count in stages.items():
        folder = run_dir(name, config, tmp_path / name / "demo")
        assert pd.read_csv(folder / "log.csv")["stage"].tolist() == list(range(1, count + 1)), config
        assert re.search(rf"^{config} .*\d", printed, re.MULTILINE), config
    rows = json.loads((tmp_path / name / "table.json").read_text())
    assert len({row["demo"] for row in rows}) == len(stages), "each row is of another network"
    assert all(math.isnan(row["defaults"]) for row in rows)
