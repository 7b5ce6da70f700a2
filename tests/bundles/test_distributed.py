"""Training on two processes with gloo, as torchrun starts it: one model comes of it, and it deploys like any other."""

from __future__ import annotations

import os
import subprocess
import sys

import nibabel as nib
import pandas as pd
import pytest
import torch
from bundle_commands import ROOT, ok

from common.weights import checkpoints

pytestmark = pytest.mark.slow

SETTINGS = {"max_epochs": 2, "samples_per_epoch": 16, "val_interval": 1, "batch_size": 2}
WITNESS = '''"""A handler that writes down what each process holds at the end, and which cases it trained on."""
import torch
from ignite.engine import Events
from pathlib import Path
from common import devices

class Witness:
    def __init__(self, folder):
        self.folder, self.losses = Path(folder), []

    def attach(self, engine):
        engine.add_event_handler(Events.ITERATION_COMPLETED, self.note, engine)
        engine.add_event_handler(Events.COMPLETED, self.write, engine)

    def note(self, engine):
        self.losses.append(float(engine.state.output["loss"]))

    def write(self, engine):
        about = {"networks": engine.method.state_dict(), "losses": self.losses, "world": devices.world_size()}
        torch.save(about, self.folder / f"rank{devices.rank()}.pt")
'''


@pytest.fixture(scope="module")
def two_processes(bundle, tiny_data, tmp_path_factory):
    """The folder of a run by two processes, and what each of them held at its end."""
    folder = tmp_path_factory.mktemp("pair")
    (folder / "witness.py").write_text(WITNESS)
    overlay = folder / "witness.yaml"
    overlay.write_text(f'+train::handlers: [{{_target_: witness.Witness, folder: "{folder}"}}]\n')
    settings = {"dataset_dir": tiny_data, "output_dir": folder / "out", **SETTINGS, **bundle.small_patches}
    settings |= {"critic_steps": 1} if "critic_steps" in bundle.raw("train") else {}  # a loss in each step
    arguments = bundle.arguments("training", ["train", "demo", "multi_gpu_train", str(overlay)], settings)
    launch = [sys.executable, "-W", "ignore", "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    path = os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])
    own = bundle.environment() | {"PYTHONPATH": path}
    ok(subprocess.run([*launch, *arguments], cwd=ROOT, env=own, capture_output=True, text=True, timeout=600))
    return folder / "out", [torch.load(folder / f"rank{rank}.pt", weights_only=True) for rank in (0, 1)]


def test_both_processes_end_with_the_same_weights(two_processes):
    _, (first, second) = two_processes
    assert first["world"] == second["world"] == 2
    assert first["networks"].keys() == second["networks"].keys()
    for name, value in first["networks"].items():
        if name.startswith(("generators.", "discriminators.")):  # a pool holds what its own process made
            assert torch.equal(value, second["networks"][name]), name


def test_each_process_sees_its_own_half(bundle, two_processes):
    _, (first, second) = two_processes
    epochs = bundle.stages * SETTINGS["max_epochs"]
    steps = epochs * SETTINGS["samples_per_epoch"] // 2 // SETTINGS["batch_size"]
    assert len(first["losses"]) == len(second["losses"]) == steps
    assert all(a != b for a, b in zip(first["losses"], second["losses"], strict=True))


def test_the_log_has_the_mean_of_both(bundle, two_processes):
    out, held = two_processes
    log = pd.read_csv(out / "log.csv")
    epochs = bundle.stages * SETTINGS["max_epochs"]
    steps = len(held[0]["losses"]) // epochs
    for epoch, logged in enumerate(log["loss"]):
        own = [loss for rank in held for loss in rank["losses"][epoch * steps : (epoch + 1) * steps]]
        assert logged == pytest.approx(sum(own) / len(own), rel=1e-5)
    assert log["epoch"].tolist() == list(range(1, epochs + 1))


def test_checkpoints_are_those_of_a_single_process(bundle, two_processes):
    out, (first, _) = two_processes
    saved = checkpoints.load(out / "models" / "last_checkpoint.pt")["trainer"]["networks"]
    assert saved.keys() == first["networks"].keys()
    assert all(torch.equal(value, first["networks"][name]) for name, value in saved.items())
    own = bundle.parser("train", "demo").get_parsed_content("network_def")
    checkpoints.load_weights(own, out / "models" / "model.pt")


@pytest.mark.translation
def test_one_process_infers_with_the_weights_of_two(bundle, two_processes, tiny_data, tmp_path):
    out, _ = two_processes
    where = {"dataset_dir": tiny_data, "weights": out / "models" / "model.pt", "predictions_dir": tmp_path / "made"}
    ok(bundle.run("inference", ["inference"], **where, output_dtype="float32"))  # few steps: an image of few HU
    made = sorted((tmp_path / "made").glob("*.nii.gz"))
    assert len(made) == len(bundle.parser("inference", dataset_dir=str(tiny_data)).get_parsed_content("data"))
    assert nib.load(made[0]).shape == nib.load(next(tiny_data.glob("*/*.nii.gz"))).shape
