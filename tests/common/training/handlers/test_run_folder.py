"""A run on disk: what is written when, what is moved where, who holds the folder, interruption and resume."""

from __future__ import annotations

import fcntl
import json
import math
import operator
import os
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import IO, Any

import pytest
import torch
from ignite.engine import Events
from monai.engines import SupervisedEvaluator
from PIL import Image
from same_state import assert_same
from scripted_runs import Scripted, rows, weights
from torch import nn
from torch.utils.data import DataLoader
from toy_training import CPU, Pairs, Toy, loader, on

from common.data.identity import FileIdentity
from common.data.split_record import Cases, SplitRecord
from common.errors import CheckpointError, ConfigError
from common.files import TEMPORARY_PREFIX
from common.runs import run_dir
from common.training import SynthesisTrainer
from common.training.handlers import RunFolder, Validation
from common.training.schedules import ConstantThenLinear
from common.weights import checkpoints, info

STEPS = 4
NAMES = ["epoch", "discriminator", "l1", "adversarial", "loss", "learning_rate", "val_score"]


def build(
    root: Path,
    scores: Sequence[float] = (4, 3, 2, 1),
    epochs: int = 4,
    resume: bool = False,
    interval: int = 1,
    handlers: Sequence = (),
    first: Sequence = (),
    generator: nn.Module | None = None,
    cases: dict | None = None,
    keep: str = "best",
    patience: int | None = None,
    save_interval: int | None = None,
    **settings: Any,
) -> SynthesisTrainer:
    """A trainer with validation and run folder; ``first`` are handlers before the folder's, ``handlers`` after."""
    torch.manual_seed(0)
    network = generator or nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.Dropout(0.5), nn.Conv2d(4, 1, 1))
    method = Toy(network, nn.Conv2d(1, 1, 3), adversarial=1, l1=2)
    images = torch.rand(2 * STEPS, 1, 4, 4)
    data = loader(Pairs(images, 1 - images, noise=0.1), batch_size=2)
    validator = SupervisedEvaluator(
        CPU,
        DataLoader([{"image": torch.rand(1, 4, 4), "label": torch.rand(1, 4, 4)}]),  # type: ignore[arg-type]
        network,
        key_val_metric={"score": Scripted(scores)},
        metric_cmp_fn=operator.lt,
    )
    folder = RunFolder(str(root), validator, resume, cases, keep, None, patience, save_interval)
    return SynthesisTrainer(
        CPU,
        epochs,
        data,
        method,
        partial(torch.optim.Adam, lr=0.01),
        partial(ConstantThenLinear, constant_epochs=1, decay_epochs=3),
        seed=5,
        train_handlers=[*first, Validation(interval, validator), folder, *handlers],
        **settings,
    )


@pytest.fixture(autouse=True)
def signal_handlers_are_restored() -> Iterator[None]:
    """No test may leave a handler behind."""
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    yield
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] == before


# ---- what is written ----------------------------------------------------------------------------------------------


def test_the_best_model_is_kept_and_no_worse_one(tmp_path: Path) -> None:
    after: list[dict] = []
    kept: list[dict] = []

    def note(engine: SynthesisTrainer) -> None:
        after.append(weights(engine.method.deployed))
        kept.append(checkpoints.load(tmp_path / "models" / "model.pt"))

    build(tmp_path, scores=(3, 1, 2, 0.5), handlers=[on(Events.EPOCH_COMPLETED, note)]).run()
    for epoch, best in enumerate([0, 1, 1, 3]):
        assert_same(dict(kept[epoch]), after[best])
    saved = checkpoints.load(tmp_path / "models" / "last_checkpoint.pt")
    assert (saved["best_metric"], saved["best_metric_epoch"]) == (0.5, 4)


def test_the_best_model_is_the_moving_average_where_that_is_on(tmp_path: Path) -> None:
    trainer = build(tmp_path, ema_decay=0.9)
    trainer.run()
    kept = dict(checkpoints.load(tmp_path / "models" / "model.pt"))
    with trainer.deployed_weights() as network:
        assert_same(kept, weights(network))
    assert not torch.equal(kept["0.weight"], trainer.method.state_dict()["generators.g.0.weight"])


def test_the_checkpoint_and_the_log_follow_every_epoch(tmp_path: Path) -> None:
    iterations: list[int] = []
    metrics: list[dict] = []

    def saved() -> int:
        path = tmp_path / "models" / "last_checkpoint.pt"
        return checkpoints.load(path)["trainer"]["iteration"] if path.exists() else 0

    def note(engine: SynthesisTrainer) -> None:
        deadline = time.monotonic() + 600
        while saved() != engine.state.iteration and time.monotonic() < deadline:
            time.sleep(0.01)  # it is written in the background
        iterations.append(saved())
        metrics.append(dict(engine.state.metrics))
        assert len(rows(tmp_path)) == engine.state.epoch

    build(tmp_path, scores=(0.5, 0.25), interval=2, handlers=[on(Events.EPOCH_COMPLETED, note)]).run()
    assert iterations == [STEPS, 2 * STEPS, 3 * STEPS, 4 * STEPS]
    log = rows(tmp_path)
    assert sorted(log[0]) == sorted(NAMES)
    assert [row["epoch"] for row in log] == ["1", "2", "3", "4"]
    assert [row["val_score"] for row in log] == ["", "0.5", "", "0.25"]
    # full in the first epoch, then three quarters, a half, a quarter
    assert [float(row["learning_rate"]) for row in log] == pytest.approx([0.01, 0.0075, 0.005, 0.0025])
    for row, found in zip(log, metrics, strict=True):
        for name in ("discriminator", "adversarial", "l1", "loss"):
            assert float(row[name]) == found[name]
        assert float(row["loss"]) == pytest.approx(float(row["adversarial"]) + 2 * float(row["l1"]), rel=1e-5)


def test_a_run_leaves_log_record_and_weights_with_what_they_are(tmp_path: Path) -> None:
    build(tmp_path, epochs=2).run()
    assert sorted(os.listdir(tmp_path)) == ["log.csv", "models", "run.json"]
    assert sorted(os.listdir(tmp_path / "models")) == [".lock", "last_checkpoint.pt", "model.json", "model.pt"]
    told = json.loads((tmp_path / "models" / "model.json").read_text())
    assert told["sha256"] == checkpoints.sha256(tmp_path / "models" / "model.pt")
    assert (told["keep"], told["epoch"], told["metric"]) == ("best", 2, {"score": 3})
    for record in (told, json.loads((tmp_path / "run.json").read_text())):
        assert record["versions"]["torch"] == torch.__version__


@pytest.mark.parametrize("scores", [(3, 1, 2, 2, 0.5), (3, 1, math.nan, 1, 0.5)])
@pytest.mark.parametrize("interrupted", [False, True])
def test_validations_without_a_better_one_end_the_training(
    tmp_path: Path, scores: Sequence[float], interrupted: bool
) -> None:
    """The second is the best, the third and fourth are no better; a resumed run counts those before."""
    if interrupted:
        build(tmp_path, scores=scores[:3], epochs=3, patience=2).run()
    build(tmp_path, scores=scores[3 * interrupted :], epochs=5, patience=2, resume=interrupted).run()
    assert [row["epoch"] for row in rows(tmp_path)] == ["1", "2", "3", "4"]
    saved = checkpoints.load(tmp_path / "models" / "last_checkpoint.pt")
    assert (saved["trainer"]["iteration"], saved["best_metric_epoch"]) == (4 * STEPS, 2)
    build(tmp_path / "later", scores=scores, epochs=5, patience=3).run()
    assert len(rows(tmp_path / "later")) == 5


def test_weights_and_pictures_of_single_epochs_are_kept(tmp_path: Path) -> None:
    after: list[dict] = []
    note = on(Events.EPOCH_COMPLETED, lambda engine: after.append(weights(engine.method.deployed)))
    build(tmp_path, epochs=4, save_interval=2, handlers=[note]).run()
    folders = sorted((tmp_path / "epochs").iterdir())
    assert [folder.name for folder in folders] == ["0002", "0004"]
    for folder, epoch in zip(folders, (2, 4), strict=True):
        assert_same(dict(checkpoints.load(folder / "model.pt")), after[epoch - 1])
        about = json.loads((folder / "model.json").read_text())
        assert (about["keep"], about["epoch"]) == ("last", epoch)
        assert Image.open(folder / "picture.png").size == (12, 4)  # source, output and target
    build(tmp_path, epochs=1).run()
    assert sorted(os.listdir(tmp_path / "models" / "previous" / "epochs")) == ["0002", "0004"]
    assert not (tmp_path / "epochs").exists()


# ---- an earlier run -----------------------------------------------------------------------------------------------


def _contents(models: Path, log: Path) -> dict[str, str]:
    places = {"model.pt": models, "last_checkpoint.pt": models, "log.csv": log, "run.json": log}
    return {name: checkpoints.sha256(folder / name) for name, folder in places.items()}


def test_earlier_runs_are_moved_aside_and_nothing_is_lost(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    models = tmp_path / "models"

    runs = []
    for epochs in (1, 2, 3):
        build(tmp_path, epochs=epochs).run()
        runs.append(_contents(models, tmp_path))
    assert f"held a run: moved to {models / 'previous'}" in caplog.text
    assert len({run["last_checkpoint.pt"] for run in runs}) == 3
    for run, folder in ((runs[1], models / "previous"), (runs[0], models / "previous" / "previous")):
        assert _contents(folder, folder) == run
    assert len(rows(tmp_path)) == 3


def split(case: str) -> Cases:
    """Cases with the record of a split; the file is in the run's folder and need not exist."""
    lists = {"training": [{"case": case, "patient": case, "image": f"/data/{case}.nii"}]}
    return Cases(lists, SplitRecord(lists, {f"/data/{case}.nii": FileIdentity("1f", 1, 2)}, {"seed": 0}))


def test_a_split_is_written_with_its_run_and_moved_aside_with_it(tmp_path: Path) -> None:
    record, previous = tmp_path / "datalist.json", tmp_path / "models" / "previous" / "datalist.json"
    build(tmp_path, epochs=1, cases=split("a")).run()
    assert SplitRecord.read(record) == split("a").record
    build(tmp_path, epochs=2, resume=True, cases=split("b")).run()
    assert SplitRecord.read(record) == split("a").record, "a resumed run keeps its split"
    build(tmp_path, epochs=1, cases=split("c")).run()
    assert (SplitRecord.read(record), SplitRecord.read(previous)) == (split("c").record, split("a").record)
    build(tmp_path, epochs=1, cases={"training": []}).run()
    assert SplitRecord.read(previous) == split("c").record
    assert not record.exists(), "simulated cases have no split"


def test_what_a_bundle_ships_is_no_run_and_stays(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    models = tmp_path / "models"
    models.mkdir()
    for name in ("pretrained.pt", "pretrained.json"):
        (models / name).write_text(f"shipped {name}")
    build(tmp_path).run()
    assert "held a run" not in caplog.text
    build(tmp_path).run()
    assert sorted(path.name for path in (models / "previous").iterdir()) == [
        "last_checkpoint.pt", "log.csv", "model.json", "model.pt", "run.json",
    ]  # fmt: skip
    assert (models / "pretrained.pt").read_text() == "shipped pretrained.pt"
    assert (models / "pretrained.json").read_text() == "shipped pretrained.json"


@pytest.mark.parametrize("shipped", [True, False])
def test_weights_that_a_release_ships_stay_under_another_name(tmp_path: Path, shipped: bool) -> None:
    models = tmp_path / "models"
    about = {"bundle": "x", "settings": {}, "trained_on": {}, "shipped": shipped}
    info.save({"released": torch.ones(1)}, models / "model.pt", about)
    build(tmp_path).run()
    kept = models / ("pretrained.pt" if shipped else "previous/model.pt")
    assert checkpoints.load(kept).keys() == {"released"}
    assert kept.with_suffix(".json").is_file()
    assert "released" not in checkpoints.load(models / "model.pt")
    assert (models / "previous").exists() is not shipped


def test_moving_aside_that_was_cut_short_is_finished(tmp_path: Path) -> None:
    models = tmp_path / "models"
    build(tmp_path, epochs=1).run()
    first = {name: checkpoints.sha256(models / name) for name in ("model.pt", "last_checkpoint.pt")}
    # as left by a process that was killed after it had moved the weights, but not yet the log
    (models / ".previous").mkdir()
    for name in first:
        (models / name).rename(models / ".previous" / name)
    build(tmp_path, epochs=2).run()
    build(tmp_path, epochs=3).run()
    kept = {name: checkpoints.sha256(models / "previous" / "previous" / name) for name in first}
    assert kept == first
    assert not (models / ".previous").exists()


def test_leftovers_of_a_killed_writer_are_removed(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    stale = tmp_path / "models" / f"{TEMPORARY_PREFIX}abc"
    stale.write_bytes(b"half a checkpoint")
    build(tmp_path, epochs=1).run()
    assert not stale.exists()
    assert not (tmp_path / "models" / "previous").exists()


# ---- the lock -----------------------------------------------------------------------------------------------------

OWNER = "process 7 on elsewhere"


def locked(path: Path) -> IO[str]:
    """The file of a lock, held as by another process: the system tells holders by the file that each has open."""
    file = open(path, "a+")  # noqa: SIM115
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return file


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[IO[str]]:
    """Another run that holds the lock of the folder, until the file is closed, as that of a killed process is."""
    (tmp_path / "models").mkdir()
    with locked(tmp_path / "models" / ".lock") as file:
        file.write(OWNER)
        file.flush()
        yield file


def test_a_folder_in_use_is_refused_with_its_owner(tmp_path: Path, holder: IO[str]) -> None:
    with pytest.raises(ConfigError, match=f"is in use by a run of {OWNER}: wait for it"):
        build(tmp_path, cases=split("a")).run()
    assert (tmp_path / "models" / ".lock").read_text() == OWNER
    assert os.listdir(tmp_path) == ["models"]
    assert os.listdir(tmp_path / "models") == [".lock"]


def test_the_lock_of_a_killed_process_is_taken_over(
    tmp_path: Path, holder: IO[str], caplog: pytest.LogCaptureFixture
) -> None:
    holder.close()
    build(tmp_path, epochs=1).run()
    assert f"was locked by {OWNER}, which ended without releasing it: taken over" in caplog.text
    assert len(rows(tmp_path)) == 1


def test_while_it_runs_a_run_keeps_others_out(tmp_path: Path) -> None:
    lock = tmp_path / "models" / ".lock"
    found: list[str] = []

    def intrude(engine: SynthesisTrainer) -> None:
        with pytest.raises(BlockingIOError):
            locked(lock)
        found.append(lock.read_text())

    build(tmp_path, epochs=1, handlers=[on(Events.ITERATION_COMPLETED(once=2), intrude)]).run()
    (owner,) = found
    assert owner.startswith(f"process {os.getpid()} on ")
    assert lock.read_text() == ""


def test_a_run_that_fails_releases_its_folder(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def fail(engine: SynthesisTrainer) -> None:
        raise KeyError("a fault of the code")

    with pytest.raises(KeyError, match="a fault of the code"):
        build(tmp_path, handlers=[on(Events.ITERATION_COMPLETED(once=2), fail)]).run()
    assert (tmp_path / "models" / ".lock").read_text() == ""
    build(tmp_path, epochs=1).run()
    assert "taken over" not in caplog.text


# ---- interruption and resume --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of four epochs."""
    root = tmp_path_factory.mktemp("uninterrupted")
    build(root, ema_decay=0.9).run()
    return root


def _equal(root: Path, uninterrupted: Path) -> None:
    assert rows(root) == rows(uninterrupted)
    for name in ("model.pt", "last_checkpoint.pt"):
        found, expected = (checkpoints.load(each / "models" / name) for each in (root, uninterrupted))
        assert_same(found, expected, name)


def _send(number: int) -> Callable:
    return lambda engine: signal.raise_signal(number)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_in_the_midst_of_an_epoch_saves_and_the_run_goes_on(
    tmp_path: Path, uninterrupted: Path, number: signal.Signals
) -> None:
    send = on(Events.ITERATION_STARTED(once=STEPS + 2), _send(number))
    with pytest.raises(SystemExit) as left:
        build(tmp_path, handlers=[send], ema_decay=0.9).run()
    assert left.value.code == {signal.SIGTERM: 143, signal.SIGINT: 130}[number]
    saved = checkpoints.load(tmp_path / "models" / "last_checkpoint.pt")
    assert saved["trainer"]["iteration"] == STEPS + 2
    assert len(rows(tmp_path)) == 1
    build(tmp_path, scores=(3, 2, 1), resume=True, ema_decay=0.9).run()
    _equal(tmp_path, uninterrupted)


def test_a_signal_in_the_last_step_lets_the_epoch_be_completed(tmp_path: Path, uninterrupted: Path) -> None:
    send = on(Events.ITERATION_STARTED(once=2 * STEPS), _send(signal.SIGTERM))
    with pytest.raises(SystemExit, match="143"):
        build(tmp_path, handlers=[send], ema_decay=0.9).run()
    assert len(rows(tmp_path)) == 2
    build(tmp_path, scores=(2, 1), resume=True, ema_decay=0.9).run()
    _equal(tmp_path, uninterrupted)


def test_a_signal_waits_for_the_end_of_an_accumulated_update(tmp_path: Path) -> None:
    send = on(Events.ITERATION_STARTED(once=1), _send(signal.SIGTERM))
    with pytest.raises(SystemExit, match="143"):
        build(tmp_path, handlers=[send], accumulation_steps=2).run()
    assert checkpoints.load(tmp_path / "models" / "last_checkpoint.pt")["trainer"]["iteration"] == 2


def test_a_second_signal_goes_to_the_earlier_handler(tmp_path: Path) -> None:
    def twice(engine: SynthesisTrainer) -> None:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        build(tmp_path, handlers=[on(Events.ITERATION_STARTED(once=2), twice)]).run()
    assert not (tmp_path / "models" / "last_checkpoint.pt").exists()


def test_a_resumed_run_remembers_its_best(tmp_path: Path) -> None:
    build(tmp_path, scores=(1, 5), epochs=2).run()
    best = checkpoints.sha256(tmp_path / "models" / "model.pt")
    build(tmp_path, scores=(3, 2), resume=True).run()
    assert checkpoints.sha256(tmp_path / "models" / "model.pt") == best
    saved = checkpoints.load(tmp_path / "models" / "last_checkpoint.pt")
    assert (saved["best_metric"], saved["best_metric_epoch"]) == (1.0, 1)


@pytest.mark.parametrize("kept", [None, 500])
def test_a_resumed_run_whose_best_weights_are_lost_keeps_the_next_ones(
    tmp_path: Path, kept: int | None, caplog: pytest.LogCaptureFixture
) -> None:
    """Epoch 1 of 4 was the best; its file is missing or cut, and of epochs 3 and 4 the former is better."""
    build(tmp_path, scores=(1, 5), epochs=2, patience=1).run()
    best = tmp_path / "models" / "model.pt"
    content = best.read_bytes()
    best.unlink() if kept is None else best.write_bytes(content[:kept])
    build(tmp_path, scores=(3, 4), resume=True, patience=1).run()
    assert "epoch 1, the best so far, has lost its weights" in caplog.text
    saved = checkpoints.load(tmp_path / "models" / "last_checkpoint.pt")
    about = json.loads(best.with_suffix(".json").read_text())
    assert (saved["best_metric"], saved["best_metric_epoch"], about["epoch"]) == (3.0, 3, 3)
    assert checkpoints.load(best)


@pytest.mark.parametrize(
    ("done", "epochs", "remedy"),
    [
        (2, 1, "raise it to go on"),
        (2, 2, "raise it to go on"),
        (4, 4, "its rate is at 0, so train longer in a new run"),
    ],
)
def test_a_finished_run_that_is_resumed_says_so_and_keeps_its_record(
    tmp_path: Path, done: int, epochs: int, remedy: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The schedule of a run is fixed: beyond its decay, an epoch would train nothing."""
    build(tmp_path, epochs=done).run()
    record = tmp_path / "run.json"
    record.write_text('{"config": {}, "versions": "of the training"}')
    before = _contents(tmp_path / "models", tmp_path)
    build(tmp_path, epochs=epochs, resume=True).run()
    assert f"nothing to train, {done} epochs are done and --max_epochs is {epochs}: {remedy}" in caplog.text
    assert "will be those of" not in caplog.text.split("nothing to train")[1]
    assert _contents(tmp_path / "models", tmp_path) == before


def test_a_score_that_is_no_number_is_never_the_best(tmp_path: Path) -> None:
    build(tmp_path, scores=(math.nan, 3, math.nan, 4)).run()
    saved = checkpoints.load(tmp_path / "models" / "last_checkpoint.pt")
    assert (saved["best_metric"], saved["best_metric_epoch"]) == (3.0, 2)


@pytest.mark.parametrize(
    ("weights", "found"),
    [
        (False, r"a PyTorch state_dict \(.*\): restore a sound copy, or start a new run with --resume false"),
        (True, "a checkpoint of a run, it lacks"),
    ],
)
def test_resuming_a_truncated_checkpoint_or_weights_is_refused_and_the_folder_released(
    tmp_path: Path, weights: bool, found: str
) -> None:
    build(tmp_path, epochs=1).run()
    models = tmp_path / "models"
    content = (models / "model.pt").read_bytes() if weights else (models / "last_checkpoint.pt").read_bytes()[:2000]
    (models / "last_checkpoint.pt").write_bytes(content)
    with pytest.raises(CheckpointError, match=rf"last_checkpoint\.pt is not {found}"):
        build(tmp_path, resume=True).run()
    assert (models / ".lock").read_text() == ""


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"trainer": {}}, "KeyError('epoch_length')"),
        ({"trainer": 5}, "TypeError("),
        ({"best_metric": "good"}, "ValueError("),
        ({"log": ["{"]}, "JSONDecodeError("),
        ({"log": [5]}, "TypeError("),
    ],
)
def test_resuming_a_checkpoint_with_other_entries_is_refused(tmp_path: Path, change: dict, found: str) -> None:
    build(tmp_path, epochs=1).run()
    last = tmp_path / "models" / "last_checkpoint.pt"
    checkpoints.save({**checkpoints.load(last), **change}, last)
    fault = rf"last_checkpoint\.pt holds a damaged state of the run \({re.escape(found)}.*\): restore a sound copy, or"
    with pytest.raises(CheckpointError, match=fault):
        build(tmp_path, epochs=2, resume=True).run()


def test_a_run_outside_the_main_thread_leaves_signals_alone(tmp_path: Path) -> None:
    thread = threading.Thread(target=build(tmp_path, epochs=1).run)
    thread.start()
    thread.join(timeout=600)
    assert not thread.is_alive()
    assert len(rows(tmp_path)) == 1


@pytest.mark.parametrize("name", ["../x", "/x", "a/b", "."])
def test_a_variant_stays_in_the_folder_of_variants(tmp_path: Path, name: str) -> None:
    assert run_dir("out") == "out"
    assert run_dir(str(tmp_path), "a b") == str(tmp_path / "variants" / "a b")
    with pytest.raises(ConfigError, match=r"--variant '.*' cannot name a file: give a name"):
        run_dir(str(tmp_path), name)
