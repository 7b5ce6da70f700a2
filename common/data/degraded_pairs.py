"""Folders of cases that a command writes from given volumes: pairs of a degraded volume and the given one."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from ..case_keys import REGIONS
from ..errors import OutputError, VolumeError, Where
from ..files import require_own_folder, write_text, write_whole_folder
from ..io import VolumeReader
from ..io.export.nifti import save_like, save_on
from ..io.reader import NIFTI
from .checks.volumes import CheckedVolume, plausible_hu
from .datalist import Item
from .layouts.folders import DEFAULT_MASK

MASKS = (DEFAULT_MASK, *REGIONS)
WriteCase = Callable[[Item, Path], None]


@dataclass(frozen=True)
class PairFolders:
    """Content of the folder of a written case.

    Args:
        record: name of the JSON file with its settings, by which a folder is known as one of ours.
        files: names of all other files that may be there, except those of masks.
    """

    record: str
    files: tuple[str, ...]

    def is_own(self, folder: Path) -> bool:
        """Whether such a command wrote everything in a folder."""
        known = {self.record, *self.files, *(f"{name}.nii.gz" for name in MASKS)}
        names = {path.name for path in folder.iterdir()}
        return self.record in names and names <= known

    def write(self, items: Sequence[Item], out: Path, write_case: WriteCase, overwrite: bool, about: str) -> None:
        """Write the folder of each case, whole or not at all.

        Args:
            items: with ``case``.
            out: folder of the folders of cases.
            write_case: writes what belongs into the folder of an item.
            overwrite: replace cases that exist.
            about: what is made, next to the progress.

        Raises:
            OutputError: naming a folder that exists, unless it is to be replaced and is one of ours; nothing is
                computed then.
        """
        folders = [out / str(item["case"]) for item in items]
        for folder in folders:
            if os.path.lexists(folder) and not overwrite:
                raise OutputError(f"{folder} already exists", "pass --overwrite or another --out")
            require_own_folder(folder, self.is_own)
        for item, folder in zip(tqdm(items, desc=about, unit="case", disable=None), folders, strict=True):
            write_whole_folder(folder, partial(write_case, item), self.is_own)

    def write_record(self, folder: Path, settings: Mapping[str, Any]) -> None:
        """Write the JSON file.

        Raises:
            OutputError: it cannot be written.
        """
        write_text(folder / self.record, json.dumps(settings, indent=2) + "\n")


def require_hu(values: np.ndarray, affine: np.ndarray, where: Where) -> None:
    """Refuse a volume (X, Y, Z) that is no CT in HU.

    Raises:
        VolumeError: it does not reach from air to bone.
    """
    for finding in plausible_hu(CheckedVolume(where, values, affine), "HU"):
        raise VolumeError(where(finding.fault, finding.value, "convert it to HU, or name others"))


def save_volume(
    source: str, affine: np.ndarray, values: np.ndarray, path: Path, description: str, dtype: str = "float32"
) -> None:
    """Write a volume (X, Y, Z) as NIfTI on the grid of its source, without the other fields of its header.

    Args:
        source: path that the volume was made from; of a NIfTI file the grid is kept bit for bit.
        affine: (4, 4) of the source, to RAS mm.
        values: of the source's shape.
        path: to write.
        description: for the header.
        dtype: stored type.

    Raises:
        OutputError: see :func:`common.io.export.nifti.save_like`.
    """
    if source.lower().endswith(NIFTI):
        save_like(source, values, path, dtype, description)
    else:
        save_on(affine, values, path, dtype, description)


def save_masks(item: Item, folder: Path, reader: VolumeReader) -> None:
    """Write the masks and regions of a case as uint8, 1 above 0, each on its own grid.

    Raises:
        VolumeError: a mask cannot be read.
        OutputError: a file cannot be written.
    """
    for name in MASKS:
        if name in item:
            region = reader.read(item[name], str(item["case"]))
            save_volume(item[name], region.affine, region.values > 0, folder / f"{name}.nii.gz", name, "uint8")
