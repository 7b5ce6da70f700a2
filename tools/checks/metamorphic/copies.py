"""Copies of a source that hold the same voxels: other axes, types, formats and places in the world."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import nibabel as nib
import numpy as np

from tools.checks.metamorphic.sources import Channel, base_affine, turned
from tools.label.inputs import series

STILL = np.eye(4)
OBLIQUE = turned(x=21, y=-14)
"""About two axes, by less than 45 degrees in all, so that each axis stays closest to the one it was closest to."""
INTERCEPT = -256.0
"""In steps of a channel."""
AWAY = (1234.5, -987.25, 456.75)

Writer = Callable[[Path, Channel, np.ndarray], None]


class Copy(NamedTuple):
    """How the voxels of a source are stored, and where.

    Attributes:
        name: for the table and for the folder of the case.
        axes: of the source in the order of storage.
        flips: axes of storage that run the other way.
        world: (4, 4) in mm, from the place of a voxel of the source to its place here.
        write: stores a channel with an affine under a path without suffix.
    """

    name: str
    axes: tuple[int, int, int] = (0, 1, 2)
    flips: tuple[int, ...] = ()
    world: np.ndarray = STILL
    write: Writer = lambda path, channel, affine: write_nifti(path, channel, affine)

    @property
    def case(self) -> str:
        """A file name of it."""
        return self.name.replace(",", "").replace(" ", "_")


def stored(copy: Copy, channel: Channel) -> tuple[Channel, np.ndarray]:
    """A channel in the order of a copy, and the affine (4, 4) with which each voxel has its place there."""
    values, index = channel.values.transpose(copy.axes), np.zeros((4, 4))
    index[list(copy.axes), range(3)], index[3, 3] = 1, 1
    for axis in copy.flips:
        flip = np.eye(4)
        flip[axis, axis], flip[axis, 3] = -1, values.shape[axis] - 1
        values, index = np.flip(values, axis), index @ flip
    return channel._replace(values=np.ascontiguousarray(values)), copy.world @ base_affine() @ index


def write_copies(copies: Sequence[Copy], channels: Sequence[Channel], folder: Path) -> None:
    """Write each copy of a source to ``folder/<case>/<channel>``, as training data lie."""
    for copy in copies:
        place = folder / copy.case
        place.mkdir(parents=True)
        for channel in channels:
            copy.write(place / channel.name, *stored(copy, channel))


def write_nifti(path: Path, channel: Channel, affine: np.ndarray, suffix: str = ".nii.gz") -> None:
    """Write float32."""
    nib.save(nib.Nifti1Image(channel.values, affine), path.with_name(path.name + suffix))


def _uncompressed(path: Path, channel: Channel, affine: np.ndarray) -> None:
    write_nifti(path, channel, affine, ".nii")


def _big_endian(path: Path, channel: Channel, affine: np.ndarray) -> None:
    header = nib.Nifti1Header(endianness=">")
    header.set_data_dtype(">f4")
    nib.save(nib.Nifti1Image(channel.values.astype(">f4"), affine, header), path.with_name(f"{path.name}.nii"))


def _integers(path: Path, channel: Channel, affine: np.ndarray) -> None:
    """Stored integers, from which slope and intercept of the header make the values."""
    image = nib.Nifti1Image(np.rint(channel.values / channel.step - INTERCEPT).astype(np.int16), affine)
    image.header.set_slope_inter(channel.step, INTERCEPT * channel.step)
    nib.save(image, path.with_name(f"{path.name}.nii.gz"))


def _qform(path: Path, channel: Channel, affine: np.ndarray) -> None:
    """The affine as quaternion, offset and spacing, and no other."""
    image = nib.Nifti1Image(channel.values, None)
    image.header.set_qform(affine, code=1)
    nib.save(image, path.with_name(f"{path.name}.nii.gz"))


def _dicom(path: Path, channel: Channel, affine: np.ndarray) -> None:
    file = path.with_name(f".{path.name}.nii")
    nib.save(nib.Nifti1Image(channel.values, affine), file)
    series(file, path, "CT" if channel.values.min() < -500 else "MR", channel.step)
    file.unlink()


def _itk(suffix: str) -> Writer:
    """Written by ITK from what ITK itself reads of a NIfTI file."""

    def write(path: Path, channel: Channel, affine: np.ndarray) -> None:
        import SimpleITK  # of an extra

        file = path.with_name(f".{path.name}.nii")
        nib.save(nib.Nifti1Image(channel.values, affine), file)
        image = SimpleITK.ReadImage(str(file))
        for key in image.GetMetaDataKeys():  # of NIfTI; other formats cannot hold some of them
            image.EraseMetaData(key)
        SimpleITK.WriteImage(image, str(path.with_name(path.name + suffix)))
        file.unlink()

    return write


BASE = Copy("as it is")
COPIES = [
    BASE,
    Copy("first axis flipped", flips=(0,)),
    Copy("second axis flipped", flips=(1,)),
    Copy("third axis flipped", flips=(2,)),
    Copy("all axes flipped", flips=(0, 1, 2)),
    *(Copy(f"axes {a} {b} {c}", (a, b, c)) for a, b, c in ((0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0))),
    Copy("axes 2 0 1, flipped", (2, 0, 1), (0, 2)),
    Copy("big-endian", write=_big_endian),
    Copy("integers with slope", write=_integers),
    Copy("uncompressed", write=_uncompressed),
    Copy("qform alone", write=_qform),
    Copy("NRRD", write=_itk(".nrrd")),
    Copy("MetaImage", write=_itk(".mha")),
    Copy("DICOM series", write=_dicom),
    Copy("origin moved", world=nib.affines.from_matvec(np.eye(3), AWAY)),
    Copy("oblique", world=turned(y=18)),
    Copy("doubly oblique", world=OBLIQUE),
    Copy("doubly oblique, flipped", (1, 2, 0), (1,), OBLIQUE),
    Copy("doubly oblique, DICOM", world=OBLIQUE, write=_dicom),
]


def back(values: np.ndarray, affine: np.ndarray, shape: Sequence[int], wanted: np.ndarray) -> tuple[np.ndarray, float]:
    """Bring a volume to the order of another one by the places of their voxels alone.

    Args:
        values: (X, Y, Z) in any order of axes.
        affine: (4, 4) of these voxels.
        shape: of the other volume.
        wanted: its affine, into the same world.

    Returns:
        the values in the order of the other volume, and how far they lie from its voxels, at most, in voxels.

    Raises:
        ValueError: for volumes whose axes are not a permutation of each other.
    """
    index = np.linalg.inv(affine) @ wanted
    whole = np.rint(index[:3, :3]).astype(int)
    if (np.abs(whole).sum(0) != 1).any() or (np.abs(whole).sum(1) != 1).any():
        raise ValueError(f"the axes of {affine.tolist()} are not a permutation of those of {wanted.tolist()}")
    axes = np.abs(whole).argmax(0)
    backwards = tuple(axis for axis in range(3) if whole[:, axis].sum() < 0)
    returned = np.flip(values.transpose(axes), backwards)
    if returned.shape != tuple(shape):
        raise ValueError(f"the shape {returned.shape} is not {tuple(shape)}")
    offset = np.where(whole.sum(1) < 0, np.array(values.shape) - 1, 0)
    corners = np.array(list(np.ndindex(2, 2, 2))) * (np.array(shape) - 1)
    found = corners @ index[:3, :3].T + index[:3, 3]
    return returned, float(np.abs(found - (corners @ whole.T + offset)).max())
