"""MR to MR of three patients, each left out in turn: networks trained equally long on the two others, and a line.

``python -m tools.checks.real.turns --minutes 10 --out DIR``: 27 trainings by the bundle's own commands, each of so many
minutes of one core's processor time, start included; a training that DIR has of so many minutes is not repeated. With
``--konfai``, the command of an environment of ``konfai[itk,smp]==1.8.7``, that rival is trained as long for each task
of one source. Three patients are too few for statistics.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from mr2ct_pix2pix.lesions import FlairLesions

from common.metrics import mae, psnr, ssim
from common.metrics.masked import Mask, Volume
from common.transforms import head_mask
from tools.checks.real import peer
from tools.checks.real.images import fitted, infer, read, standardised
from tools.checks.real.limited import run_limited
from tools.demo import command
from tools.repository import ROOT

DATA = ROOT.parent / "shared" / "data" / "open_ms"
BUNDLE = "mr2ct_pix2pix"
TASKS = {"T1 and T2 to FLAIR": ("t1,t2", "flair"), "T1 to T2": ("t1", "t2"), "T2 to FLAIR": ("t2", "flair")}
"""Source and target."""
NARROW = {"network_def::features": "[16,16,32,64,128,16]", "width": 16}
METHODS: dict[str, tuple[list[str], dict[str, Any]]] = {
    "GAN": (["flair"], NARROW),
    "BasicUNet": (["flair"], {**NARROW, "losses::adversarial::weight": 0}),
    "resenc": (
        ["flair", "resenc"],
        {"width": 16, "data::fold": "null", "network_def::in_channels": "$@channels*@neighbours"},
    ),
}
"""Overlays and settings: the GAN, its generator (of MONAI) by L1 alone, nnU-Net's residual encoder."""
PEER = "KonfAI"
SETTINGS = {
    "max_epochs": 10000, "constant_epochs": 10000, "samples_per_epoch": 80, "keep": "last", "batch_size": 4,
    "learning_rate": 1.0e-3, "ema_decay": 0.995, "data_check": "false", "pad_size": 192, "crop_size": 128,
}  # fmt: skip
"""An epoch is twenty updates, since one that is cut off is lost."""
Z_RANGE = (-3.0, 8.0)


def trained(task: str, method: str, held_out: str, folder: Path, minutes: float) -> Path:
    """The weights of a method that saw the others, trained for so long."""
    weights, ended = folder / "models" / "model.pt", folder / "ended"
    if ended.exists():
        return weights
    folder.mkdir(parents=True, exist_ok=True)
    seen = [item(task, place) for name, place in patients().items() if name != held_out]
    (folder / "cases.json").write_text(json.dumps({"training": seen}))
    source, target = TASKS[task]
    overlays, own = METHODS[method]
    settings = {**SETTINGS, **own, "datalist": folder / "cases.json", "output_dir": folder, "run_dir": folder}
    settings |= {"data::source": source, "data::target": target, "channels": source.count(",") + 1}
    words = [word for key, value in settings.items() for word in (f"--{key}", str(value))]
    run_limited(command(BUNDLE, "training", ["train", *overlays], *words), ROOT, minutes, weights.is_file)
    ended.touch()
    return weights


def of_peer(konfai: Path, task: str, held_out: str, folder: Path, minutes: float) -> Volume:
    """The image (X, Y, Z) of a patient by KonfAI, trained on the others for so long."""
    source, target = TASKS[task]
    for name, place in patients().items():
        files = {"SOURCE": place / f"{source}.nii.gz", "TARGET": place / f"{target}.nii.gz"}
        mask = head_mask(read(files["SOURCE"]), None, axial=2, case=name)
        if name == held_out:
            peer.write_case(folder / "Test" / name, {"SOURCE": files["SOURCE"]}, mask)
        else:
            peer.write_case(folder / "Dataset" / name, files, mask)
    if not (ended := folder / "ended").exists():
        peer.train(konfai, folder, minutes)
        ended.touch()
    return peer.predicted(konfai, folder)


def patients() -> dict[str, Path]:
    """The folder of each by its name."""
    return {path.name: path for path in sorted(DATA.glob("patient*"))}


def item(task: str, folder: Path) -> dict[str, Any]:
    """A case of a datalist."""
    source, target = TASKS[task]
    files = [str(folder / f"{name}.nii.gz") for name in (*source.split(","), target, "lesions")]
    return {"case": folder.name, "image": files[:-2], "label": files[-2], "lesion": files[-1]}


def line(task: str, held_out: str) -> Volume:
    """The weighted sum of the sources and a constant that is nearest to the target of the others."""
    sources, wanted = [], []
    for name in (name for name in patients() if name != held_out):
        images, truth, mask = z_scores(task, name)
        sources.append(np.stack([*(image[mask] for image in images), np.ones(mask.sum())]))
        wanted.append(truth[mask])
    *weights, constant = np.linalg.lstsq(np.concatenate(sources, 1).T, np.concatenate(wanted))[0]
    images = z_scores(task, held_out)[0]
    return np.asarray(sum(weight * image for weight, image in zip(weights, images, strict=True)) + constant)


def z_scores(task: str, patient: str) -> tuple[list[Volume], Volume, Mask]:
    """Sources and target (X, Y, Z) of a patient in z-scores inside the head, which is found in the first source."""
    folder, (source, target) = patients()[patient], TASKS[task]
    images = [read(folder / f"{name}.nii.gz") for name in source.split(",")]
    mask = head_mask(images[0], None, axial=2, case=patient)
    return [standardised(image, mask) for image in images], standardised(read(folder / f"{target}.nii.gz"), mask), mask


def scores(task: str, patient: str, image: Volume) -> dict[str, float]:
    """Of an image after the line that fits it to the truth, since grey scales of MR are arbitrary."""
    _, truth, mask = z_scores(task, patient)
    shown = fitted(image, truth, mask)
    found = {"MAE, z": mae(shown, truth, mask)}
    found |= {"PSNR, dB": psnr(shown, truth, mask, Z_RANGE), "SSIM": ssim(shown, truth, mask, Z_RANGE)}
    if TASKS[task][1] == "flair":
        lesion = (read(patients()[patient] / "lesions.nii.gz") > 0) & mask
        lists = {"training": [item(task, folder) for name, folder in patients().items() if name != patient]}
        dice = FlairLesions(lists)(shown, truth, mask, lesion)
        bright = standardised(image, mask)[lesion].mean() / truth[lesion].mean()
        found |= {"lesion contrast of the real": float(bright), "lesion Dice": dice["lesion_dice"]}
        found |= {"lesion Dice of the real": dice["lesion_dice_truth"]}
    return found


def main() -> None:
    """Train what is not there yet, and print and write the means over the patients."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10, help="of a training")
    parser.add_argument("--task", choices=TASKS, action="append", help="one of several (default: all)")
    parser.add_argument("--konfai", type=Path, help="its command")
    parser.add_argument("--out", type=Path, required=True, help="folder of trainings and scores.json")
    options = parser.parse_args()
    rows: dict[str, list[dict[str, float]]] = {}
    for task in options.task or TASKS:
        for patient, folder in patients().items():
            rows.setdefault(f"{task}: line", []).append(scores(task, patient, line(task, patient)))
            for method in [*METHODS, *([PEER] if options.konfai and "," not in TASKS[task][0] else [])]:
                name = f"{task} {method} {patient} {options.minutes:g}"
                out = options.out.resolve() / name.replace(" ", "_")
                if method == PEER:
                    image = of_peer(options.konfai.absolute(), task, patient, out, options.minutes)
                else:
                    weights = trained(task, method, patient, out, options.minutes)
                    (out / "test.json").write_text(json.dumps({"test": [item(task, folder)]}))
                    image = infer(BUNDLE, out / "test.json", out, weights)[0][patient]
                rows.setdefault(f"{task}: {method}", []).append(scores(task, patient, image))
                (options.out / "scores.json").write_text(json.dumps(rows, indent=1))
    for name, each in rows.items():
        print(name, *(f"{metric} {np.mean([row[metric] for row in each]):.3f}" for metric in each[0]), sep=" | ")


if __name__ == "__main__":
    main()
