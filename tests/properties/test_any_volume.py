"""Volumes of any bytes and headers: read as they say, finite and on a grid, or refused in one line."""

from __future__ import annotations

import gzip
import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pydicom
import pytest
from dicom_phantom import Grid, write_series
from hypothesis import given
from hypothesis import strategies as st
from nibabel.spatialimages import HeaderDataError
from outcomes import PLACES, box, damaged, ended, examples
from pydicom import config
from pydicom.dataelem import DataElement
from pydicom.uid import ExplicitVRBigEndian, JPEG2000Lossless, RLELossless

from common.io import Scan, VolumeReader

pytest.importorskip("SimpleITK")
SHAPE, AFFINE = (6, 5, 4), np.diag([8.0, 9, 10, 1])
VALUES = np.arange(120, dtype=np.int16).reshape(SHAPE)


def require_sound(path: Path, root: Path) -> Scan | None:
    """What is read has finite values on a grid."""
    scan = ended(lambda: VolumeReader().read(path, "case_1"), root)
    if scan is not None:
        assert (scan.values.dtype, scan.values.ndim) == (np.float32, 3)
        assert np.isfinite(scan.values).all()
        assert np.isfinite(scan.affine).all()
        assert abs(np.linalg.det(scan.affine[:3, :3])) > 0
    return scan


NUMBERS = (
    0, 1, -1, 2, 3, 0.5, 5, 7, 16, 64, 128, 255, 351, 352, 512, 2304, 32767, -32768, 1e-6, 1e6, 1e30, -1e30, np.nan,
    np.inf, -np.inf,
)  # fmt: skip
FIELDS = nib.Nifti1Header().structarr.dtype
GEOMETRY = (
    "dim", "pixdim", "datatype", "bitpix", "vox_offset", "scl_slope", "scl_inter", "qform_code", "sform_code",
    "quatern_b", "qoffset_x", "srow_x", "srow_y", "xyzt_units", "magic", "sizeof_hdr",
)  # fmt: skip


@st.composite
def nifti(draw: Any) -> bytes:
    """A file whose header has some fields of another value, and perhaps damaged bytes."""
    kind = draw(st.sampled_from((nib.Nifti1Image, nib.Nifti2Image)))
    dtype = draw(st.sampled_from(("<i2", ">i2", "<f4", "<f8", "u1", "<c8", "<u4")))
    raw = bytearray(kind(VALUES.astype(dtype), AFFINE, dtype=np.dtype(dtype)).to_bytes())
    size = kind.header_class.template_dtype.itemsize
    for name in draw(st.lists(st.sampled_from(GEOMETRY) | st.sampled_from(FIELDS.names), max_size=2)):
        fields = np.frombuffer(raw[:size], kind.header_class.template_dtype).copy()
        if name in fields.dtype.names:
            cell = fields[name].reshape(-1)
            at = draw(PLACES) % cell.size
            value = draw(st.sampled_from(NUMBERS))
            if cell.dtype.kind in "iu":
                limits = np.iinfo(cell.dtype)
                value = int(min(max(np.nan_to_num(value), limits.min), limits.max))
            cell[at] = f"n+{value}".encode() if cell.dtype.kind == "S" else value
            raw[:size] = fields.tobytes()
    return draw(st.just(bytes(raw)) | damaged(bytes(raw)))


@examples(60)
@given(nifti(), st.booleans(), st.sampled_from((None, None, "twice", "misnamed")))
def test_nifti_is_read_as_nibabel_reads_it_or_refused(content: bytes, is_packed: bool, packing: str | None) -> None:
    with box() as root:
        path = root / "in" / ("mr.nii.gz" if is_packed else "mr.nii")
        times = {None: is_packed, "twice": 2, "misnamed": not is_packed}[packing]
        for _ in range(times):
            content = gzip.compress(content, 1, mtime=0)
        path.write_bytes(content)
        scan = require_sound(path, root)
        if scan is not None and not scan.warnings:
            with suppress(HeaderDataError):  # nibabel refuses what has no meaning, such as the marks of ends of lines
                image: Any = nib.load(path)
                assert np.array_equal(scan.values, np.asarray(image.dataobj).squeeze().astype(np.float32))
                np.testing.assert_allclose(scan.affine, image.affine)


HEADERS = {
    ".nrrd": {
        "type": "short", "dimension": "3", "space": "left-posterior-superior", "sizes": "6 5 4",
        "space directions": "(8,0,0) (0,9,0) (0,0,10)", "kinds": "domain domain domain", "endian": "little",
        "encoding": "raw", "space origin": "(0,0,0)", "space units": '"mm" "mm" "mm"',
    },
    ".mha": {
        "ObjectType": "Image", "NDims": "3", "BinaryData": "True", "BinaryDataByteOrderMSB": "False",
        "CompressedData": "False", "TransformMatrix": "1 0 0 0 1 0 0 0 1", "Offset": "0 0 0",
        "AnatomicalOrientation": "RAI", "ElementSpacing": "8 9 10", "DimSize": "6 5 4", "ElementType": "MET_SHORT",
    },
}  # fmt: skip
TEXTS = (
    "", "0", "-1", "1", "2", "4", "nan", "inf", "1e30", "text", "größe µ", "0 0 0", "6 5", "6 5 4 1", "6 5 99",
    "(1,0,0) (1,0,0) (0,0,1)", "(nan,0,0) (0,1,0) (0,0,1)", "none", "1 1 1 1 1 1 1 1 1", "nan 1 1", "gzip", "big",
    "float", "double", "MET_DOUBLE", "True", "MET_UCHAR", "scanner-xyz", '"cm" "cm" "cm"', "../mr.raw", "LPS", "9" * 40,
)  # fmt: skip
MORE = ("old min", "ElementToIntensityFunctionSlope", "measurement frame", "data file", "HeaderSize", "line skip")


@examples(40)
@given(st.data(), st.sampled_from(sorted(HEADERS)))
def test_metaimage_and_nrrd_of_any_header(data: st.DataObject, suffix: str) -> None:
    fields = dict(HEADERS[suffix])
    for name in data.draw(st.lists(st.sampled_from((*fields, *MORE)), max_size=2)):
        fields[name] = data.draw(st.sampled_from((*TEXTS, None)))
    mark, first, last = (": ", "NRRD0005\n", "\n") if suffix == ".nrrd" else (" = ", "", "ElementDataFile = LOCAL\n")
    lines = [f"{name}{mark}{value}\n" for name, value in fields.items() if value is not None]
    content = "".join([first, *lines, last]).encode() + VALUES.tobytes("F")
    with box() as root:
        (root / "in" / f"mr{suffix}").write_bytes(data.draw(st.just(content) | st.just(content) | damaged(content)))
        require_sound(root / "in" / f"mr{suffix}", root)


READ = (
    "PixelSpacing", "ImageOrientationPatient", "ImagePositionPatient", "Rows", "Columns", "BitsAllocated", "BitsStored",
    "HighBit", "PixelRepresentation", "SamplesPerPixel", "PhotometricInterpretation", "RescaleSlope", "PixelData",
    "RescaleIntercept", "Modality", "SeriesInstanceUID", "InstanceNumber", "ImageType", "SliceThickness", "SOPClassUID",
    "SpecificCharacterSet", "PatientPosition", "FrameOfReferenceUID", "SOPInstanceUID",
)  # fmt: skip
OTHERS: Mapping[str, object] = {
    "PatientID": "OTHER", "StudyInstanceUID": "1.2.9", "Modality": "PT", "ImageType": ["DERIVED", "LOCALIZER"],
    "EchoTime": "99", "FlipAngle": "70", "DiffusionBValue": 1000.0, "TemporalPositionIdentifier": "2",
    "AcquisitionNumber": "2", "GantryDetectorTilt": "20", "PatientPosition": "FFS", "PixelSpacing": ["3", "3"],
    "RescaleType": "US", "PhotometricInterpretation": "MONOCHROME1", "NumberOfFrames": "2", "Units": "BQML",
}  # fmt: skip
ELEMENTS = ("", "0", "-1", "1e30", "nan", "text", "größe", "1\\2", "6\\6\\6", "9" * 20, "\\", "inf", "1\\0\\0\\0\\0\\1")
SYNTAXES = (RLELossless, JPEG2000Lossless, ExplicitVRBigEndian, "1.2.840.10008.1.2", "1.2.3", "")


@pytest.fixture(scope="module")
def series(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("series") / "mr"
    write_series(folder, Grid(SHAPE, (8.0, 9.0, 10.0)), "MR")
    return folder


@st.composite
def change(draw: Any) -> Callable[[Any], None]:
    """A change of one element of a slice."""
    how = draw(st.sampled_from(("deleted", "empty", "text", "number", "type", "other")))
    name, syntax = draw(st.sampled_from(READ)), draw(st.sampled_from((None, None, None, *SYNTAXES)))
    text, number = draw(st.sampled_from(ELEMENTS)), draw(st.sampled_from((0, 1, 2, 7, 33, 40, 99)))
    kind, other = draw(st.sampled_from(("US", "LO", "SQ", "OB", "FD", "UN"))), draw(st.sampled_from(sorted(OTHERS)))
    of_kind = {"US": 7, "SQ": [], "OB": b"ab", "FD": 1.5, "UN": b"ab"}

    def changed(header: Any) -> None:
        element = header[name]
        if syntax is not None:
            header.file_meta.TransferSyntaxUID = syntax
        elif how == "deleted":
            del header[name]
        elif how == "other":
            setattr(header, other, OTHERS[other])
        else:
            values: dict[str, tuple[str, Any]] = {
                "empty": (element.VR, None),
                "type": (kind, of_kind.get(kind, text)),
                "number": (element.VR if element.VR == "US" else "IS", number),
                "text": ("OW", text.encode() * 2) if element.VR == "OW" else ("LO", text.split("\\")),
            }
            vr, value = values[how]
            header[name] = DataElement(element.tag, vr, value, validation_mode=config.IGNORE)

    return changed


def rewrite(path: Path, changed: Callable[[Any], None]) -> None:
    """A slice as its elements stand, be they valid or not; unchanged where pydicom itself cannot write them."""
    before, header = path.read_bytes(), pydicom.dcmread(path)
    try:
        with config.disable_value_validation():
            changed(header)
            header.save_as(path, enforce_file_format=False)
    except Exception:  # pydicom has many
        path.write_bytes(before)


@examples(50)
@given(data=st.data(), how=st.sampled_from(("one slice", "one slice", "every slice", "bytes", "slices")))
def test_series_of_any_slices(series: Path, data: st.DataObject, how: str) -> None:
    with box() as root:
        folder = root / "in" / "mr"
        shutil.copytree(series, folder)
        files = sorted(folder.iterdir())
        path = data.draw(st.sampled_from(files))
        if how == "bytes":
            path.write_bytes(data.draw(damaged(path.read_bytes())))
        elif how == "slices":
            path.rename(folder / "copy") if data.draw(st.booleans()) else shutil.copy(path, folder / "copy.dcm")
            files[0].unlink(missing_ok=True)
        else:
            changed = data.draw(change())
            for each in [path] if how == "one slice" else files:
                rewrite(each, changed)
        require_sound(folder, root)
