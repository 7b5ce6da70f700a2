"""Pretrained weights: shipped by one command, refused when they are others, found where the user has none."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from common.config.files import BundleFiles
from common.config.record import RunRecord
from common.config.weights import RunningBundle, with_weights
from common.errors import CheckpointError, ConfigError, OutputError
from common.training.handlers import FineTuning
from common.weights import checkpoints
from common.weights.info import origin, read_info
from medical_image_synthesis.command import main
from medical_image_synthesis.shipping import export

SIMULATION = {"_target_": "common.simulation.simulate.MrPair",
              "source": {"_target_": "common.simulation.physics.SpinEcho"},
              "target": {"_target_": "common.simulation.physics.SpinEcho", "te_ms": [90, 90]},
              "heads": {"_target_": "common.simulation.simulate.AverageHeads", "spacings_mm": [8.0]}}  # fmt: skip


@pytest.fixture
def bundle(tmp_path):
    """A bundle with a pretraining of two weights at width 4 behind it, nothing shipped yet."""
    root, run = tmp_path / "bundle", tmp_path / "bundle" / "pretraining"
    checkpoints.save({"weight": torch.tensor([[0.1, 0.2, 0.3, 0.4]]), "bias": torch.zeros(1)}, run / "models/model.pt")
    network = {"_target_": "torch.nn.Linear", "in_features": "@width", "out_features": 1}
    config = {"network_def": network, "width": 4, "spacing": None, "seed": 5, "simulation": SIMULATION}
    (run / "run.json").write_text(json.dumps({"config": config}))
    (root / "configs").mkdir()
    (root / "configs" / "train.yaml").touch()
    (root / "configs" / "metadata.json").write_text(json.dumps({"version": "1.2.3"}))
    return root


@pytest.fixture
def shipped(bundle):
    """The same, shipped."""
    export(bundle, bundle / "pretraining")
    return bundle


# ---- shipping -------------------------------------------------------------------------------------------------------


def test_export_writes_half_precision_and_what_made_it(shipped):
    about = read_info(shipped / "models" / "pretrained.pt")
    assert about.settings.keys() == {"network_def", "width"}, "what the network needs, no more"
    assert about.settings["width"] == 4
    assert (about.bundle, about.origin, about.metadata["seed"]) == ("bundle", "simulated heads, no patient", 5)
    assert about.metadata["version"] == "1.2.3", "of the bundle that ships them"
    assert about.sha256 == checkpoints.sha256(about.path)
    kept = torch.load(about.path, weights_only=True)
    assert kept["weight"].dtype == torch.float16
    assert kept["weight"].tolist() == [[0.0999755859375, 0.199951171875, 0.300048828125, 0.39990234375]]


def test_weights_trained_on_images_are_exported_without_a_simulation(bundle):
    run = bundle / "pretraining" / "run.json"
    config = {key: value for key, value in json.loads(run.read_text())["config"].items() if key != "simulation"}
    run.write_text(json.dumps({"config": config}))
    about = read_info(export(bundle, bundle / "pretraining", name="pretrained_chain.pt"))
    assert (about.path.name, about.origin) == ("pretrained_chain.pt", None)
    assert not {"simulation", "contrasts"} & about.metadata.keys()


def test_export_notes_the_commit_though_it_replaces_weights_of_the_repository(shipped):
    def git(*words: str) -> str:
        identity = ("-c", "user.name=t", "-c", "user.email=t@example.org")
        return subprocess.run(["git", *identity, *words], cwd=shipped, capture_output=True, text=True).stdout.strip()

    git("init")
    git("add", "--all")
    git("commit", "--message", "weights that are going to be replaced")
    checkpoints.save({"weight": torch.tensor([[9.0]])}, shipped / "pretraining" / "models" / "model.pt")
    git("commit", "--all", "--message", "another training")
    commit = git("rev-parse", "HEAD")
    assert read_info(export(shipped, shipped / "pretraining")).metadata["commit"] == commit
    assert git("status", "--porcelain")
    assert read_info(export(shipped, shipped / "pretraining")).metadata["commit"] == f"{commit}-dirty"


def test_export_refuses_weights_that_are_too_large(bundle, monkeypatch):
    monkeypatch.setattr("medical_image_synthesis.shipping.MAX_BYTES", 9)
    with pytest.raises(OutputError, match=r"0.0 MB in half precision, 9e-06 MB are allowed: train a narrower"):
        export(bundle, bundle / "pretraining")


def test_export_refuses_what_half_precision_cannot_hold(bundle):
    checkpoints.save({"weight": torch.tensor([1e6])}, bundle / "pretraining" / "models" / "model.pt")
    with pytest.raises(CheckpointError, match=r"weight, up to 1e\+06, is not finite in half precision: train"):
        export(bundle, bundle / "pretraining")


def test_the_command_says_what_is_missing(bundle, capsys):
    (bundle / "pretraining" / "run.json").unlink()
    assert main(["export", str(bundle)]) == 2
    assert "model.pt has neither model.json next to it nor the run.json of its run" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("before", "expected"), [("simulated heads, no patient", True), ("images", False), (None, False)]
)
def test_weights_that_started_from_those_of_patients_have_seen_patients(shipped, before, expected):
    path = shipped / "models" / "pretrained.json"
    told = json.loads(path.read_text())
    earlier = {"sha256": "0" * 64, "data": "generated phantoms, no patient", "started_from": {"data": before}}
    path.write_text(json.dumps({**told, "trained_on": {**told["trained_on"], "started_from": earlier}}))
    assert origin(path.with_suffix(".pt")) == ("simulated heads, no patient" if expected else None)


# ---- training -------------------------------------------------------------------------------------------------------


def engine(network, iteration=0):
    loaded = []
    state = SimpleNamespace(iteration=iteration)
    return SimpleNamespace(method=SimpleNamespace(deployed=network), state=state, load_deployed=loaded.append), loaded


def starting_from(shipped: Path) -> RunRecord:
    """The record of a training that starts from shipped weights."""
    return RunRecord({}, weights=read_info(shipped / "models" / "pretrained.pt"))


def test_training_starts_from_the_weights(shipped):
    network = nn.Linear(4, 1)
    trainer, loaded = engine(network)
    FineTuning(starting_from(shipped))(trainer)
    torch.testing.assert_close(network.weight, torch.tensor([[0.1, 0.2, 0.3, 0.4]]), rtol=0, atol=2e-4)
    assert len(loaded) == 1, "the moving average has them too"


def test_a_resumed_run_keeps_its_own_weights(shipped):
    network = nn.Linear(4, 1)
    before = network.weight.clone()
    FineTuning(starting_from(shipped))(engine(network, iteration=7)[0])
    assert torch.equal(network.weight, before)


def test_without_shipped_weights_there_is_nothing_to_start_from(bundle):
    own = RunningBundle(str(bundle), BundleFiles({}), (), is_command=True)
    assert with_weights({"pretrained": False}, own) == ({"pretrained": False}, None)
    with pytest.raises(CheckpointError, match="^the bundle ships no weights for --pretrained to start from: omit"):
        with_weights({"pretrained": True}, own)


def test_frozen_weights_are_those_named(shipped):
    network = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1))
    FineTuning(frozen=["0."])(engine(network)[0])
    assert [weight.requires_grad for weight in network.parameters()] == [False, False, True, True]


@pytest.mark.parametrize(
    ("frozen", "message"),
    [
        (["2."], "--frozen 2. begins no name of a weight: give the beginning of names such as 0.weight"),
        (["0", "1"], "--frozen covers every parameter: nothing is left to train"),
    ],
)
def test_wrong_names_of_frozen_weights(shipped, frozen, message):
    network = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1))
    with pytest.raises(ConfigError, match=message):
        FineTuning(frozen=frozen)(engine(network)[0])
