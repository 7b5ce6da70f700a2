"""Volumes as a caller has them: paths, images of nibabel, SimpleITK and MONAI, arrays with their affine.

Of these libraries only that of the given object is imported.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from common.errors import DataError, Finding, OutputError, VolumeError, Where, choose

if TYPE_CHECKING:
    import nibabel as nib
    import numpy as np

    from common.io import VolumeReader

KINDS = "a file, a folder of a DICOM series, an image of nibabel or SimpleITK, a MetaTensor, or (array, affine)"
"""What is taken for a volume; an object with ``array`` and ``affine``, as results have them, is one too."""
LPS = "LPS"
"""MONAI's name of the coordinates of DICOM and ITK, in which a MetaTensor may have its affine."""

UNNAMED = "volume"
"""Name of a volume without one."""


@dataclass(frozen=True, eq=False)
class Volume:
    """A volume in memory.

    Attributes:
        array: float32, (X, Y, Z) or (C, X, Y, Z).
        affine: (4, 4) from voxel indices to RAS mm.
        unit: of the values, such as ``HU``; None where it is unknown.
        name: of its case.
        description: what was done to it, for the headers of files; empty for a volume as given.

    Example::

        from medical_image_synthesis.volumes import as_volume

        t1 = as_volume("T1.nii.gz")
        assert t1.array.shape == t1.to_nibabel().shape
    """

    array: np.ndarray
    affine: np.ndarray
    unit: str | None = None
    name: str = UNNAMED
    description: str = ""

    def __repr__(self) -> str:
        """Name, shape and unit, without the values."""
        return f"<volume {self.name}: {' x '.join(map(str, self.array.shape))}, {self.unit or 'unit unknown'}>"

    def to_nibabel(self) -> nib.Nifti1Image:
        """The volume as an image of nibabel, (X, Y, Z) or (X, Y, Z, C), float32.

        Example::

            from medical_image_synthesis.volumes import as_volume

            image = as_volume("T1.nii.gz").to_nibabel()
        """
        import numpy as np

        from common.io.export.nifti import image_on

        stored = np.moveaxis(self.array, 0, -1) if self.array.ndim == 4 else self.array
        return image_on(self.affine, stored.astype(np.float32, copy=False), self.description)

    def save(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
        """Write the volume as float32; the file appears under its name only when it is complete.

        Args:
            path: ends in ``.nii.gz`` or ``.nii``, or in ``.mha``, ``.mhd``, ``.nrrd`` or ``.nhdr``.
            overwrite: replace a file that exists.

        Returns:
            The path.

        Raises:
            OutputError: the file exists, its ending is none of these, or it cannot be written.

        Example::

            from medical_image_synthesis.volumes import as_volume

            as_volume("T1.nii.gz").save("copy_of_T1.nii.gz")
        """
        import nibabel as nib

        from common.files import write_whole
        from common.io.itk_files import SUFFIXES, write_itk
        from common.io.reader import NIFTI

        path = Path(path)
        if os.path.lexists(path) and not overwrite:
            raise OutputError(f"{path} already exists", "pass overwrite=True, or another path")
        if path.name.lower().endswith(NIFTI):
            image = self.to_nibabel()
            write_whole(path, lambda temporary: nib.save(image, temporary))
            return path
        if path.suffix.lower() not in SUFFIXES:
            raise OutputError(f"{path} has the ending of no volume", choose((*NIFTI, *SUFFIXES)))
        if self.array.ndim == 4:
            raise OutputError(f"{path} is to hold {len(self.array)} channels, such files have one", "write .nii.gz")
        about = {"Description": self.description} if self.description else {}
        write_whole(path, lambda temporary: write_itk(self.array, self.affine, temporary, "float32", about))
        return path


def as_volume(source: Any, case: str | None = None, reader: VolumeReader | None = None) -> Volume:
    """The volume of a file, a DICOM series, or an image in memory, with the checks of the project's reader.

    Args:
        source: a path, or what :func:`in_memory_image` takes.
        case: for messages; by default the name of the file.
        reader: of files and series; it selects a series, fills NaN, and has the number of channels.

    Returns:
        The volume; its unit is that of the JSON file next to a synthetic volume, of the headers of a CT or PET, or of
        the object given. Of a CT, padding becomes air.

    Raises:
        DataError: there is no such file, or it cannot be used.

    Example::

        import nibabel as nib
        from medical_image_synthesis.volumes import as_volume

        t1, same = as_volume("T1.nii.gz"), as_volume(nib.load("T1.nii.gz"))
        assert (t1.array == same.array).all()
    """
    if isinstance(source, Volume):
        return source
    require_there(source, case or UNNAMED)
    import numpy as np

    from common.io import VolumeReader
    from common.io.reader import volume_stem

    reader = reader or VolumeReader()
    image = in_memory_image(source, case or UNNAMED)
    if image is None:
        path = Path(source)
        scan = reader.read(path, case or volume_stem(path), reader.channels)
        return Volume(scan.values, scan.affine, _written_unit(path) or scan.unit, volume_stem(path))
    values = np.asanyarray(image.dataobj)
    if values.ndim == 4:
        values = values[..., 0] if values.shape[-1] == 1 else np.moveaxis(values, -1, 0)
    scan = reader.in_memory(values, image.affine, case or UNNAMED)
    said = {each: getattr(source, each, None) for each in ("unit", "name")}
    unit, name = (value if isinstance(value, str) else None for value in said.values())
    return Volume(scan.values, scan.affine, unit, name or UNNAMED)


def require_there(source: Any, case: str) -> None:
    """Refuse a path without a file or folder.

    Raises:
        DataError: naming it.
    """
    if isinstance(source, str | os.PathLike) and not (os.fspath(source) and Path(source).exists()):
        raise DataError(f"no file or folder {os.fspath(source) or 'of an empty name'} ({case})", "check the path")


def require_one_channel(volume: Volume, case: str) -> None:
    """Refuse a volume with channels.

    Raises:
        DataError: naming the case.
    """
    if volume.array.ndim != 3:
        raise DataError(f"{case} has {len(volume.array)} channels", "give one volume (X, Y, Z)")


def _written_unit(path: Path) -> str | None:
    """The unit in the JSON file that an inference wrote next to a volume."""
    from common.io.export.outputs import written_about
    from common.io.reader import volume_stem

    whole = Path(os.path.abspath(path))  # "." has no name
    unit = written_about(whole.with_name(f"{volume_stem(whole)}.json")).get("Unit")
    return str(unit) if unit else None


def in_memory_image(source: Any, name: str = UNNAMED) -> nib.Nifti1Image | None:
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
        if np.ma.is_masked(source[0]):
            raise VolumeError(where("masked voxels have no value", "numpy.ma", "give array.filled(VALUE)"))
        array, affine = (_array(each) for each in source)
        if array.ndim == 4 and array.shape[-1] < min(array.shape[:3]):
            fault = "(X, Y, Z, C), or fewer slices than channels"
            remedy = "give (C, X, Y, Z), such as numpy.moveaxis(array, -1, 0), or a nibabel image of channels"
            raise VolumeError(where(fault, f"shape {array.shape}", remedy))
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
