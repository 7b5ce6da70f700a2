"""Corrupted copies of a held-out case, on which a check tries the verdicts."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from monai.transforms import Orientation

from ..data.datalist import Item
from ..io import VolumeReader
from ..seeds import derive
from ..simulation.corruptions.graded import distorted
from ..transforms import LoadVolumed

KEYS = ("image", "label", "mask")


def corrupted(item: Item, kinds: Sequence[str], reader: VolumeReader | None = None) -> Iterator[tuple[str, Item]]:
    """Each corruption of a case by its name, as files that last until the next one is asked for.

    The strength of a corruption and what is random in it depend on the names of the case and the corruption.

    Args:
        item: with a target, which a spatial corruption transforms too.
        kinds: of :data:`common.simulation.corruptions.graded.CORRUPTIONS`.
        reader: of the volumes.
    """
    chosen = {key: item[key] for key in ("case", *KEYS) if key in item}
    loaded: Any = LoadVolumed(KEYS, reader, allow_missing_keys=True)(chosen)  # type: ignore[arg-type]
    turned: Any = {key: Orientation(axcodes="RAS", labels=None)(loaded[key]) for key in KEYS if key in item}
    volumes = {key: np.asarray(volume, np.float32) for key, volume in turned.items()}
    affine = np.asarray(turned["image"].affine, dtype=float)
    spacing = np.linalg.norm(affine[:3, :3], axis=0).astype(np.float32)
    for kind in kinds:
        seed = derive(*f"{item['case']} {kind}".encode())
        strength = float(np.random.default_rng((seed, 1)).random())
        with tempfile.TemporaryDirectory() as folder:
            yield kind, _written(distorted(kind, volumes, spacing, strength, seed), affine, item, Path(folder))


def _written(volumes: dict[str, np.ndarray], affine: np.ndarray, item: Item, folder: Path) -> Item:
    """The item of volumes that are written as NIfTI, one file a channel."""
    paths: dict[str, list[str]] = {}
    for name, volume in volumes.items():
        for number, channel in enumerate(volume):
            path = folder / f"{name}_{number}.nii"
            nib.save(nib.Nifti1Image(np.ascontiguousarray(channel), affine), path)
            paths.setdefault(name, []).append(str(path))
    single = {name: channels[0] if len(channels) == 1 else channels for name, channels in paths.items()}
    return {"case": item["case"], **single}
