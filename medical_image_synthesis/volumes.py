"""Volumes as a caller has them: paths, images of nibabel, SimpleITK and MONAI, arrays with their affine.

Of these libraries only that of the given object is imported.
"""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING, Any

from common.errors import Finding, VolumeError, Where

if TYPE_CHECKING:
    import nibabel as nib
    import numpy as np

KINDS = "a file, a folder of a DICOM series, an image of nibabel or SimpleITK, a MetaTensor, or (array, affine)"
"""What is taken for a volume; an object with ``array`` and ``affine``, as results have them, is one too."""
LPS = "LPS"
"""MONAI's name of the coordinates of DICOM and ITK, in which a MetaTensor may have its affine."""


def in_memory_image(source: Any, name: str = "volume") -> nib.Nifti1Image | None:
    """The NIfTI image of a volume in memory; None for a path.

    Values and their type stay as they are, but for types that NIfTI has not: bool becomes uint8, half precision
    float32. The affine (4, 4) to RAS mm keeps its double precision until it is saved.

    Args:
        source: an image of nibabel, (X, Y, Z) or (X, Y, Z, C); a 3-D image of SimpleITK; a MetaTensor, (array, affine),
            or an object with ``array`` and ``affine``, whose array is (X, Y, Z) or (C, X, Y, Z).
        name: for messages.

    Raises:
        VolumeError: it is none of these, its values are no real numbers, or its affine is not finite and invertible.

    Example::

        import numpy as np
        from medical_image_synthesis.volumes import in_memory_image

        image = in_memory_image((np.zeros((4, 5, 6), np.int16), np.diag([2, 2, 3, 1])))
        assert image.shape == (4, 5, 6)
    """
    if isinstance(source, str | os.PathLike):
        return None
    where = partial(Finding, name, "")
    if _is_of(source, "nibabel"):
        return _of_nibabel(source, where)
    if _is_of(source, "SimpleITK"):
        from common.io.itk_files import voxels_of

        return _nifti(*voxels_of(source, where), where)
    import numpy as np

    array, affine = _parts(source, where)
    if array.ndim not in (3, 4) or not array.size:
        raise VolumeError(where("not (X, Y, Z) or (C, X, Y, Z)", f"shape {array.shape}", "give one 3-D volume"))
    if array.ndim == 4:
        array = array[0] if len(array) == 1 else np.moveaxis(array, 0, -1)
    return _nifti(array, affine, where)


def _of_nibabel(image: Any, where: Where) -> nib.Nifti1Image:
    """A NIfTI image in mm as it is, another one as NIfTI."""
    import nibabel as nib
    import numpy as np

    from common.io.nifti.header_fields import unit_of_lengths

    if not isinstance(image, nib.spatialimages.SpatialImage):
        raise VolumeError(where("no volume", f"nibabel's {type(image).__name__}", f"give {KINDS}"))
    if image.affine is None:
        raise VolumeError(where("the image has no affine", "", "give one in nibabel's constructor"))
    affine = image.affine
    if isinstance(image, nib.Nifti1Image):
        size = unit_of_lengths(image.header)[1]
        if size == 1:
            _require_affine(affine, where)
            return image
        affine = np.diag([size, size, size, 1]) @ affine
    return _nifti(np.asanyarray(image.dataobj), affine, where)


def _parts(source: Any, where: Where) -> tuple[np.ndarray, np.ndarray]:
    """Array and affine of what is no image."""
    import numpy as np

    if isinstance(source, tuple) and len(source) == 2 and not any(isinstance(each, str) for each in source):
        array, affine = (_array(each) for each in source)
    elif _is_of(source, "monai") and hasattr(source, "meta"):
        array, affine = _array(source), _array(source.affine)
        if str(source.meta.get("space", "")) == LPS and affine.shape == (4, 4):
            affine = np.diag([-1, -1, 1, 1]) @ affine
    elif isinstance(source, np.ndarray) or _is_of(source, "torch"):
        raise VolumeError(where("an array without its affine", "", "give (array, affine), the affine (4, 4) to RAS mm"))
    elif hasattr(source, "array") and hasattr(source, "affine"):
        array, affine = _array(source.array), _array(source.affine)
    else:
        raise VolumeError(where("no volume", type(source).__name__, f"give {KINDS}"))
    return array, affine


def _array(values: Any) -> np.ndarray:
    """An array of NumPy, of a tensor too."""
    import numpy as np

    if _is_of(values, "torch"):
        values = (values.as_tensor() if hasattr(values, "as_tensor") else values).detach().cpu()
        values = values.float().numpy() if "bfloat16" in str(values.dtype) else values.numpy()
    return np.asarray(values)


def _nifti(values: np.ndarray, affine: np.ndarray, where: Where) -> nib.Nifti1Image:
    """The image of values, (X, Y, Z) or (X, Y, Z, C), of a type that NIfTI has."""
    import nibabel as nib
    import numpy as np

    if values.dtype.kind not in "biuf":
        raise VolumeError(where("voxels are not real numbers", str(values.dtype), "give one real-valued volume"))
    others = {np.dtype(bool): np.uint8, np.dtype(np.float16): np.float32, np.dtype(np.longdouble): np.float64}
    dtype = np.dtype(others.get(values.dtype, values.dtype))
    affine = np.asarray(affine, np.float64)
    _require_affine(affine, where)
    return nib.Nifti1Image(values.astype(dtype, copy=False), affine, dtype=dtype)


def _require_affine(affine: np.ndarray, where: Where) -> None:
    from common.grids import is_invertible, show_affine

    if affine.shape != (4, 4):
        raise VolumeError(where("the affine is not (4, 4)", f"shape {affine.shape}", "give that to RAS mm"))
    if not is_invertible(affine):
        raise VolumeError(where("the affine is not finite and invertible", show_affine(affine), "give a valid one"))


def _is_of(source: Any, package: str) -> bool:
    """Whether an object is of a class of a package, or of one that inherits from it."""
    return any(each.__module__.partition(".")[0] == package for each in type(source).__mro__)
