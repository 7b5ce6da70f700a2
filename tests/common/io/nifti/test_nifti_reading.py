"""Every fault of a NIfTI file is named with case, file, value and remedy before its voxels are used."""

from __future__ import annotations

import gzip
import os
import pickle
import re
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as itk  # noqa: N813

from common.errors import VolumeError
from common.grids import grid_distance_mm
from common.io import VolumeReader
from common.io.nifti.reading import read_header

DTYPE, VOX_OFFSET, SLOPE = 70, 108, 112  # byte offsets in a NIfTI-1 header
DIM, QFORM_CODE, SFORM_CODE, QUATERN, SROW = 40, 252, 254, 256, 280


def ramp(shape: tuple[int, ...] = (4, 5, 6)) -> np.ndarray:
    return np.arange(np.prod(shape), dtype=np.float32).reshape(shape)


def read(path: Path) -> np.ndarray:
    return VolumeReader().read(path, "case_07").values


def save(path: Path, values: np.ndarray, affine: np.ndarray | None = None) -> Path:
    nib.save(nib.Nifti1Image(values, np.eye(4) if affine is None else affine), path)
    return path


def patched(path: Path, *patches: tuple[int, str, object]) -> Path:
    """A raw NIfTI file with fields of its header overwritten: byte offset, numpy type, value."""
    content = bytearray(save(path, ramp()).read_bytes())
    for offset, kind, value in patches:
        field = np.asarray(value, dtype=kind).tobytes()
        content[offset : offset + len(field)] = field
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
@pytest.mark.parametrize(("kind", "size", "place"), [(nib.Nifti1Image, 348, 108), (nib.Nifti2Image, 540, 168)])
def test_an_extension_where_the_header_has_the_voxels_begin(tmp_path, kind, size, place, ending) -> None:
    """32 bytes between header and voxels, by a vox_offset of before them: all that follows is shifted by 8 voxels."""
    image = kind(ramp(), np.eye(4))
    image.header.extensions.append(nib.nifti1.Nifti1Extension("comment", b"twenty-four bytes of it."))
    path = tmp_path / f"a{ending}"
    image.to_filename(path)
    assert np.array_equal(read(path), ramp())
    opened = gzip.open if ending == ".nii.gz" else open
    with opened(path, "rb") as file:
        content = bytearray(file.read())
    offset = size + 4
    assert len(content) == offset + 32 + 480
    content[place : place + (4 if size == 348 else 8)] = np.asarray(offset, "<f4" if size == 348 else "<i8").tobytes()
    with opened(path, "wb") as file:
        file.write(content)
    fault = "voxels begin inside an extension of the header"
    with pytest.raises(VolumeError, match=rf"{fault} \(vox_offset {offset}, 32 bytes after the voxels\); export"):
        read(path)
    with opened(path, "wb") as file:  # the flag alone, without an extension
        file.write(content[:offset] + content[offset + 32 :])
    assert np.array_equal(read(path), ramp())


def truncated(path: Path, keep: float) -> Path:
    rng = np.random.default_rng(0)
    save(path, rng.normal(size=(12, 12, 12)).astype(np.float32))
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * keep)])
    return path


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def linked(path: Path) -> Path:
    path.symlink_to("../.git/annex/objects/MD5E-s9--0.nii")
    return path


def flipped_bit(path: Path) -> Path:
    """A stored (not compressed) gzip member with one voxel bit changed: only the checksum can tell."""
    raw = save(path.with_name("raw.nii"), ramp()).read_bytes()
    content = bytearray(gzip.compress(raw, compresslevel=0))
    content[500] ^= 1
    return written(path, bytes(content))


def raw_bytes(path: Path) -> bytes:
    return save(path.with_name("other.nii"), ramp()).read_bytes()


def claimed(path: Path, side: int) -> Path:
    """A file of 832 bytes, or its compression, whose header claims a cube."""
    content = patched(path.with_name("raw.nii"), (DIM, "<i2", [3, side, side, side])).read_bytes()
    return written(path, gzip.compress(content) if path.suffix == ".gz" else content)


FAULTS = {
    "truncated gz": (lambda p: truncated(p / "mr.nii.gz", 0.9998), "read to its end .EOFError.*copy or export"),
    "gz of a cut file": (lambda p: written(p / "mr.nii.gz", gzip.compress(raw_bytes(p / "x")[:-20])), "20 bytes are"),
    "flipped bit": (lambda p: flipped_bit(p / "mr.nii.gz"), "cannot be read to its end.*CRC check failed"),
    "truncated nii": (lambda p: truncated(p / "mr.nii", 0.5), r"truncated \(3632 bytes, 12x12x12 float32 needs 7264\)"),
    "empty": (lambda p: written(p / "mr.nii.gz", b""), "the file is empty; copy or export it again"),
    "half a header": (lambda p: written(p / "mr.nii", raw_bytes(p / "x")[:100]), "no NIfTI header.*first 100 bytes"),
    "html": (lambda p: written(p / "mr.nii.gz", b"<!DOCTYPE html><html>"), "a web page.*download it again"),
    "other data": (lambda p: written(p / "mr.nii.gz", b"version 7"), "not NIfTI data.*begins with b'version '"),
    "pointer of Git LFS": (
        lambda p: written(p / "mr.nii.gz", b"version https://git-lfs.github.com/spec/v1"),
        "a link to content that is not here; get its content, as by git annex get or git lfs pull",
    ),
    "pointer of git-annex": (lambda p: written(p / "mr.nii", b"/annex/objects/MD5E-s9--0.nii"), "not here; get"),
    "link to nothing": (lambda p: linked(p / "mr.nii"), "a link to content that is not here; get its content"),
    "raw named gz": (lambda p: written(p / "mr.nii.gz", raw_bytes(p / "x")), "rename it to .nii$"),
    "gz named raw": (lambda p: written(p / "mr.nii", gzip.compress(raw_bytes(p / "x"))), r"rename it to .nii.gz$"),
    "gz of text": (lambda p: written(p / "mr.nii.gz", gzip.compress(b"hello")), "no NIfTI header .*first 5 bytes"),
    "pair header": (lambda p: patched(p / "mr.nii", (344, "S4", b"ni1")), "not a single-file NIfTI.*ni1"),
    "magic of NIfTI-2": (lambda p: patched(p / "mr.nii", (344, "S4", b"n+2")), "single-file NIfTI.*n.2.* of 348 bytes"),
    "nan voxels": (lambda p: save(p / "mr.nii", np.where(ramp() < 3, np.nan, ramp())), r"\(3 NaN .*--nan_fill 0"),
    "4-D": (lambda p: save(p / "mr.nii", ramp((3, 4, 5, 2))), r"fourth dimension \(2 instead of 1, .*set reader::ch"),
    "2-D": (lambda p: save(p / "mr.nii", ramp((3, 4))), r"not a 3-D volume \(2-D, 3x4\); export 3-D"),
    "rgb": (
        lambda p: save(p / "mr.nii", np.zeros((3, 4, 5), dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")])),
        r"voxels are not real numbers \(datatype 128",
    ),
    "complex": (lambda p: save(p / "mr.nii", ramp().astype(np.complex64)), r"are not real numbers \(complex values\)"),
    "unknown datatype": (lambda p: patched(p / "mr.nii", (DTYPE, "<i2", 999)), r"invalid header \(datatype 999"),
    "beyond float32": (
        lambda p: save(p / "mr.nii", np.where(ramp() == 5, -1e300, ramp().astype(np.float64))),
        r"do not fit float32 \(1e\+300\); rescale",
    ),
    "nan sform": (lambda p: patched(p / "mr.nii", (SROW, "<f4", np.nan)), r"not finite and invertible \(\[nan 0 0"),
    "singular sform": (lambda p: patched(p / "mr.nii", (SROW, "<f4", [0] * 4)), r"invertible \(\[0 0 0 0; 0 1"),
    "no rotation": (
        lambda p: patched(p / "mr.nii", (SFORM_CODE, "<i2", 0), (QFORM_CODE, "<i2", 1), (QUATERN, "<f4", 2)),
        r"not finite and invertible \(\[nan nan nan",
    ),
    "70 terabytes": (lambda p: claimed(p / "mr.nii", 32767), r"claims over 1073741824 values \(32767x32767x32767"),
    "more than deflate allows": (lambda p: claimed(p / "mr.nii.gz", 1000), r"truncated \(\d+ bytes, 1000x1000x1000"),
    "zero dimension": (lambda p: patched(p / "mr.nii", (DIM, "<i2", [3, 4, 0, 6])), r"invalid dim.*\[3, 4, 0, 6,"),
    "no dimensions": (lambda p: patched(p / "mr.nii", (DIM, "<i2", 0)), r"invalid dimensions in the header \(dim"),
    "intercept nan": (lambda p: patched(p / "mr.nii", (SLOPE, "<f4", [2, np.nan])), "the scaling is not finite"),
    "voxels inside the header": (lambda p: patched(p / "mr.nii", (VOX_OFFSET, "<f4", 0)), "begin inside the header"),
    "nan offset": (lambda p: patched(p / "mr.nii", (VOX_OFFSET, "<f4", np.nan)), "invalid header.*vox_offset nan"),
    "missing": (lambda p: p / "mr.nii", r"no such file \("),
}


@pytest.mark.parametrize("name", FAULTS)
def test_faults_name_case_file_value_and_remedy(name: str, tmp_path: Path) -> None:
    build, message = FAULTS[name]
    path = build(tmp_path)
    with pytest.raises(VolumeError, match=message) as caught:
        read(path)
    assert str(caught.value).startswith(f"case_07 ({path.name}): ")
    assert "\n" not in str(caught.value)
    again = pickle.loads(pickle.dumps(caught.value))  # as from a worker
    assert (str(again), again.finding) == (str(caught.value), caught.value.finding)


def test_the_most_compressible_volume_is_not_mistaken_for_a_lie(tmp_path: Path) -> None:
    raw = save(tmp_path / "raw.nii", np.zeros((200, 200, 200), dtype=np.uint8)).read_bytes()
    path = written(tmp_path / "mr.nii.gz", gzip.compress(raw, compresslevel=9))
    assert 8_000_352 / path.stat().st_size > 1000
    assert read(path).shape == (200, 200, 200)


def test_a_pipe_and_an_unreadable_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "a.nii.gz")
    with pytest.raises(VolumeError, match="a pipe, socket or device, not a file; copy"):
        read_header(tmp_path / "a.nii.gz", "c1")
    path = save(tmp_path / "mr.nii", ramp())

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(VolumeError, match="cannot read the file .PermissionError: .*; check its permissions"):
        read_header(path, "case")


def test_a_hostile_pickle_is_never_executed(tmp_path: Path) -> None:
    class Hostile:
        def __reduce__(self) -> tuple:
            return (tmp_path / "executed").touch, ()

    for name in ("mr.npy", "mr.pkl", "mr.nii", "mr.nii.gz"):
        with pytest.raises(VolumeError):
            read(written(tmp_path / name, pickle.dumps(Hostile())))
    assert not (tmp_path / "executed").exists()


def test_values_and_affine_are_those_of_the_file(tmp_path: Path) -> None:
    affine = np.array([[-2, 0, 0, 90], [0, 3, 0, -126], [0, 0, 4, -72], [0, 0, 0, 1.0]])
    image = nib.Nifti1Image(np.arange(24, dtype=np.int16).reshape(2, 3, 4), affine)
    image.header.set_slope_inter(0.5, 10)
    image.set_data_dtype(np.int16)
    path = tmp_path / "Größe und 空 (1).nii.gz"
    raw = bytearray(image.to_bytes())
    raw[SLOPE : SLOPE + 8] = np.array([0.5, 10], dtype="<f4").tobytes()
    written(path, gzip.compress(bytes(raw)))
    scan = VolumeReader().check(path, "case")
    values = scan.values
    assert values.dtype == np.float32
    assert values[0, 0].tolist() == [10, 10.5, 11, 11.5]
    assert values[1, 2, 3] == 23 * 0.5 + 10
    np.testing.assert_array_equal(scan.affine, affine)
    assert (values.shape, scan.warnings) == ((2, 3, 4), ())


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_a_header_that_claims_fewer_slices_than_the_file_holds(suffix: str, tmp_path: Path) -> None:
    whole = nib.Nifti1Image(np.arange(4 * 5 * 6, dtype=np.int16).reshape(4, 5, 6), np.eye(4)).to_bytes()
    fewer = bytearray(whole)
    fewer[46:48] = (4).to_bytes(2, "little")  # dim[3]
    packed = gzip.compress if suffix == ".nii.gz" else bytes
    path = written(tmp_path / f"a{suffix}", packed(fewer))
    fault = rf"\(a{suffix}\): .* more than its header claims \(80 bytes after 4x5x4 voxels"
    with pytest.raises(VolumeError, match=fault):
        read(path)
    assert read(written(path, packed(whole + b"\0"))).shape == (4, 5, 6)


def test_a_fourth_dimension_of_one_is_squeezed_and_channels_come_first(tmp_path: Path) -> None:
    one = save(tmp_path / "one.nii", ramp((3, 4, 5, 1)))
    np.testing.assert_array_equal(read(one), ramp((3, 4, 5)))
    two = save(tmp_path / "two.nii", ramp((3, 4, 5, 2)))
    values = VolumeReader().read(two, "case", channels=2).values
    assert values.shape == (2, 3, 4, 5)
    assert values[:, 0, 0, 1].tolist() == [2, 3]
    with pytest.raises(VolumeError, match=r"fourth dimension \(2 instead of 3, shape 3x4x5x2\)"):
        read_header(two, "case", channels=3)


def test_channels_along_the_fifth_dimension_as_itk_writes_vectors_are_read(tmp_path: Path) -> None:
    path = tmp_path / "vectors.nii"
    voxels = np.arange(2 * 3 * 4 * 3, dtype=np.float32).reshape(2, 3, 4, 3)  # z, y, x, channel
    itk.WriteImage(itk.GetImageFromArray(voxels, isVector=True), path)
    assert nib.load(path).shape == (4, 3, 2, 1, 3)
    np.testing.assert_array_equal(VolumeReader().read(path, "case", channels=3).values, voxels.transpose(3, 2, 1, 0))
    with pytest.raises(VolumeError, match=r"not a 3-D volume \(5-D, 3x4x5x2x2\); export 3-D"):
        read(save(tmp_path / "two.nii", ramp((3, 4, 5, 2, 2))))


def formed(path: Path, sform: np.ndarray | None, qform: np.ndarray | None, *codes: int) -> Path:
    """A file of 4 x 5 x 6 voxels of 2, 3 and 4 mm by its pixdim."""
    header = nib.Nifti1Header()
    header.set_data_shape((4, 5, 6))
    header.set_qform(np.diag([2, 3, 4, 1.0]), 1)
    header.set_sform(sform, codes[0])
    header.set_qform(qform, codes[1])
    nib.save(nib.Nifti1Image(ramp((4, 5, 6)), None, header), path)
    return path


MM234 = np.diag([2.0, 3.0, 4.0, 1.0])
ASIDE = MM234 + np.array([[0, 0, 0, 7.0], [0] * 4, [0] * 4, [0] * 4])
SHEARED = MM234 + np.array([[0, 0, 1.0, 0], [0] * 4, [0] * 4, [0] * 4])
SHEARED[:3, 2] *= 4 / np.linalg.norm(SHEARED[:3, 2])


@pytest.mark.parametrize(
    ("forms", "told"),
    [
        ((MM234, ASIDE, 1, 1), "the sform is used, as by SimpleITK and ANTs"),
        ((MM234, ASIDE, 1, 2), "the sform is used, as by SimpleITK and ANTs"),
        ((MM234, ASIDE, 2, 1), "the sform is used, SimpleITK and ANTs take the qform, up to 7 mm away"),
        ((MM234, ASIDE, 4, 1), "the sform is used, SimpleITK and ANTs take the qform, up to 7 mm away"),
        # 5 voxels of 4 mm along z, whose length pixdim gives as 4 and the sform as 8
        ((np.diag([2, 3, 8, 1.0]), None, 1, 0), "the sform is used, SimpleITK and ANTs take pixdim, up to 20 mm away"),
        ((SHEARED, None, 1, 0), "the sform is used, SimpleITK and ANTs refuse the file"),
        ((SHEARED, MM234, 1, 1), "the sform is used, SimpleITK and ANTs take the qform, up to 4.89 mm away"),
        # nibabel has the middle of the volume at 0, ITK its first voxel, and y turned: 3, 18 and 10 mm
        ((None, None, 0, 0), "SimpleITK and ANTs take pixdim from 0, up to 20.8 mm away"),
    ],
)
def test_a_warning_names_who_reads_the_forms_otherwise(forms: tuple, told: str, tmp_path: Path) -> None:
    """And so does SimpleITK 2.5.7 (ITK 5.4): the sform by code 1 alone where there is a qform; nibabel 5.4.2 always."""
    path = formed(tmp_path / "a.nii", *forms)
    header = read_header(path, "c")
    (warning,) = header.warnings
    assert told in warning.remedy
    read = itk.ImageFileReader()
    read.SetFileName(str(path))
    if "refuse" in told:
        with pytest.raises(RuntimeError, match="orthonormal"):
            read.ReadImageInformation()
        return
    read.ReadImageInformation()
    of_itk = np.eye(4)
    of_itk[:3, :3] = np.reshape(read.GetDirection(), (3, 3)) * read.GetSpacing()
    of_itk[:3, 3] = read.GetOrigin()
    apart = grid_distance_mm((4, 5, 6), np.diag([-1, -1, 1, 1]) @ of_itk, header.affine)
    shown = re.search(r"up to ([\d.]+) mm", warning.remedy)
    assert apart == pytest.approx(float(shown[1]) if shown else 0, abs=0.05)


def test_a_qform_without_a_sign_has_the_standards(tmp_path: Path) -> None:
    """pixdim[0], at byte 76, is 1, -1, or 0, "which should be treated as 1" (nifti1.h)."""
    fields = ((QFORM_CODE, "<i2", 1), (SFORM_CODE, "<i2", 0))
    found, expected = (
        read_header(patched(tmp_path / f"{sign}.nii", *fields, (76, "<f4", sign)), "case").affine for sign in (0, 1)
    )
    np.testing.assert_array_equal(found, expected)
    assert np.isfinite(found).all()


@pytest.mark.parametrize(("slope", "shown"), [(0.0, "0"), (np.nan, "nan")])
def test_a_slope_of_zero_or_nan_is_noted_and_values_are_as_stored(slope: float, shown: str, tmp_path: Path) -> None:
    path = patched(tmp_path / "mr.nii", (SLOPE, "<f4", slope))
    (warning,) = read_header(path, "case").warnings
    assert (warning.value, warning.severity) == (shown, "warning")
    assert "scl_inter" not in warning.remedy
    (warning,) = read_header(patched(tmp_path / "b.nii", (SLOPE, "<f4", slope), (SLOPE + 4, "<f4", 10)), "c").warnings
    assert warning.remedy.endswith("SimpleITK and ANTs add scl_inter 10")
    added = itk.GetArrayFromImage(itk.ReadImage(str(tmp_path / "b.nii"))).T - ramp()
    np.testing.assert_allclose(added, 10)
    np.testing.assert_array_equal(read(path), ramp())
