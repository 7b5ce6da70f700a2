"""A run that was killed and resumed equals one that was not, bit for bit; a new run never writes over an old one."""

from __future__ import annotations

import random
import shutil
import signal
import time

import pytest
from bundle_commands import BUNDLES, ok
from same_state import assert_same

from common.files import TEMPORARY_PREFIX
from common.weights import checkpoints

pytestmark = pytest.mark.slow

SETTINGS = {
    "max_epochs": 3, "constant_epochs": 1, "decay_epochs": 1, "val_interval": 1, "batch_size": 2,
    "samples_per_epoch": 40, "accumulation_steps": 2, "ema_decay": 0.9,
}  # fmt: skip
"""Everything that has a memory: optimisers, schedule, moving average, accumulated gradients, best validation.

A cascade takes these epochs for each of its stages."""
EPOCH_LENGTH = SETTINGS["samples_per_epoch"] // SETTINGS["batch_size"]
DEADLINE = 600
MOMENTS = [
    *((name, 1) for name in BUNDLES),
    *((name, n) for name in ("mr2ct_pix2pix", "pd2t2_dcgan_acm") for n in (0, 2)),
]
"""Every bundle, and for one of one stage and one of two the other moments too."""


def same_run(one, other):
    """Weights, everything to resume from, and the log are equal."""
    for name in ("model.pt", "last_checkpoint.pt"):
        assert_same(checkpoints.load(one / "models" / name), checkpoints.load(other / "models" / name), name)
    assert (one / "log.csv").read_bytes() == (other / "log.csv").read_bytes()


def settings(bundle, data, folder, **others):
    return {"dataset_dir": data, "output_dir": folder, **SETTINGS, **bundle.small_patches, **others}


def wait_for_epoch(process, folder, epoch):
    """Return when the checkpoint of an epoch is there; it is written beside the training, so the log may be ahead."""
    end = time.monotonic() + DEADLINE
    last = folder / "models" / "last_checkpoint.pt"
    while not last.is_file() or checkpoints.load(last)["trainer"]["iteration"] < epoch * EPOCH_LENGTH:
        assert process.poll() is None, "the run ended before it was to be killed"
        assert time.monotonic() < end
        time.sleep(0.01)


def interrupted(bundle, own, log, epoch, delay, number):
    """A run that got a signal so many seconds after an epoch's checkpoint, and the step that it kept.

    Where a machine is so fast that the run was over by then, the same is done again, sooner; and where a signal that
    can be heeded came with an epoch's last step, which is then completed.
    """
    folder, whole = own["output_dir"], bundle.stages * SETTINGS["max_epochs"] * EPOCH_LENGTH
    for share in (1, 0.25, 0.05, 0):
        process = bundle.start("training", ["train", "demo"], log, **own)
        try:
            wait_for_epoch(process, folder, epoch)
            time.sleep(share * delay)
            process.send_signal(number)
            process.wait(DEADLINE)
        finally:
            process.kill()
            process.wait()
        kept = checkpoints.load(folder / "models" / "last_checkpoint.pt")["trainer"]["iteration"]
        if kept < whole and (number == signal.SIGKILL or kept % EPOCH_LENGTH):
            return process, kept
        shutil.rmtree(folder)
    raise AssertionError("the run could not be interrupted in its midst")


@pytest.fixture(scope="module")
def epochs(bundle):
    """Of a whole run."""
    return bundle.stages * SETTINGS["max_epochs"]


@pytest.fixture(scope="module")
def uninterrupted(bundle, epochs, tiny_data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("uninterrupted")
    ok(bundle.run("training", ["train", "demo"], **settings(bundle, tiny_data, folder)))
    assert checkpoints.load(folder / "models" / "last_checkpoint.pt")["trainer"]["iteration"] == epochs * EPOCH_LENGTH
    return folder


@pytest.mark.parametrize(("bundle", "moment"), MOMENTS, indirect=["bundle"])
def test_killed_at_any_moment_and_resumed_equals_uninterrupted(
    bundle, epochs, tiny_data, uninterrupted, tmp_path, moment
):
    """After epochs 1, 1 and 2 of 3; of two stages after 1, 3 and 5 of 6: in the first, at the change, in the second."""
    folder = tmp_path / "run"
    epoch, delay = 1 + moment * (epochs - 2) // 2, random.Random(moment).uniform(0, 0.5)
    own = settings(bundle, tiny_data, folder)
    process, kept = interrupted(bundle, own, tmp_path / "log", epoch, delay, signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert kept % EPOCH_LENGTH == 0
    assert kept >= epoch * EPOCH_LENGTH

    resume = bundle.run_anew if moment == 1 else bundle.run  # Python's hashes of texts then have another seed, too
    done = ok(resume("training", ["train", "demo"], **settings(bundle, tiny_data, folder, resume="true")))
    assert f"was locked by process {process.pid} on " in done.stdout
    assert "taken over" in done.stdout
    assert f"after epoch {kept // EPOCH_LENGTH}, step {kept}" in done.stdout
    same_run(folder, uninterrupted)
    assert [path.name for path in folder.rglob(f"{TEMPORARY_PREFIX}*")] == []


def test_terminated_in_an_epoch_saves_and_goes_on_there(bundle, epochs, tiny_data, uninterrupted, tmp_path):
    """In the last stage; with two workers that load the data, which must change nothing either."""
    folder = tmp_path / "run"
    own = settings(bundle, tiny_data, folder, num_workers=2)
    process, kept = interrupted(bundle, own, tmp_path / "log", epochs - 2, 0.3, signal.SIGTERM)
    said = (tmp_path / "log").read_text()
    assert process.returncode == 128 + signal.SIGTERM, said[-2000:]
    assert said.endswith(f"SIGTERM: saved at step {kept}; --resume true continues from there\n"), said[-2000:]
    assert kept >= (epochs - 2) * EPOCH_LENGTH
    assert kept % EPOCH_LENGTH, "in the midst of an epoch"
    assert not {word for word in ("Traceback", "ERROR", "Engine run", "\r") if word in said}

    done = ok(bundle.run("training", ["train", "demo"], **(own | {"resume": "true"})))
    assert "taken over" not in done.stdout, "a run that could still speak released its folder"
    same_run(folder, uninterrupted)


STUDY = {
    "folds": 2, "classic_sizes": "[0,12]", "gan_sizes": "[6]", "max_epochs": 1, "samples_per_epoch": 40,
    "batch_size": 4, "classifier": "{'width': 2, 'steps': 3, 'batch_size': 8}",
}  # fmt: skip


@pytest.mark.parametrize("bundle", ["lesion_dcgan_aug"], indirect=True)
def test_a_study_that_is_killed_goes_on_where_it_was(bundle, tiny_data, tmp_path):
    whole, folder = tmp_path / "whole", tmp_path / "killed"
    done = ok(bundle.run("study", ["study", "demo", "study_demo"], dataset_dir=tiny_data, output_dir=whole, **STUDY))
    table = (whole / "study" / "table.md").read_text()
    assert [line.split("|")[1].strip() for line in table.splitlines()[2:5]] == [
        "none",
        "classic 12",
        "classic 12 + GAN 6",
    ]
    assert table in done.stdout

    settings = {"dataset_dir": tiny_data, "output_dir": folder, **STUDY}
    process = bundle.start("study", ["study", "demo", "study_demo"], tmp_path / "log", **settings)
    try:
        end = time.monotonic() + 600
        while not list(folder.glob("study/gans/fold0_seed0/models/.lock")):
            assert process.poll() is None, (tmp_path / "log").read_text()[-2000:]
            assert time.monotonic() < end
            time.sleep(0.005)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    cells = {path: path.stat().st_mtime_ns for path in folder.glob("study/cells/*.json")}
    assert len(cells) == 4, "none and classic, on two folds"
    ok(bundle.run("study", ["study", "demo", "study_demo"], **settings))
    assert [path for path, written in cells.items() if path.stat().st_mtime_ns != written] == []
    assert (folder / "study" / "table.md").read_text() == table
