"""Training from Python: a process of its own, whose lines are heard, whose mistakes are raised, and which is saved."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import medical_image_synthesis as mis
from common.errors import DataError, TrainingError
from medical_image_synthesis import training
from medical_image_synthesis.catalogue import bundle_named

TINY = {"max_epochs": 2, "samples_per_epoch": 4, "val_interval": 1, "batch_size": 2, "depth": 3, "width": 4}


def saying(code: str, monkeypatch) -> list[Any]:
    """Let a run be a program of these lines; gives what it was started with."""
    asked: list[Any] = []

    def start(*words: Any) -> subprocess.Popen[str]:
        asked.append(words)
        pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        return subprocess.Popen([sys.executable, "-u", "-c", code], start_new_session=True, **pipes)

    monkeypatch.setattr(training, "started_bundle", start)
    return asked


def test_lines_are_heard_with_the_share_of_the_epochs(monkeypatch, tmp_path) -> None:
    asked = saying("print('data: 4 cases\\n\\nepoch 1/4: loss 3\\nepoch 2/4: loss 2')", monkeypatch)
    heard: list[Any] = []
    settings = {"losses__l1__weight": 2, "pretrained": True, "dataset_dir": Path("DATA"), "spacing": [2, 2, 2]}
    run = mis.train("mr2ct", output_dir=tmp_path, progress=lambda *said: heard.append(said), **settings)
    assert heard == [("data: 4 cases", None), ("epoch 1/4: loss 3", 0.25), ("epoch 2/4: loss 2", 0.5)]
    ((bundle, run_id, files, options),) = asked
    assert (bundle.short, run_id, [Path(file).name for file in files]) == ("mr2ct", "training", ["train.yaml"])
    assert options == {
        "output_dir": str(tmp_path),
        "losses::l1::weight": "2",
        "pretrained": "true",
        "dataset_dir": "DATA",
        "spacing": "[2, 2, 2]",
    }
    assert (run.folder, run.weights) == (tmp_path, tmp_path / "models" / "model.pt")


@pytest.mark.parametrize(
    ("settings", "folder"),
    [
        ({"overlay": "no_adversarial"}, "variants/no_adversarial"),
        ({"overlay": ["resenc"], "fold": 2}, "variants/resenc_fold_2"),
        ({"variant": "mine"}, "variants/mine"),
        ({"overlay": "pretrain"}, "pretraining"),
    ],
)
def test_the_run_of_a_variant_is_found_where_it_lies(settings, folder, monkeypatch, tmp_path) -> None:
    saying("", monkeypatch)
    assert mis.train("mr2ct", output_dir=tmp_path, **settings).folder == tmp_path / folder


def test_the_mistake_that_ends_a_run_is_raised_as_what_it_is(monkeypatch, tmp_path) -> None:
    lines = "\\nkind: DataError\\nerror: no cases at DATA: pass --dataset_dir DATA"
    saying(f"import sys; print('{lines}'); sys.exit(2)", monkeypatch)
    heard: list[str] = []
    with pytest.raises(DataError, match="^no cases at DATA: pass dataset_dir=DATA$"):
        mis.train("mr2ct", output_dir=tmp_path, progress=lambda line, share: heard.append(line))
    assert heard == ["error: no cases at DATA: pass --dataset_dir DATA"]
    saying("import os; print('epoch 1/2', flush=True); os.kill(os.getpid(), 9)", monkeypatch)
    with pytest.raises(TrainingError, match=r"^the run ended unexpectedly \(signal 9\), after: epoch 1/2$"):
        mis.train("mr2ct", output_dir=tmp_path)


@pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError])
def test_a_run_that_is_stopped_is_interrupted_once_and_waited_for(error, monkeypatch, tmp_path) -> None:
    saved = tmp_path / "saved"
    saying(
        "import signal, sys, time\n"
        "def save(*_):\n"
        "    print('x' * 200_000)\n"  # more than a pipe holds
        f"    open({str(saved)!r}, 'a').write('once ')\n"
        "    sys.exit(130)\n"
        "signal.signal(signal.SIGINT, save)\n"
        "print('epoch 1/9')\n"
        "time.sleep(60)",
        monkeypatch,
    )

    def stop(line: str, share: float | None) -> None:
        raise error

    with pytest.raises(error):
        mis.train("mr2ct", output_dir=tmp_path, progress=stop)
    assert saved.read_text() == "once "


def test_bad_data_is_refused_by_the_run_as_such(tmp_path, capfd) -> None:
    with pytest.raises(DataError, match="nowhere") as caught:
        mis.train("mr2ct", dataset_dir=tmp_path / "nowhere", output_dir=tmp_path / "out", max_epochs=1)
    assert "--" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


@pytest.mark.slow
def test_an_interrupted_training_goes_on_is_evaluated_and_loaded(scans, tmp_path) -> None:
    data = {"dataset_dir": tmp_path / "data"}
    bundle = bundle_named("mr2ct")
    bundle.join_path()
    from common.simulation.mr_ct_pairs import write_mr2ct

    write_mr2ct(tmp_path / "data", cases=4, spacing=5.0, seed=0)

    def interrupt(line: str, share: float | None) -> None:
        if share == 0.5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        mis.train("mr2ct", output_dir=tmp_path / "out", progress=interrupt, overlay="demo", **data, **TINY)
    heard: list[float] = []
    again = {"progress": lambda line, share: heard.append(share) if share else None, "resume": True}
    run = mis.train("mr2ct", output_dir=tmp_path / "out", overlay="demo", **again, **data, **TINY)
    assert heard[-1] == 1.0
    assert len(run.log) == 2
    scores = run.evaluate()
    assert {"model", "linear_fit"} <= set(scores["method"])
    model = mis.load(run)
    assert model.weights == run.weights
    assert model(scans / "T1.nii.gz").unit == "HU"
