"""Trainings of the weights that bundles ship, in turns and over days: each goes on where it stopped.

    chrt -i 0 python -m tools.checks.train_weights --out RUNS --data DATA --minutes 60 ldct_chest

A training gets ``--minutes`` and one thread, then it is stopped, which saves it; the same command continues it bit for
bit. ``trainings.py`` has a row for each. A finished one whose row names weights is exported to its bundle's folder.
``RUNS/log.jsonl`` has a line for each turn: commit, minutes of processor time, epoch, losses, validation, size.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path
from time import gmtime, strftime
from typing import Any

from common.errors import path_option
from common.training.handlers import LOG_NAME
from common.weights.checkpoints import RESUME_NAME
from common.weights.info import commit_of
from medical_image_synthesis import shipping
from tools.checks.train_weights.trainings import TRAININGS, Training
from tools.demo import command
from tools.repository import ROOT

QUEUE_LOG = "log.jsonl"
STOPPED = [128 + number for number in (signal.SIGTERM, signal.SIGINT)]
"""Exit codes of a training that was stopped and saved itself."""


def training_command(training: Training, out: Path, data: Path) -> list[str]:
    """The command that starts a training in a folder, or continues the one that is there."""
    resume = json.dumps((out / training.run_name / "models" / RESUME_NAME).is_file())
    options = {**training.options, "output_dir": str(out), "variant": "", "resume": resume}
    words = [word for name, value in options.items() for word in (f"--{name}", value.replace("DATA", str(data)))]
    return command(training.bundle, "training", ["train", *training.overlays], *words)


def train(words: list[str], minutes: float) -> int:
    """Run a training to its end, or for some minutes; its exit code."""
    process = subprocess.Popen(words, cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"})
    try:
        return process.wait(minutes * 60)
    except subprocess.TimeoutExpired:
        process.terminate()
    except KeyboardInterrupt:
        pass  # the training got the signal too
    return process.wait()


def progress(log: Path) -> dict[str, float]:
    """The last epoch of a run and its last validation, by the names in its log; nothing before the first epoch."""
    found: dict[str, float] = {}
    if log.is_file():
        with open(log, newline="") as file:
            for row in csv.DictReader(file):
                found |= {name: float(value) for name, value in row.items() if value}
    return found


def minutes_before(log: Path, name: str) -> float:
    """Minutes of the earlier turns of a training."""
    lines = map(json.loads, log.read_text().splitlines() if log.is_file() else ())
    return sum((float(line["minutes"]) for line in lines if line["training"] == name), 0.0)


def turn(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """Train one for its minutes, export it if it is finished, and return the line of the log."""
    training, commit = TRAININGS[name], commit_of(ROOT)
    run = options.out / name / training.run_name
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    code = train(training_command(training, options.out / name, options.data), options.minutes)
    used = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before
    about = {"time": strftime("%Y-%m-%d %H:%M", gmtime()), "training": name, "commit": commit, "exit_code": code}
    about |= {"minutes": round(used / 60, 1), **progress(run / LOG_NAME)}
    if code == 0 and training.weights:
        minutes = round(used / 60 + minutes_before(options.out / QUEUE_LOG, name), 1)
        made = {"command": f"python -m tools.checks.train_weights {name}", "minutes": minutes}
        path = shipping.export(ROOT / "bundles" / training.bundle, run, name=training.weights, training=made)
        about |= {"weights": path.name, "bytes": path.stat().st_size}
    return about


def main() -> int:
    """Give each training its turn; 1 if one failed."""
    parser = argparse.ArgumentParser(prog="python -m tools.checks.train_weights", description=__doc__)
    parser.add_argument("trainings", nargs="+", choices=list(TRAININGS), metavar="TRAINING", help=", ".join(TRAININGS))
    parser.add_argument("--out", type=path_option, required=True, help="folder of the runs")
    parser.add_argument("--data", type=path_option, required=True, help="DATA in the rows")
    parser.add_argument("--minutes", type=float, default=60.0, help="for each training (default: %(default)s)")
    options = parser.parse_args()
    options.out, options.data = options.out.resolve(), options.data.resolve()
    options.out.mkdir(parents=True, exist_ok=True)
    failed = False
    for name in options.trainings:
        line = json.dumps(about := turn(name, options))
        with open(options.out / QUEUE_LOG, "a") as file:
            file.write(line + "\n")
        print(line)
        failed |= about["exit_code"] not in (0, *STOPPED)
        if about["exit_code"] == STOPPED[1]:
            break
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
