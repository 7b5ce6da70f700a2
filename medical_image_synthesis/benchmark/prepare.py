"""Preprocessing that a source has before its training, case by case: each function fills the folder of a case.

A function takes the item of a case, the folder and settings of the recipe, and returns the item's new paths.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from common.errors import ConfigError, choose

if TYPE_CHECKING:
    from common.data.datalist import Item


def prepared(settings: Mapping[str, Any], lists: Mapping[str, list[Item]], out: Path) -> dict[str, list[Item]]:
    """The cases of all sections with their prepared files; folders that are there are kept.

    Args:
        settings: ``function``, and what it takes besides an item and a folder.
        lists: cases by section.
        out: receives a folder a case.

    Raises:
        ConfigError: the function is none of these.
        DataError: a file cannot be read.
        OutputError: a folder cannot be written.
    """
    from tqdm import tqdm

    from common.files import write_whole_folder

    given = dict(settings)
    name = given.pop("function")
    given.pop("megabytes_a_case", None)
    if name not in FUNCTIONS:
        raise ConfigError(f"prepare has the function {name}", choose(FUNCTIONS))
    files, function = FUNCTIONS[name]
    items = [item for own in lists.values() for item in own]
    for item in tqdm(items, desc=name, unit="case", disable=None):
        if not (folder := out / str(item["case"])).is_dir():
            write_whole_folder(folder, partial(function, item, **given), lambda _: False)
    return {
        section: [
            item | {key: str(out / str(item["case"]) / file) for key, file in files.items()} for item in own
        ]
        for section, own in lists.items()
    }  # fmt: skip


def crop(item: Item, folder: Path, shape: Sequence[int]) -> None:
    """Source and target cut or padded around their middle to a shape (X, Y, Z), axes RAS, and a mask of all voxels.

    Each is standardised to mean 0 and deviation 1 over all voxels, as in work that has no mask.
    """
    import nibabel as nib
    import torch
    from monai.data import MetaTensor
    from monai.transforms import ResizeWithPadOrCrop

    from common.io import VolumeReader

    for key, name in (("image", "source"), ("label", "target")):
        read = VolumeReader().read(item[key], str(item["case"]))
        image = nib.as_closest_canonical(nib.nifti1.Nifti1Image(np.asarray(read.values, np.float32), read.affine))
        values, affine = (torch.from_numpy(np.array(each)) for each in (image.dataobj, image.affine))
        volume = MetaTensor(values[None], affine=affine)
        cut: Any = ResizeWithPadOrCrop(shape, value=float(volume.min()))(volume)
        scores = np.asarray((cut[0] - cut.mean()) / cut.std())
        nib.save(nib.nifti1.Nifti1Image(scores, np.asarray(cut.affine)), folder / f"{name}.nii.gz")
    mask = nib.nifti1.Nifti1Image(np.ones(tuple(shape), np.uint8), np.asarray(cut.affine))
    nib.save(mask, folder / "mask.nii.gz")


def undersample(item: Item, folder: Path, acceleration: float, centre_fraction: float) -> None:
    """A scan of fastMRI with the lines of its random mask, and the image of all lines."""
    from common.data.degraded_pairs import save_volume
    from common.simulation.corruptions.undersampling import Scanned
    from medical_image_synthesis.catalogue import bundle_named

    files = bundle_named("mri_dagan").module("kspace_files")
    path = Path(item["image"])
    whole = files.read_kspace(path, str(item["case"]))
    lines = random_lines(whole.mask.shape[1], acceleration, centre_fraction, path.name)
    part = replace(whole, kspace=whole.kspace * lines, mask=whole.mask & lines)
    scanned = Scanned(part.zero_filled(), part.kspace, part.mask)
    files.write_kspace(folder / "kspace.h5", scanned, whole.affine, part.axis, simulated=False)
    save_volume(str(path), whole.affine, whole.zero_filled(), folder / "target.nii.gz", "all lines of k-space")


def random_lines(columns: int, acceleration: float, centre_fraction: float, name: str) -> NDArray[np.bool_]:
    """The lines (columns,) that ``RandomMaskFunc`` of fastMRI 0.3.0 measures, for one acceleration, of a file's name.

    The middle is measured, each other line with the probability that gives 1 / acceleration of all in the mean.
    """
    rng = np.random.RandomState([ord(letter) for letter in name])
    rng.randint(1)  # the choice of the acceleration
    middle = round(columns * centre_fraction)
    lines = rng.uniform(size=columns) < (columns / acceleration - middle) / (columns - middle)
    first = (columns - middle + 1) // 2
    lines[first : first + middle] = True
    return np.asarray(lines)


def thicken(item: Item, folder: Path, thickness: float, profile: str) -> None:
    """A CT of thick slices on the grid of thin ones; see :func:`medical_image_synthesis.simulate.thicken`."""
    from medical_image_synthesis import simulate

    simulate.thicken(item["image"], thickness, profile=profile).save(folder / "thick.nii.gz")
    (folder / "target.nii.gz").symlink_to(Path(item["image"]).absolute())


FUNCTIONS: dict[str, tuple[dict[str, str], Any]] = {
    "crop": ({"image": "source.nii.gz", "label": "target.nii.gz", "mask": "mask.nii.gz"}, crop),
    "undersample": ({"image": "kspace.h5", "label": "target.nii.gz"}, undersample),
    "thicken": ({"image": "thick.nii.gz", "label": "target.nii.gz"}, thicken),
}
"""Each with the files that it writes, by the key of a case."""
