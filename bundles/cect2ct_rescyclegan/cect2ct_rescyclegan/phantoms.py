"""Phantom dataset of contrast-enhanced and unenhanced CT: unpaired for training, registered for evaluation."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from common.data.datalist import Item, split_by_patient, write_datalist
from common.simulation.ct import render_ct_pair
from common.simulation.dataset import case_name, phantom_dataset, save_nifti, write_dataset_json
from common.simulation.grid import Motion, grid, random_direction
from common.simulation.head import head_anatomy

MOVE_MM = 4.0
"""Largest shift, in a random direction, between the scans of a training case."""
TURN_DEGREES = 3.0
"""Largest rotation, likewise."""
LEAST_MOTION = 0.5
"""Smallest shift and rotation, relative to the largest."""

FILES = ("cect", "ct", "mask", "vessel")


def write_cect2ct(root: Path, cases: int, spacing: float, seed: int) -> None:
    """Write contrast-enhanced and unenhanced CT of random heads, ``datalist.json`` and ``dataset.json``.

    A case is the folder ``phantom_000`` and on with ``cect``, ``ct``, ``mask`` (the head) and ``vessel`` (where vessels
    fill more than half a voxel); both masks are the CECT's. In a training case the head has moved in its CT, and the
    datalist lists CECT in ``training_A`` and CT in ``training_B``. In validation and test the CT is exactly registered
    and is the label. The split is 70 : 15 : 15. The dataset is written atomically.

    Args:
        root: the folder to create; may exist if empty.
        cases: number of heads, each of another patient.
        spacing: isotropic, in mm.
        seed: case ``i`` depends only on ``(seed, i)``, except for its section.

    Raises:
        ConfigError: a number is out of range.
        OutputError: ``root`` holds something already or cannot be written.
    """
    root = Path(root)
    grid(spacing)
    with phantom_dataset(root, cases, seed, least_cases=3) as (partial, each):
        split = split_by_patient([{"case": case_name(index)} for index in range(cases)], seed=seed)
        training = {item["case"] for item in split["training"]}
        motions = {}
        for case, number in each:
            moves = case.name in training
            motion = _motion(number) if moves else Motion()
            _write_case(case, number, spacing, motion)
            motions[case.name] = motion._asdict()
        write_datalist(_lists(split, partial), partial / "datalist.json", seed=seed)
        write_dataset_json(partial, seed=seed, spacing_mm=spacing, ct_motion=motions)


def _motion(seed: int) -> Motion:
    rng = np.random.default_rng((seed, 0))
    return Motion(*(random_direction(rng, most * rng.uniform(LEAST_MOTION, 1)) for most in (MOVE_MM, TURN_DEGREES)))


def _write_case(folder: Path, seed: int, spacing: float, motion: Motion) -> None:
    anatomy = head_anatomy(seed, spacing)
    plain = None if motion == Motion() else head_anatomy(seed, spacing, *motion)
    cect, ct = render_ct_pair(anatomy, np.random.default_rng((seed, 1)), plain=plain)
    vessel = anatomy.fractions["vessel"] > 0.5
    volumes = (np.rint(cect).astype(np.int16), np.rint(ct).astype(np.int16), anatomy.head, vessel)
    for name, voxels in zip(FILES, volumes, strict=True):
        save_nifti(folder / f"{name}.nii.gz", voxels, anatomy.affine)


def _lists(split: dict[str, list[Item]], root: Path) -> dict[str, list[Item]]:
    """Unpaired pools for training; pairs with both masks for the rest."""

    def items(key: str, **files: str) -> list[Item]:
        return [
            {"case": item["case"], "patient": item["case"]}
            | {name: str(root / item["case"] / f"{file}.nii.gz") for name, file in files.items()}
            for item in split[key]
        ]

    pair = {"image": "cect", "label": "ct", "mask": "mask", "vessel": "vessel"}
    return {
        "training_A": items("training", image="cect", mask="mask"),
        "training_B": items("training", image="ct"),
        "validation": items("validation", **pair),
        "test": items("test", **pair),
    }
