"""Pretrained weights: shipped by one command, refused when they are others, found where the user has none."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from types import SimpleNamespace

import nibabel as nib
import numpy as np
import pytest
import torch
from monai.data import MetaTensor, list_data_collate
from torch import nn

from common.config.record import RunRecord
from common.config.weights import RunningBundle, with_weights
from common.errors import CheckpointError, ConfigError, DataError, OutputError
from common.training.handlers import FineTuning
from common.transforms import LoadVolumed, WorkingSpacingd
from common.trust import InputCheck
from common.trust.input_check import features, limits, out_of_distribution
from common.trust.weighting import Seen
from common.weights import checkpoints
from common.weights.info import known_contrasts, origin, read_info
from medical_image_synthesis.command import main
from medical_image_synthesis.shipping import export

SIMULATION = {"_target_": "common.simulation.simulate.MrPair",
              "source": {"_target_": "common.simulation.physics.SpinEcho"},
              "target": {"_target_": "common.simulation.physics.SpinEcho", "te_ms": [90, 90]},
              "heads": {"_target_": "common.simulation.simulate.AverageHeads", "spacings_mm": [8.0]}}  # fmt: skip

ISOTROPIC = {"_target_": "common.simulation.scanner.Scanner", "thick_probability": 0}


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
def shipped(bundle, monkeypatch):
    """The same, shipped, but for the simulated cases that inputs would be compared with."""
    monkeypatch.setattr("medical_image_synthesis.shipping._profile", lambda config, cases: {})
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
    assert (about.path.name, about.origin, about.profile) == ("pretrained_chain.pt", None, {})
    assert not {"simulation", "contrasts", "profile"} & about.metadata.keys()


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


def test_export_notes_what_inputs_looked_like(bundle):
    profile = read_info(export(bundle, bundle / "pretraining", cases=2)).profile
    assert [len(profile[name]) for name in ("extent_mm", "z_scores")] == [3, 7]
    assert all(60 < low <= high < 245 for low, high in profile["extent_mm"])
    medians = profile["z_scores"][3]
    assert -1 < medians[0] < medians[1] < 1


def test_inputs_are_compared_with_simulations_at_the_working_spacing(bundle):
    """Extents are multiples of the working spacing: of 8 mm, as simulated, or of 3 mm and within a voxel of those."""
    profiles = {}
    for spacing in (8, 3):
        config = json.loads((bundle / "pretraining" / "run.json").read_text())
        config["config"] |= {"spacing": [spacing] * 3, "simulation": {**SIMULATION, "scanner": ISOTROPIC}}
        (bundle / "pretraining" / "run.json").write_text(json.dumps(config))
        profiles[spacing] = read_info(export(bundle, bundle / "pretraining", cases=1)).profile["extent_mm"]
        assert np.allclose(np.remainder(np.add(profiles[spacing], 1e-3), spacing), 1e-3, atol=1e-3)
    np.testing.assert_allclose(profiles[3], profiles[8], atol=8)


def test_export_lists_the_contrasts_of_the_simulation(shipped):
    """A spin echo of TE 8 to 35 ms; a run, whose images could be any, lists none."""
    assert known_contrasts(shipped / "models" / "pretrained.pt") == ["PD"]
    assert known_contrasts(shipped / "pretraining" / "models" / "model.pt") == []


def test_export_refuses_weights_that_are_too_large(bundle, monkeypatch):
    monkeypatch.setattr("medical_image_synthesis.shipping.MAX_BYTES", 9)
    with pytest.raises(OutputError, match=r"0.0 MB in half precision, 9e-06 MB are allowed: train a narrower"):
        export(bundle, bundle / "pretraining", cases=1)


def test_export_refuses_what_half_precision_cannot_hold(bundle):
    checkpoints.save({"weight": torch.tensor([1e6])}, bundle / "pretraining" / "models" / "model.pt")
    with pytest.raises(CheckpointError, match=r"weight, up to 1e\+06, is not finite in half precision: train"):
        export(bundle, bundle / "pretraining", cases=1)


def test_the_command_says_what_is_missing(bundle, capsys):
    (bundle / "pretraining" / "run.json").unlink()
    assert main(["export", str(bundle), "--cases", "1"]) == 2
    assert "model.pt has neither model.json next to it nor the run.json of its run" in capsys.readouterr().err


def test_another_hash_is_refused(shipped):
    path = shipped / "models" / "pretrained.pt"
    checkpoints.save({"weight": torch.ones(1, 4), "bias": torch.zeros(1)}, path)
    with pytest.raises(CheckpointError, match=r"has the SHA-256 [0-9a-f]{64}, not the [0-9a-f]{64} of pretrained.json"):
        read_info(path)


def test_a_missing_description_is_refused(shipped):
    (shipped / "models" / "pretrained.json").unlink()
    with pytest.raises(CheckpointError, match=r"has neither pretrained.json next to it nor the run.json"):
        read_info(shipped / "models" / "pretrained.pt")


def test_weights_of_simulations_have_an_origin(shipped):
    assert origin(shipped / "models" / "pretrained.pt") == "simulated heads, no patient"
    assert origin("/x/models/model.pt") is None


@pytest.mark.parametrize(
    ("before", "expected"), [("simulated heads, no patient", True), ("images", False), (None, False)]
)
def test_weights_that_started_from_those_of_patients_have_seen_patients(shipped, before, expected):
    path = shipped / "models" / "pretrained.json"
    told = json.loads(path.read_text())
    earlier = {"sha256": "0" * 64, "data": "generated phantoms, no patient", "started_from": {"data": before}}
    path.write_text(json.dumps({**told, "trained_on": {**told["trained_on"], "started_from": earlier}}))
    assert origin(path.with_suffix(".pt")) == ("simulated heads, no patient" if expected else None)


def test_a_start_that_is_no_table_is_refused(shipped):
    path = shipped / "models" / "pretrained.json"
    told = json.loads(path.read_text())
    path.write_text(json.dumps({**told, "trained_on": {**told["trained_on"], "started_from": "b667"}}))
    with pytest.raises(CheckpointError, match="started_from is 'b667'"):
        origin(path.with_suffix(".pt"))


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


def test_another_network_is_refused(shipped):
    with pytest.raises(CheckpointError, match=r"weight has shape \(1, 4\), not shape \(1, 5\)"):
        FineTuning(starting_from(shipped))(engine(nn.Linear(5, 1))[0])


def test_without_shipped_weights_there_is_nothing_to_start_from(bundle):
    own = RunningBundle(str(bundle), [], (), is_command=True)
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


# ---- inputs unlike the simulation -----------------------------------------------------------------------------------


def ball(radius, contrast=1.0):
    """A ball of 2 mm voxels whose brightness rises from its centre."""
    axes = np.meshgrid(*[np.arange(60) - 30] * 3, indexing="ij")
    distance = np.sqrt(sum(axis**2 for axis in axes))
    return np.where(distance < radius, 10 + (distance / radius) ** contrast, 0).astype(np.float32)


KNOWN = limits(features(ball(*shape), np.full(3, 2.0)) for shape in ((20, 0.8), (24, 1.2)))


def test_extent_of_a_ball_by_hand():
    assert features(ball(20), np.array([1.0, 2.0, 3.0]))["extent_mm"].tolist() == [39, 78, 117]
    assert KNOWN["extent_mm"] == [[78, 94]] * 3


@pytest.mark.parametrize("name", ["z_scores", "depth_ratios"])
def test_the_histogram_does_not_depend_on_the_grey_scale(name):
    """Nor on where its zero is: z-scores and windows have moved it."""
    one, other = (features(scale * ball(20) - shift, np.ones(3))[name] for scale, shift in ((1, 0), (7, 30)))
    np.testing.assert_allclose(one, other, atol=1e-5)


def core(value):
    """A ball of 2 mm voxels of brightness 10, whose inner half of the radius has this value, under a shell of 30."""
    inner, outer = ball(10) > 0, ball(20) > 0
    shell = outer & ~(ball(17) > 0)
    return np.where(inner, value, np.where(shell, 30.0, np.where(outer, 10.0, 0))).astype(np.float32)


def test_the_depth_of_a_head_gives_its_contrast_whatever_its_scalp():
    """Deeper than 0.35 of the radius: the core of radius 10 is 45% of what lies within 13; the shell is left out."""
    dark, bright = (features(core(value), np.full(3, 2.0))["depth_ratios"] for value in (2.0, 40.0))
    assert dark.tolist() == [0.2, 0.2, 0.2, 1, 1, 1, 1]
    assert bright.tolist() == [1, 1, 1, 1, 4, 4, 4]
    found = out_of_distribution(
        core(40.0), np.full(3, 2.0), limits([features(core(value), np.full(3, 2.0)) for value in (2, 3)])
    )
    assert "percentile 98 over the median in the depth of the head 4, in training 1 to 1" in found


def test_a_ball_like_the_others_is_no_cause_to_warn():
    assert out_of_distribution(7 * ball(20, 0.8), np.full(3, 2.0), KNOWN) == []


def test_a_small_head_thick_slices_and_another_histogram_are():
    assert (
        out_of_distribution(ball(10), np.full(3, 2.0), KNOWN)[0] == "head extent along x in mm 38, in training 78 to 94"
    )
    assert out_of_distribution(np.full((4, 4, 4), 3.0), np.ones(3), KNOWN) == ["the value 3 everywhere"]
    assert out_of_distribution(ball(22), np.array([2.0, 2.0, 6.5]), {}) == ["voxels of 6.5 mm, more than 6"]
    found = out_of_distribution(ball(22, contrast=12.0), np.full(3, 2.0), KNOWN)
    assert any("percentile" in reason and "of z-scores in the head" in reason for reason in found)


def test_the_handler_warns_of_a_contrast_that_the_weights_do_not_list(shipped, caplog):
    """Weights of PD, and a ball of one brightness, whose contrast cannot be told."""
    image = MetaTensor(
        torch.from_numpy((ball(22) > 0).astype(np.float32))[None], affine=torch.diag(torch.tensor([2.0, 2.0, 2.0, 1.0]))
    )
    check = InputCheck(str(shipped / "models" / "pretrained.pt"))
    check(SimpleNamespace(state=SimpleNamespace(batch={"image": image[None], "case": ["case_07"]})))
    assert "case_07: UNLIKE THE TRAINING DATA, results may look plausible and be wrong: contrast not" in caplog.text
    assert "are equally bright); these weights were trained on PD-weighted" in caplog.text


@pytest.mark.parametrize(("seen", "refused"), [(("T1",), True), (("PD", "T2"), False), ((), False)])
def test_an_engine_that_refuses_gets_no_scan_of_another_weighting(shipped, monkeypatch, seen, refused):
    """Weights of PD; a scan that may be PD, or is not recognised, passes, and so does each without refusal."""
    monkeypatch.setattr("common.trust.input_check.weighting_seen", lambda image, spacing: Seen(seen, "an order"))
    image = MetaTensor(torch.from_numpy(ball(22))[None], affine=torch.diag(torch.tensor([2.0, 2.0, 2.0, 1.0])))
    engine = SimpleNamespace(state=SimpleNamespace(batch={"image": image[None], "case": ["scan"]}), refuses=refused)
    check = InputCheck(str(shipped / "models" / "pretrained.pt"))
    if refused:
        wanted = (
            r"scan: looks T1-weighted \(an order\); these weights were trained on PD-weighted: pass a PD-weighted scan"
        )
        with pytest.raises(DataError, match=wanted):
            check(engine)
        engine.refuses = False
    check(engine)


@pytest.mark.parametrize(("unit", "warned"), [("HU", 1), ("a.u.", 0)])
def test_the_handler_warns_of_a_missing_skull_where_a_ct_is_predicted(shipped, caplog, monkeypatch, unit, warned):
    about = shipped / "models" / "pretrained.json"
    about.write_text(json.dumps({**json.loads(about.read_text()), "unit": unit}))
    monkeypatch.setattr("common.trust.input_check.looks_stripped", lambda image, spacing: True)
    image = MetaTensor(torch.from_numpy(ball(22))[None], affine=torch.diag(torch.tensor([2.0, 2.0, 2.0, 1.0])))
    engine = SimpleNamespace(state=SimpleNamespace(batch={"image": image[None], "case": ["t1"]}), warnings={})
    InputCheck(str(shipped / "models" / "pretrained.pt"))(engine)
    reason = "looks skull-stripped: no bone can be predicted"
    assert caplog.text.count(f"{reason}\n") == warned
    assert engine.warnings["t1"].count(f"unlike the training data: {reason}") == warned


def test_the_handler_warns_by_case(tmp_path, caplog):
    image = MetaTensor(torch.from_numpy(ball(22))[None], affine=torch.diag(torch.tensor([2.0, 2.0, 7.0, 1.0])))
    batch = {"image": image[None], "case": ["case_07"]}
    InputCheck(str(tmp_path / "model.pt"))(SimpleNamespace(state=SimpleNamespace(batch=batch)))
    assert "case_07: UNLIKE THE TRAINING" in caplog.text
    assert "voxels of 7.0 mm, more than 6" in caplog.text


def test_the_handler_sees_the_slices_of_a_scan_that_was_resampled(tmp_path, caplog):
    """Slices of 7 mm remain slices of 7 mm at a working spacing of 2 mm; those of 5 mm are within the simulation."""
    for height, warned in ((5.0, 0), (7.0, 1)):
        nib.save(nib.Nifti1Image(ball(22), np.diag([2.0, 2.0, height, 1.0])), tmp_path / "scan.nii")
        loaded = LoadVolumed("image")({"image": str(tmp_path / "scan.nii"), "case": "case_07"})
        batch = list_data_collate([WorkingSpacingd("image", spacing=[2.0, 2.0, 2.0])(loaded)])
        InputCheck(str(tmp_path / "model.pt"))(SimpleNamespace(state=SimpleNamespace(batch=batch)))
        assert caplog.text.count("case_07: UNLIKE THE TRAINING") == warned
    assert "voxels of 7.0 mm, more than 6" in caplog.text
