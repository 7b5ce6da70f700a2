"""A case that is trained on or evaluated, made from images in memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import nibabel as nib
from nibabel.nifti1 import Nifti1Image

from common.files import write_whole_folder


def write_case(folder: Path, images: Mapping[str, Nifti1Image], write: Callable[[dict[str, str], Path], None]) -> None:
    """Write the folder of a case, unless it is there.

    Args:
        folder: of the case, which has its name.
        images: by their keys in an item of a datalist.
        write: of the item, whose images are files, into a folder.
    """
    if folder.exists():
        return
    with TemporaryDirectory() as given:
        item = {"case": folder.name} | {name: str(Path(given, f"{name}.nii.gz")) for name in images}
        for name, image in images.items():
            nib.save(image, item[name])
        write_whole_folder(folder, lambda own: write(item, own), lambda own: False)
