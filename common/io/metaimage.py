"""MetaImage files (``.mha``), such as those of SynthRAD2025: read by ITK where it is installed."""

from __future__ import annotations

import importlib.util
from functools import partial
from pathlib import Path

import numpy as np

from common.errors import Finding, VolumeError

SUFFIX = ".mha"


def read_metaimage(path: Path, case: str, nan_fill: float | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Read a 3-D MetaImage.

    Args:
        path: an ``.mha`` file.
        case: for messages.
        nan_fill: replaces NaN and infinity, which are errors otherwise.

    Returns:
        the values, float32 (X, Y, Z), and the affine (4, 4) to RAS mm.

    Raises:
        VolumeError: where ITK is not installed or cannot read the file; for other than 3 dimensions, or NaN or
            infinity without ``nan_fill``.
    """
    where = partial(Finding, case, path.name)
    if importlib.util.find_spec("itk") is None:
        remedy = "pip install itk, or convert with SimpleITK: WriteImage(ReadImage('x.mha'), 'x.nii.gz')"
        raise VolumeError(where("MetaImage files are read by ITK", "no package itk", remedy))
    from monai.transforms import LoadImage  # takes seconds to import, and only MetaImage needs it

    try:
        image = LoadImage(reader="ITKReader", image_only=True)(path)
    except Exception as error:  # ITK raises RuntimeError and types of its own
        raise VolumeError(where("the file must be readable by ITK", str(error), "export it again")) from error
    values = image.numpy().astype(np.float32)
    if nan_fill is not None:
        values = np.where(np.isfinite(values), values, np.float32(nan_fill))
    if values.ndim != 3 or not np.isfinite(values).all():
        found = f"{values.ndim} dimensions, {np.count_nonzero(~np.isfinite(values))} NaN or Inf"
        raise VolumeError(where("a volume has 3 dimensions and finite voxels", found, "export it again"))
    return values, image.affine.numpy()
