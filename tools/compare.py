"""The published GAN beside its plain network, the residual-encoder U-Net and the flow, on equal processor time.

Every row is trained at the demo's sizes for the same seconds of a processor: a first, short training measures what an
epoch takes, and the number of epochs follows. Then all are evaluated together, the flow in 1, 3 and 10 steps, and
inference is timed: processor seconds of a volume on one thread, and the peak memory of the command. What is trained is
kept in `trained.json` next to the table: the same command again goes on where it was, and may add seeds and rows.

`--options "--dataset_dir DATA"` go to training and evaluation, here of cases of your own; then without the costs, and
with `--task OVERLAY` for another task of the bundle.
"""

from __future__ import annotations

import argparse
import json
import resource
import shlex
import shutil
import sys
import time
from collections import UserDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from common.config import read_config
from common.evaluation.methods import variants
from common.files import write_text
from common.weights.info import sidecar
from tools.bench.memory import use_of
from tools.demo import command, run_all
from tools.repository import ROOT, config_path, own_settings, trained_overlays

BUNDLES = ("ldct_wgan_vgg", "mr2ct_pix2pix", "mri2pet_sketcher_refiner", "mri_dagan", "pd2t2_dcgan_acm")


class Row(NamedTuple):
    """A training: overlays of ``train`` and ``demo``, and options of its own."""

    overlays: tuple[str, ...] = ()
    options: tuple[str, ...] = ()


ROWS = {
    "train": Row(),
    "no_adversarial": Row(("no_adversarial",)),
    **{name: Row((name,)) for name in ("no_perceptual", "mse", "red_cnn", "residual_gan")},
    "resenc": Row(("resenc",)),
    "resenc_3d": Row(("resenc_3d",)),
    "resenc_slabs": Row(("resenc",), ("--variant", "resenc_slabs", "--neighbours", "3", "--patch_size", "[64,64,8]")),
    "flow": Row(("flow",)),
    "fine_tuned": Row((), ("--variant", "fine_tuned", "--pretrained", "true", "--learning_rate", "5.0e-4")),
}
BY_NAME = ("fine_tuned",)
"""Rows that only ``--rows`` trains: the weights in ``models/pretrained.pt`` need not have the demo's network."""
STEPS = (1, 10)
"""Of the flow, besides those that it was trained with."""
CALIBRATION = (1, 3)
"""Epochs a stage of the two short trainings, whose difference is what an epoch takes without its start."""
LEAST_SHARE = 1 / 30
"""Of the budget that this difference takes; the start of a training varies by seconds, so that short epochs are told
from longer trainings."""
COLUMNS = ("mae", "psnr", "ssim", "hfen", "sharpness", "tissue_dice", "bone_dice", "lesion_error", "lesion_contrast",
    "noise_hu", "nps_mean_frequency", "mtf50", "nmae", "contrast_recovery", "false_structures",
    "missed_structures")  # fmt: skip


class Budget(NamedTuple):
    """What a row was trained for: epochs of each stage, seconds of all."""

    epochs: int
    seconds: int


def epochs_of(epochs: int) -> list[str]:
    """Options of a training of so many epochs a stage, the second half of them with falling rates."""
    falling = epochs // 2
    given = {
        "max_epochs": epochs,
        "constant_epochs": epochs - falling,
        "decay_epochs": falling,
        "val_interval": epochs,
    }
    return [word for name, value in given.items() for word in (f"--{name}", str(value))]


def rows_of(bundle: str) -> list[str]:
    """Names of the rows that a bundle can train; slabs are an option where ``resenc`` takes patches."""
    overlays = trained_overlays(bundle)
    in_patches = "patch_size" in own_settings(bundle, "train")
    return [
        name
        for name, row in ROWS.items()
        if name not in BY_NAME
        and overlays.keys() >= set(row.overlays)
        and (in_patches or "--patch_size" not in row.options)
    ]


def train(bundle: str, task: Sequence[str], row: str, epochs: int, *options: str) -> float:
    """Train a row of a task, none or the name of its overlay; the seconds of processor time that it took.

    Raises:
        SystemExit: with the exit code of a training that failed.
    """
    configs, options = ["train", "demo", *task, *ROWS[row].overlays], (*ROWS[row].options, *options)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    if code := run_all([command(bundle, "training", configs, *epochs_of(epochs), *options)]):
        raise SystemExit(code)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def budget(bundle: str, task: Sequence[str], row: str, seconds: float, folder: Path, *options: str) -> int:
    """Epochs a stage that take the seconds."""

    def taken(epochs: int) -> float:
        return train(bundle, task, row, epochs, "--output_dir", str(folder / str(epochs)), *options)

    least, epochs = CALIBRATION
    start = taken(least)
    while (more := taken(epochs) - start) < LEAST_SHARE * seconds:
        epochs *= 4
    return max(1, round(seconds * (epochs - least) / more))


class Trained(UserDict[str, Budget]):
    """What was calibrated and trained, by name, in a file that is written after each training."""

    def __init__(self, path: Path) -> None:
        known = json.loads(path.read_text()) if path.exists() else {}
        super().__init__({name: Budget(*each) for name, each in known.items()})
        self.path = path

    def __setitem__(self, name: str, budget: Budget) -> None:
        super().__setitem__(name, budget)
        if hasattr(self, "path"):
            write_text(self.path, json.dumps(self.data, indent=4))


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


def costs(bundle: str, out: Path, data: Path) -> pd.DataFrame:
    """Seconds a volume and peak memory in GB of the inference of every trained method, a line for each.

    The start of a command is what one case takes less a volume, so that it does not count.
    """
    one, cases = out / "one_case", sorted(path for path in data.iterdir() if path.is_dir())
    if not one.exists():
        shutil.copytree(cases[0], one / cases[0].name)
    rows = {}
    for name in ("model", *variants(out)):
        used = []
        for folder in (one, data):
            own = [] if name == "model" else ["--variant", name]
            places = ["--dataset_dir", str(folder), "--output_dir", str(out), "--overwrite", "true"]
            words = command(bundle, "inference", ["inference"], *places, *own)[1:]
            used.append(use_of(words, log := out / "inference.log"))
            if used[-1].code:
                raise SystemExit(f"inference of {name} failed; see {log}")
        seconds = (used[1].seconds - used[0].seconds) / (len(cases) - 1)
        rows[name] = {"seconds": f"{seconds:.2f}", "memory": f"{used[1].peak:.2f}"}
    return pd.DataFrame(rows).T


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
    parser.add_argument("--rows", nargs="+", help="of the table (default: all that the bundle has)")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "compare")
    parser.add_argument("--task", nargs=1, default=[], help="overlay of another task of the bundle, with its own data")
    parser.add_argument("--options", type=shlex.split, default=[], help="of training and evaluation, in quotes")
    given = parser.parse_args(arguments)
    rows = given.rows or rows_of(given.bundle)
    if unknown := set(rows) - set(known := [*rows_of(given.bundle), *BY_NAME]):
        parser.error(f"--rows: are of {', '.join(known)}, but got {', '.join(sorted(unknown))}")
    start, folder = time.monotonic(), given.out / given.bundle
    on_phantoms = not {"--dataset_dir", "--datalist"} & set(given.options)
    if given.task and on_phantoms:
        parser.error("--task: needs cases of your own, by --options '--datalist FILE'")
    data = ["--demo_data", str(folder / "data"), *given.options] if on_phantoms else given.options
    if (
        on_phantoms and not (folder / "data").is_dir()
    ):  # before the first training, whose time would be that of the phantoms too
        read_config([str(config_path(given.bundle, "train"))]).get_parsed_content("phantoms")(folder / "data")
    calibration, seconds, record = folder / "calibration", 60 * given.minutes, Trained(folder / "trained.json")
    trained: dict[str, dict[str, Budget]] = {}
    for seed in given.seeds:
        out, own = folder / f"seed_{seed}", {}
        for row in rows:
            planned = f"{row}, {given.minutes:g} minutes"
            done = f"{planned}, seed {seed}"
            if planned not in record:
                epochs = budget(given.bundle, given.task, row, seconds, calibration / row, *data)
                record[planned] = Budget(epochs, round(seconds))
            if done not in record:
                epochs = record[planned].epochs
                options = ["--output_dir", str(out), "--seed", str(seed), *data]
                record[done] = Budget(epochs, round(train(given.bundle, given.task, row, epochs, *options)))
            own[row] = record[done]
        trained[str(seed)] = own
        other_steps(out)
        configs = ["train", "evaluate", *given.task]
        if code := run_all([command(given.bundle, "evaluating", configs, "--output_dir", str(out), *data)]):
            return code
    made = table([folder / f"seed_{seed}" / "evaluation" / "summary.json" for seed in given.seeds])
    if on_phantoms:
        made = made.join(costs(given.bundle, folder / f"seed_{given.seeds[-1]}", folder / "data"))
    write_text(folder / "table.csv", made.to_csv())
    print(f"\n{given.bundle}, {len(given.seeds)} seeds, {time.monotonic() - start:.0f} s\n{made.to_string()}")
    for seed, budgets in trained.items():
        told = ", ".join(f"{row} {each.epochs} epochs in {each.seconds} s" for row, each in budgets.items())
        print(f"seed {seed}: {told}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
