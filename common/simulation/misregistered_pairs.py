"""Pairs whose target is misregistered on purpose, from a folder of registered pairs."""

from __future__ import annotations

from collections.abc import Hashable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.data import MetaTensor

from ..data.datalist import Item
from ..data.degraded_pairs import MASKS, PairFolders, save_volume
from ..data.layouts.data_sets import find_cases
from ..io import VolumeReader
from .corruptions.misregistration import Misregisterd

RECORD = "misregistered.json"
LABEL = "label"
KEYS = (LABEL, *MASKS)


def write_misregistered(
    dataset_dir: Path,
    out: Path,
    source: str,
    target: str,
    shift: float = 2.0,
    warp: float = 0.0,
    smoothness: float = 30.0,
    seed: int = 0,
    reader: VolumeReader | None = None,
    overwrite: bool = False,
) -> int:
    """Write pairs as ``out/<case>/<source>.nii.gz`` as given and ``<target>.nii.gz`` moved, and return their number.

    Masks and regions are those of the target and move along. Volumes keep their grids, float32, masks uint8; of the
    headers nothing but the grid is kept, since others may hold a name. ``misregistered.json`` has the settings.

    Args:
        dataset_dir: of registered pairs, ``<case>/<name>.nii.gz`` or a folder of DICOM.
        out: folder of the cases.
        source: name of the volume that stays, without suffix.
        target: name of the volume that is moved, without suffix.
        shift: length of the translation in mm; amounts as of :class:`.corruptions.misregistration.Misregisterd`.
        warp: root mean square length of the warp in mm.
        smoothness: of the warp in mm.
        seed: what is drawn for a case depends on it and on the case's name.
        reader: of the files.
        overwrite: replace cases that exist.

    Raises:
        ConfigError: an amount is out of its range.
        DataError: no cases, or a volume cannot be read.
        OutputError: a folder exists already, or a file cannot be written.
    """
    step = Misregisterd(KEYS, shift, warp, smoothness, seed)
    pairs = PairFolders(RECORD, (f"{source}.nii.gz", f"{target}.nii.gz"))
    items = find_cases(dataset_dir, "folders", source=source, target=target)
    names = {"image": source, LABEL: target}
    write = partial(_write_pair, step=step, pairs=pairs, names=names, reader=reader or VolumeReader())
    pairs.write(items, out, write, overwrite, "misregister")
    return len(items)


def _write_pair(
    item: Item, folder: Path, step: Misregisterd, pairs: PairFolders, names: dict[str, str], reader: VolumeReader
) -> None:
    case = str(item["case"])
    scans = {key: reader.read(item[key], case) for key in ("image", *KEYS) if key in item}
    given: dict[Hashable, Any] = {"case": case}
    for key, scan in scans.items():
        given[key] = MetaTensor(torch.from_numpy(scan.values[None].copy()), affine=torch.from_numpy(scan.affine))
    made = step(given)
    settings = {name: getattr(step, name) for name in ("shift", "warp", "smoothness", "seed")}
    text = f"SIMULATED misregistration: shift {step.shift:g} mm, warp {step.warp:g} mm"
    for key, scan in scans.items():
        values, path = np.asarray(made[key][0]), folder / f"{names.get(key, key)}.nii.gz"
        if key in MASKS:
            save_volume(item[key], scan.affine, values > 0, path, text, "uint8")
        else:
            save_volume(item[key], scan.affine, values, path, "as given" if key == "image" else text)
    pairs.write_record(folder, {"description": text, "case": case, **names, **settings})
