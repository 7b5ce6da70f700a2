"""Calibration of the weights that a bundle ships, on simulated heads that their training did not see."""

from __future__ import annotations

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import nibabel as nib
import numpy as np
from monai.bundle.config_parser import ConfigParser

from common.config import read_config
from common.data.datalist import Item
from common.data.split_record import DATALIST_NAME, SplitRecord
from common.errors import CheckpointError, ConfigError
from common.raw_settings import references
from common.seeds import derive
from common.simulation.simulate import held_out
from common.trust.record import path_of
from common.weights import checkpoints
from common.weights.info import SIMULATED, read_info, sidecar
from common.weights.safe_settings import require_safe
from common.weights.shipped import shipped_weights

HEADS = 16


def calibrate(bundle: Path, label_maps: Path | None = None, heads: int = HEADS, name: str | None = None) -> Path:
    """Calibrate weights, and write the file next to them.

    The heads are those that the pretraining keeps for validation, rendered by its simulation with other seeds: any
    contrast, resolution and artefact that the weights were trained on counts as usual.

    Args:
        bundle: the bundle's folder.
        label_maps: folder of maps of individual heads; None for deformations of the average head.
        heads: how many.
        name: file name of the weights; None for ``shipped_weights`` of the bundle.

    Returns:
        the path of the file.

    Raises:
        CheckpointError: there are no such weights, they were not exported from a pretraining, or this version cannot
            build the simulation that they name.
        ConfigError: the bundle has no such step.
        DataError: too few heads.
    """
    weights = bundle / "models" / name if name else shipped_weights(bundle)
    with TemporaryDirectory() as folder:
        own = _run("calibrating", weights, Path(folder), Drawn(3, heads, label_maps))
        shutil.move(path_of(own), path_of(weights))
    return path_of(weights)


def check(
    bundle: Path,
    label_maps: Path | None = None,
    heads: int = HEADS,
    name: str | None = None,
    spacing: float | None = None,
) -> None:
    """Print how well a calibration holds on other simulated heads; arguments of :func:`calibrate`.

    Args:
        spacing: of the pixels in mm, in place of those of the simulation.

    Raises:
        CheckpointError: there is no such file next to the weights; and see :func:`calibrate`.
    """
    weights = bundle / "models" / name if name else shipped_weights(bundle)
    with TemporaryDirectory() as folder:
        _run("checking", weights, Path(folder), Drawn(4, heads, label_maps, spacing))


class Drawn(NamedTuple):
    """Heads that are drawn: seed, number of heads, label maps, pixel size in mm."""

    seed: int
    heads: int
    label_maps: Path | None
    spacing: float | None = None


def _run(run_id: str, weights: Path, folder: Path, drawn: Drawn) -> Path:
    """Run a step of the bundle's evaluation on simulated heads, with a copy of the weights, whose path is returned."""
    bundle, run = weights.parents[1], folder / "run"
    own = run / "models" / checkpoints.WEIGHTS_NAME
    items = _written(weights, folder / "data", drawn)
    own.parent.mkdir(parents=True)
    for source, place in ((weights, own), (sidecar(weights), sidecar(own)), (path_of(weights), path_of(own))):
        if source.is_file():
            shutil.copy(source, place)
    SplitRecord({"test": items}, {}, {"root": SIMULATED}).write(run / DATALIST_NAME)
    options = {"output_dir": str(run), "datalist": str(run / DATALIST_NAME), "section": "test"}
    configs = [bundle / "configs" / f"{part}.yaml" for part in ("train", "evaluate")]
    if run_id not in ConfigParser.load_config_files([str(path) for path in configs]):
        raise ConfigError(f"{bundle.name} has no run id {run_id}", "choose a translation bundle")
    read_config(configs, bundle_root=str(bundle), **options).get_parsed_content(run_id)
    return own


def _written(weights: Path, folder: Path, drawn: Drawn) -> list[Item]:
    """Cases of the simulation that weights were trained on, as files."""
    about = read_info(weights).metadata
    if "simulation" not in about:
        raise CheckpointError(f"{sidecar(weights)} names no simulation", "export the weights by synthesize export")
    simulation: dict[str, Any] = about["simulation"]
    if drawn.spacing is not None:
        simulation["heads"]["spacings_mm"] = [drawn.spacing]
    maps = drawn.label_maps and str(drawn.label_maps)
    settings = {**about["config"], "simulation": simulation, "label_maps": maps}
    needed = {name: settings[name] for name in references(settings, ["simulation"]) if name in settings}
    require_safe(needed, str(sidecar(weights)))
    try:
        simulate = held_out(ConfigParser(settings).get_parsed_content("simulation"))
    except (ImportError, RuntimeError) as error:
        fault = f"{sidecar(weights)}: this version cannot build {simulation['_target_']} ({error})"
        raise CheckpointError(fault, "export the weights of a new pretraining") from error
    items: list[Item] = []
    for number in range(drawn.heads):
        case = simulate(derive(int(about["seed"]), 0, number, drawn.seed))
        own = folder / f"head_{number:03d}"
        own.mkdir(parents=True)
        item: Item = {"case": own.name}
        for key in ("image", "label", "mask"):
            item[key] = str(own / f"{key}.nii.gz")
            affine = np.diag([*case["spacing"], 1.0])
            nib.save(nib.nifti1.Nifti1Image(case[key].astype(np.float32), affine), item[key])
        items.append(item)
    return items
