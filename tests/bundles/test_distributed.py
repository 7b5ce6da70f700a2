"""Two processes of torchrun, with gloo: one model comes of a training, each case is written once by an inference."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
import torch
from bundle_commands import ROOT, Bundle, ok, save_drawn

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


def launch(arguments: Sequence[str], environment: Mapping[str, str]) -> subprocess.Popen[str]:
    """Two processes by torchrun."""
    words = [sys.executable, "-W", "ignore", "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    return subprocess.Popen([*words, *arguments], cwd=ROOT, env=environment, start_new_session=True, **streams)


def finished(process: subprocess.Popen[str]) -> None:
    said, _ = process.communicate(timeout=600)
    assert process.returncode == 0, said[-3000:]


# ---- training -------------------------------------------------------------------------------------------------------


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
    path = os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])
    finished(launch(arguments, bundle.environment() | {"PYTHONPATH": path}))
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


# ---- inference ------------------------------------------------------------------------------------------------------


CASES = [f"case_{number}" for number in range(5)]
ONE = Bundle("mr2ct_pix2pix")


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    """Five phantoms without their CT, and a network of random weights."""
    root = tmp_path_factory.mktemp("sharded")
    phantoms = ONE.parser("train", **{"phantoms::cases": 5, "phantoms::spacing": 5}).get_parsed_content("phantoms")
    phantoms(root / "phantoms")
    folder = root / "data"
    folder.mkdir()
    for name, case in zip(CASES, sorted(path for path in (root / "phantoms").iterdir() if path.is_dir()), strict=True):
        (case / "mr.nii.gz").rename(folder / f"{name}.nii.gz")
    return {"dataset_dir": folder, "weights": save_drawn(ONE.parser("train", "demo"), ONE, root / "model.pt")}


def infer(settings, **more) -> subprocess.Popen[str]:
    return launch(ONE.arguments(None, ["inference"], {**settings, **more}), ONE.environment())


def manifest(folder) -> list[tuple[str, str]]:
    return [(one["case"], one["status"]) for one in json.loads((folder / "manifest.json").read_text())]


def written(folder) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in folder.glob("*.nii.gz")}


def test_each_case_is_written_once_and_as_by_one_process(settings, tmp_path):
    finished(infer(settings, predictions_dir=tmp_path / "two"))
    ok(ONE.run(None, ["inference"], **settings, predictions_dir=tmp_path / "one"))
    assert manifest(tmp_path / "two") == manifest(tmp_path / "one") == [(case, "done") for case in CASES]
    for path in (tmp_path / "one").glob("*.nii.gz"):
        made = nib.load(tmp_path / "two" / path.name)
        assert np.array_equal(np.asarray(made.dataobj), np.asarray(nib.load(path).dataobj))


def test_after_a_kill_the_rest_only_is_done(settings, tmp_path):
    process = infer(settings, predictions_dir=tmp_path)
    deadline = time.monotonic() + 600
    while not list(tmp_path.glob("*_synthetic_ct.json")) and time.monotonic() < deadline:
        time.sleep(0.005)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    done = {path.name.removesuffix("_synthetic_ct.json") for path in tmp_path.glob("*_synthetic_ct.json")}
    assert done
    before = written(tmp_path)
    finished(infer(settings, predictions_dir=tmp_path, resume="true"))
    assert manifest(tmp_path) == [(case, "kept" if case in done else "done") for case in CASES]
    after = written(tmp_path)
    assert len(after) == 5
    for case in done:
        name = f"{case}_synthetic_ct.nii.gz"
        assert after[name] == before[name]
