"""Phantom datasets on disk: ``ROOT/phantom_000/...`` and ``dataset.json``, written atomically."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from ..errors import ConfigError, OutputError
from .grid import grid

DESCRIPTION = "SYNTHETIC phantom, not a patient"

ICBM_LICENCE = (
    "Grey and white matter derive from the ICBM 2009a nonlinear symmetric atlas, as shipped with nilearn. "
    "Copyright (C) 1993-2004 Louis Collins, McConnell Brain Imaging Centre, Montreal Neurological Institute, McGill "
    "University. Permission to use, copy, modify, and distribute this software and its documentation for any purpose "
    "and without fee is hereby granted, provided that the above copyright notice appear in all copies. The authors and "
    "McGill University make no representations about the suitability of this software for any purpose. It is provided "
    '"as is" without express or implied warranty.'
)
"""Licence notice that copies of the atlas must carry."""

Case = tuple[Path, int]
"""Folder and seed of a case."""


@contextmanager
def phantom_dataset(root: Path, cases: int, seed: int, least_cases: int = 1) -> Iterator[tuple[Path, Iterator[Case]]]:
    """Context of a new dataset: its folder, and its cases as new folders in it with their seeds.

    The folder is a temporary one next to ``root``; it is renamed to ``root`` at the end and removed after an exception.

    Args:
        root: the folder to create; may exist if empty.
        cases: number of cases.
        seed: of the dataset.
        least_cases: smallest number of cases accepted.

    Raises:
        ConfigError: a number is out of range.
        OutputError: ``root`` holds something already or cannot be written.
    """
    check_at_least("cases", cases, least_cases)
    check_at_least("seed", seed, 0)
    with _new_folder(root) as partial:
        yield partial, _new_cases(partial, cases, seed)


def write_heads(
    root: Path, cases: int, spacing: float, seed: int, write_case: Callable[[Path, int, float], None], **facts: object
) -> None:
    """Write a dataset of heads, each a function of its own seed and the spacing, and ``dataset.json``, atomically.

    Args:
        root: the folder to create; may exist if empty.
        cases: number of heads, each of another patient, named ``phantom_000`` and so on.
        spacing: isotropic, in mm.
        seed: case ``i`` depends only on ``(seed, i)``.
        write_case: writes a case into its new folder: folder, seed of the case, spacing.
        **facts: further ones of ``dataset.json``.

    Raises:
        ConfigError: a number is out of range.
        OutputError: ``root`` holds something already or cannot be written.
    """
    grid(spacing)
    with phantom_dataset(Path(root), cases, seed) as (partial, each):
        for case, number in each:
            write_case(case, number, spacing)
        write_dataset_json(partial, seed=seed, spacing_mm=spacing, **facts)


def _new_cases(folder: Path, cases: int, seed: int) -> Iterator[Case]:
    for index in tqdm(range(cases), desc="phantoms", unit="case", disable=None):
        case = folder / case_name(index)
        case.mkdir()
        yield case, case_seed(seed, index)


def case_name(index: int) -> str:
    """Name of a case and of its folder."""
    return f"phantom_{index:03d}"


def case_seed(seed: int, index: int) -> int:
    """Seed of a case; different for every pair of arguments."""
    return int(np.random.SeedSequence((seed, index)).generate_state(1, np.uint64)[0])


def check_at_least(name: str, value: float, least: float) -> None:
    """Refuse a setting below its least value.

    Raises:
        ConfigError: ``value`` is below ``least``.
    """
    if not value >= least:
        raise ConfigError(f"{name} is {value}, below {least}", "give a larger number")


def write_dataset_json(folder: Path, **facts: object) -> None:
    """Write ``dataset.json``: that the data are synthetic, these facts, and the licence, by default of the atlas."""
    about = {"description": DESCRIPTION, **facts, **({} if "licence" in facts else {"licence": ICBM_LICENCE})}
    (folder / "dataset.json").write_text(json.dumps(about, indent=2) + "\n")


def save_nifti(path: Path, voxels: NDArray[np.generic], affine: NDArray[np.float64]) -> None:
    """Write voxels (X, Y, Z) as NIfTI in mm, described as synthetic; booleans are stored as uint8."""
    image = nib.Nifti1Image(voxels.astype(np.uint8) if voxels.dtype == bool else voxels, affine)
    image.set_sform(affine, code=1)
    image.set_qform(affine, code=1)
    image.header.set_xyzt_units("mm")
    image.header["descrip"] = DESCRIPTION
    nib.save(image, path)


@contextmanager
def _new_folder(root: Path) -> Iterator[Path]:
    _check_free(root)
    try:
        root.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=f".{root.name}.partial-", dir=root.parent))
    except OSError as error:
        fault = f"cannot write into {root.parent} ({error.strerror or error})"
        raise OutputError(fault, "choose another folder, of phantoms by --demo_data") from error
    try:
        yield partial
        partial.chmod(0o755)  # temporary folders are readable by their owner only
        _check_free(root)
        partial.rename(root)
    except OSError as error:
        raise OutputError(f"cannot write {root} ({error})", "free space or choose another folder") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _check_free(root: Path) -> None:
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise OutputError(f"{root} exists and is not an empty folder", "remove it or choose another folder")
