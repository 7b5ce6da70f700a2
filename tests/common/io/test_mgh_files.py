"""FreeSurfer's volumes: values and scanner coordinates, and files that are refused."""

from __future__ import annotations

import gzip
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from common.errors import VolumeError
from common.io.reader import VolumeReader, volume_stem

VALUES = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
LIA = np.array([[-1.0, 0, 0, 10], [0, 0, 2, -20], [0, -3, 0, 30], [0, 0, 0, 1]])
"""Axes left, inferior and anterior, as FreeSurfer conforms them; voxels of 1, 3 and 2 mm."""


def packed(values: np.ndarray = VALUES, place: int = 0, other: bytes = b"") -> bytes:
    """What nibabel 5.4.2 writes into a file, with other bytes at a place."""
    data = bytearray(nib.MGHImage(values, LIA).to_bytes())
    data[place : place + len(other)] = other
    return gzip.compress(bytes(data))


def mgz(path: Path, values: np.ndarray = VALUES) -> Path:
    path.write_bytes(packed(values))
    return path


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int32, np.float32])
def test_values_and_the_affine_of_the_scanner(tmp_path: Path, dtype: type) -> None:
    path = mgz(tmp_path / "T1.mgz", VALUES.astype(dtype))
    scan = VolumeReader().read(path, "a")
    np.testing.assert_array_equal(scan.values, VALUES)
    np.testing.assert_allclose(scan.affine, LIA, atol=1e-5)
    assert (scan.values.dtype, scan.warnings, volume_stem(path)) == (np.float32, (), "T1")
    extent = VolumeReader().extent(path, "a")
    assert extent is not None
    assert extent.values.shape == VALUES.shape
    np.testing.assert_allclose(extent.affine, LIA, atol=1e-5)
    (tmp_path / "T1.mgh").write_bytes(gzip.decompress(path.read_bytes()))
    np.testing.assert_array_equal(VolumeReader().read(tmp_path / "T1.mgh", "a").values, VALUES)


def test_frames_are_channels_where_they_are_declared(tmp_path: Path) -> None:
    path = mgz(tmp_path / "two.mgz", np.stack([VALUES, VALUES + 100], -1))
    np.testing.assert_array_equal(VolumeReader().read(path, "a", 2).values, [VALUES, VALUES + 100])
    with pytest.raises(VolumeError, match=r"a \(two.mgz\): wrong number of frames \(2 instead of 1\); set reader::ch"):
        VolumeReader().read(path, "a")


NAN = np.where(VALUES == 5, np.nan, VALUES)
DAMAGED = {
    "nan": (packed(NAN), r"voxels are not finite \(1 NaN or Inf of 24 voxels\); repair"),
    "type": (packed(VALUES, 20, b"\0\0\0\x09"), "invalid header"),
    "zero": (packed(VALUES, 4, b"\0\0\0\0"), "invalid dimensions in the header"),
    "huge": (packed(VALUES, 4, b"\0\0\xff\xff\0\0\xff\xff"), "the header claims over"),
    "flat": (packed(VALUES, 30, b"\0\0\0\0"), "the affine is not finite and invertible"),
    "ras": (packed(VALUES, 28, b"\0\0"), r"no orientation in the header \(goodRASF"),
    "text": (b"a scan", "cannot read the file .*; copy it again"),
    "cut": (packed()[:-12], "the file cannot be read to its end .*; copy or export it again"),
    "sum": (packed()[:-8] + b"damaged!", r"the file .* to its end \(BadGzipFile: CRC check failed .*; copy or"),
    "nii": (gzip.compress(nib.Nifti1Image(VALUES, LIA).to_bytes()), "not FreeSurfer's MGH data"),
    "none": (None, r"no such file \("),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_files_are_refused(tmp_path: Path, name: str) -> None:
    content, fault = DAMAGED[name]
    path = tmp_path / f"{name}.mgz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(VolumeError, match=rf"a \({name}.mgz\): {fault}"):
        VolumeReader().check(path, "a")
    if name == "nan":
        np.testing.assert_array_equal(VolumeReader(nan_fill=0).read(path, "a").values, np.nan_to_num(NAN))
