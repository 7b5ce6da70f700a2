"""Phantom cases as files, in the folder layout of real data: ``ROOT/<case>/{mr,ct,mask}.nii.gz``."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from common.errors import ConfigError, OutputError
from common.phantoms.anatomy import head_anatomy
from common.phantoms.grid import Triple, grid
from common.phantoms.render import render_ct
from common.phantoms.render_mr import render_t1

DESCRIPTION = "SYNTHETIC phantom, not a patient"

ICBM_LICENCE = (
    "Grey and white matter derive from the ICBM 2009a nonlinear symmetric atlas, as shipped with nilearn. "
    "Copyright (C) 1993-2004 Louis Collins, McConnell Brain Imaging Centre, Montreal Neurological Institute, McGill "
    "University. Permission to use, copy, modify, and distribute this software and its documentation for any purpose "
    "and without fee is hereby granted, provided that the above copyright notice appear in all copies. The authors and "
    "McGill University make no representations about the suitability of this software for any purpose. It is provided "
    '"as is" without express or implied warranty.'
)
"""The notice that copies of the atlas must carry."""


def write_mr2ct(root: Path, cases: int, spacing: float, seed: int, misregistration_mm: float = 0.0) -> None:
    """Write pairs of T1-weighted MR and CT of random heads, with head masks, and ``dataset.json`` about them.

    The files appear under ``root`` all at once when the last is done; an interruption leaves nothing there.

    Args:
        root: the folder to create; may exist if empty.
        cases: how many heads, each its own patient, named ``phantom_000`` and on.
        spacing: isotropic, in mm.
        seed: case ``i`` depends on ``(seed, i)`` alone.
        misregistration_mm: the head in the MR is moved this far, each case in a random direction; 0 gives exact pairs.

    Raises:
        ConfigError: a number is out of range.
        OutputError: ``root`` holds something already or cannot be written.
    """
    root = Path(root)
    grid(spacing)
    check_at_least("cases", cases, 1)
    check_at_least("seed", seed, 0)
    check_at_least("misregistration_mm", misregistration_mm, 0)
    with new_folder(root) as partial:
        offsets = {}
        for index in tqdm(range(cases), desc="phantoms", unit="case"):
            name = case_name(index)
            offsets[name] = _write_case(partial / name, case_seed(seed, index), spacing, misregistration_mm)
        write_about(partial, seed=seed, spacing_mm=spacing, mr_offset_mm=offsets)


@contextmanager
def new_folder(root: Path) -> Iterator[Path]:
    """A temporary folder beside ``root`` that becomes ``root`` at the end, and vanishes if there is an exception.

    Raises:
        OutputError: ``root`` holds something already or cannot be written.
    """
    _check_free(root)
    try:
        root.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=f".{root.name}.partial-", dir=root.parent))
    except OSError as error:
        raise OutputError(str(root.parent), "must be a writable folder", error, "choose another folder") from error
    try:
        yield partial
        partial.chmod(0o755)  # a temporary folder is its owner's alone
        _check_free(root)
        partial.rename(root)
    except OSError as error:
        raise OutputError(str(root), "must be writable", error, "free some space or choose another folder") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def write_about(folder: Path, **facts: object) -> None:
    """Write ``dataset.json``: that this is synthetic, these facts, and the licence of what it derives from."""
    about = {"description": DESCRIPTION, **facts, "licence": ICBM_LICENCE}
    (folder / "dataset.json").write_text(json.dumps(about, indent=2) + "\n")


def case_name(index: int) -> str:
    """Name of one case of a set, which is also its folder's."""
    return f"phantom_{index:03d}"


def case_seed(seed: int, index: int) -> int:
    """Seed of one case of a set; different for every pair of arguments."""
    return int(np.random.SeedSequence((seed, index)).generate_state(1, np.uint64)[0])


def _write_case(folder: Path, seed: int, spacing: float, misregistration_mm: float) -> Triple:
    """Write one case and return by how much its MR is moved, in mm (right, anterior, superior)."""
    folder.mkdir()
    anatomy = head_anatomy(seed, spacing)
    offset = random_direction(np.random.default_rng((seed, 0)), misregistration_mm)
    moved = head_anatomy(seed, spacing, offset) if misregistration_mm else anatomy
    mr = render_t1(moved, np.random.default_rng((seed, 1)))
    ct = render_ct(anatomy, np.random.default_rng((seed, 2)))
    save(folder / "mr.nii.gz", np.rint(mr).astype(np.int16), anatomy.affine)
    save(folder / "ct.nii.gz", np.rint(ct).astype(np.int16), anatomy.affine)
    save(folder / "mask.nii.gz", anatomy.head.astype(np.uint8), anatomy.affine)
    return offset


def random_direction(rng: np.random.Generator, length: float) -> Triple:
    """A vector of this length, every direction being as likely."""
    direction = rng.standard_normal(3)
    x, y, z = length * direction / np.linalg.norm(direction)
    return float(x), float(y), float(z)


def save(path: Path, voxels: NDArray[np.generic], affine: NDArray[np.float64]) -> None:
    """Write voxels (X, Y, Z) as NIfTI in mm, described as synthetic."""
    image = nib.Nifti1Image(voxels, affine)
    image.set_sform(affine, code=1)
    image.set_qform(affine, code=1)
    image.header.set_xyzt_units("mm")
    image.header["descrip"] = DESCRIPTION
    nib.save(image, path)


def check_at_least(name: str, value: float, least: float) -> None:
    """Refuse a setting below its least value.

    Raises:
        ConfigError: naming it.
    """
    if not value >= least:
        raise ConfigError(name, f"must be at least {least}", value, "give a larger number")


def _check_free(root: Path) -> None:
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        rule = "must be a folder that is new or empty"
        raise OutputError(str(root), rule, "one that exists and is not", "remove it or choose another")
