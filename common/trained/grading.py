"""Verdicts of the weights that a bundle ships, graded on simulated heads that their training did not see."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import nibabel as nib
import numpy as np
from monai.bundle.config_parser import ConfigParser

from common import checkpoints
from common.data.datalist import Item
from common.data.split_record import DATALIST_NAME, SplitRecord
from common.errors import CheckpointError, ConfigError
from common.phantoms.simulate import held_out
from common.quality import record
from common.running_config import read_config
from common.seeds import derive
from common.weights_info import PRETRAINED_NAME, SIMULATED, read_info, sidecar

GRADED_CASES = 16
GRADING = "grading"
GREY_LEVELS = 1000.0
"""Of the brightest level of a simulated MR, which is 1, in the files that are graded."""


def grade(bundle: Path, label_maps: Path | None = None, cases: int = GRADED_CASES, name: str = PRETRAINED_NAME) -> Path:
    """Write ``models/pretrained_quality.json``: verdicts for what is inferred with the shipped weights.

    The heads are those that the pretraining keeps for validation, rendered by its simulation with other seeds: any
    contrast, resolution and artefact that the weights were trained on counts as usual.

    Args:
        bundle: the bundle's folder.
        label_maps: folder of maps of individual heads; None for deformations of the average head.
        cases: number of heads, each graded as it is and distorted.
        name: file name of the weights.

    Returns:
        the path of the grading.

    Raises:
        CheckpointError: there are no such weights, or they were not exported from a pretraining.
        ConfigError: the bundle has no verdicts.
        DataError: too few cases.
    """
    weights = bundle / "models" / name
    about = read_info(weights).told
    if "simulation" not in about:
        rule, remedy = "tells the simulation it was trained on", "export it by python -m common.trained export"
        raise CheckpointError(str(sidecar(weights)), rule, "none", remedy)
    settings = {**about["config"], "simulation": about["simulation"], "label_maps": label_maps and str(label_maps)}
    simulate = held_out(ConfigParser(settings).get_parsed_content("simulation"))
    with TemporaryDirectory() as folder:
        run, data = Path(folder, "run"), Path(folder, "data")
        (run / "models").mkdir(parents=True)
        own = run / "models" / checkpoints.WEIGHTS_NAME
        for source, place in ((weights, own), (sidecar(weights), sidecar(own))):
            shutil.copy(source, place)
        items = _write(simulate, data, cases, int(about["seed"]))
        SplitRecord({"test": items}, {}, {"root": SIMULATED}).write(run / DATALIST_NAME)
        options = {
            "bundle_root": str(bundle),
            "output_dir": str(run),
            "datalist": str(run / DATALIST_NAME),
            "section": "test",
        }
        parser = read_config([bundle / "configs" / f"{part}.yaml" for part in ("train", "evaluate")], **options)
        if GRADING not in parser:
            raise ConfigError("--bundle", f"has the run id {GRADING}", bundle.name, "choose a translation bundle")
        parser.get_parsed_content(GRADING)
        path = record.path_of(weights)
        shutil.move(record.path_of(own), path)
    return path


def _write(simulate: Callable[[int], dict[str, np.ndarray]], folder: Path, cases: int, seed: int) -> list[Item]:
    """Cases of a simulation as files."""
    items: list[Item] = []
    for number in range(cases):
        drawn = simulate(derive(seed, 0, number, 3))
        own = folder / f"head_{number:03d}"
        own.mkdir(parents=True)
        drawn["image"] = GREY_LEVELS * drawn["image"]
        item: Item = {"case": own.name}
        for key in ("image", "label", "mask"):
            item[key] = str(own / f"{key}.nii.gz")
            affine = np.diag([*drawn["spacing"], 1.0])
            nib.save(nib.nifti1.Nifti1Image(drawn[key].astype(np.float32), affine), item[key])
        items.append(item)
    return items
