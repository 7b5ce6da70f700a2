"""The published GAN beside its plain network, the residual-encoder U-Net and the flow, on equal processor time.

Every row is trained at the demo's sizes for the same seconds of a processor: a first, short training measures what an
epoch takes, and the number of epochs follows. Then all are evaluated together, the flow in 1, 3 and 10 steps.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from common.evaluation.methods import variants
from common.files import write_text
from common.running_config import read_config
from common.weights_info import sidecar
from tools.demo import command, run_all
from tools.repository import ROOT, config_path, own_settings, trained_overlays

BUNDLES = ("mr2ct_pix2pix", "mri2pet_sketcher_refiner", "pd2t2_dcgan_acm")
ROWS = ("train", "no_adversarial", "resenc", "flow")
STEPS = (1, 10)
"""Of the flow, besides those that it was trained with."""
CALIBRATION = (1, 3)
"""Epochs of the two short trainings, whose difference is what an epoch takes without its start."""
COLUMNS = ("mae", "psnr", "ssim", "hfen", "sharpness", "bone_dice", "lesion_error")


class Budget(NamedTuple):
    """What a row was trained for."""

    epochs: int
    seconds: float


def epochs_of(bundle: str, epochs: int) -> list[str]:
    """Options of a training of so many epochs in all stages, the second half of each with falling rates."""
    stages = own_settings(bundle, "train").get("stages", 1)
    each = max(1, epochs // stages)
    falling = each // 2
    given = {"max_epochs": each, "constant_epochs": each - falling, "decay_epochs": falling, "val_interval": each}
    return [word for name, value in given.items() for word in (f"--{name}", str(value))]


def train(bundle: str, row: str, epochs: int, *options: str) -> float:
    """Train a row; the seconds of processor time that it took.

    Raises:
        SystemExit: with the exit code of a training that failed.
    """
    configs = ["train", "demo"] if row == "train" else ["train", "demo", row]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    if code := run_all([command(bundle, "training", configs, *epochs_of(bundle, epochs), *options)]):
        raise SystemExit(code)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def budget(bundle: str, row: str, seconds: float, folder: Path, *options: str) -> int:
    """Epochs of all stages that take the seconds."""
    taken = [train(bundle, row, epochs, "--output_dir", str(folder / str(epochs)), *options) for epochs in CALIBRATION]
    each = (taken[1] - taken[0]) / (CALIBRATION[1] - CALIBRATION[0])
    return max(2, round(seconds / max(each, 0.1)))


def other_steps(output_dir: Path) -> None:
    """Copies of the trained flow that take other numbers of steps."""
    flow = variants(output_dir).get("flow")
    for steps in STEPS if flow is not None else ():
        assert flow is not None
        folder = flow.parents[1].with_name(f"flow_{steps}_steps")
        shutil.copytree(flow.parents[1], folder, dirs_exist_ok=True)
        about = sidecar(folder / "models" / flow.name)
        told: dict[str, Any] = json.loads(about.read_text())
        told["settings"]["steps"] = steps
        about.write_text(json.dumps(told))


def table(summaries: Sequence[Path]) -> pd.DataFrame:
    """Means over the cases, a line for each method, seeds side by side as lowest and highest."""
    frames = []
    for path in summaries:
        methods = json.loads(path.read_text())
        rows = {name: {key: row[key]["mean"] for key in COLUMNS if key in row} for name, row in methods.items()}
        frames.append(pd.DataFrame(rows).T)
    low, high = (pd.concat(frames).groupby(level=0, sort=False).agg(kind) for kind in ("min", "max"))
    shown = low.map(lambda value: f"{value:.4g}")
    if len(frames) > 1:
        shown = shown + " to " + high.map(lambda value: f"{value:.4g}")
    return shown


def main(arguments: Sequence[str]) -> int:
    """Train, evaluate, print the table."""
    parser = argparse.ArgumentParser(prog="python -m tools.compare", description=__doc__)
    parser.add_argument("bundle", choices=BUNDLES)
    parser.add_argument("--minutes", type=float, default=10, help="of processor time for each training")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--rows", nargs="+", default=list(ROWS), choices=["train", *_overlays()])
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "compare")
    given = parser.parse_args(arguments)
    start, folder = time.monotonic(), given.out / given.bundle
    data = ["--demo_data", str(folder / "data")]
    if not (folder / "data").is_dir():  # before the first training, whose time would be that of the phantoms too
        read_config([str(config_path(given.bundle, "train"))]).get_parsed_content("phantoms")(folder / "data")
    calibration, seconds = folder / "calibration", 60 * given.minutes
    epochs = {row: budget(given.bundle, row, seconds, calibration / row, *data) for row in given.rows}
    trained: dict[str, dict[str, Budget]] = {}
    for seed in given.seeds:
        out, own = folder / f"seed_{seed}", {}
        for row in given.rows:
            taken = train(given.bundle, row, epochs[row], "--output_dir", str(out), "--seed", str(seed), *data)
            own[row] = Budget(epochs[row], round(taken))
        trained[str(seed)] = own
        other_steps(out)
        evaluating = command(given.bundle, "evaluating", ["train", "evaluate"], "--output_dir", str(out), *data)
        if code := run_all([evaluating]):
            return code
    made = table([folder / f"seed_{seed}" / "evaluation" / "summary.json" for seed in given.seeds])
    write_text(folder / "table.csv", made.to_csv())
    print(f"\n{given.bundle}, {len(given.seeds)} seeds, {time.monotonic() - start:.0f} s\n{made.to_string()}")
    for seed, rows in trained.items():
        told = ", ".join(f"{row} {each.epochs} epochs in {each.seconds} s" for row, each in rows.items())
        print(f"seed {seed}: {told}")
    return 0


def _overlays() -> list[str]:
    return sorted({name for bundle in BUNDLES for name in trained_overlays(bundle)})


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
