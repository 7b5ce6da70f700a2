"""MetaImage and NRRD files give the values and the affine of the same volume as NIfTI, and take them back."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from common.errors import OutputError, VolumeError
from common.grids import same_grid
from common.io.export import VolumeExporter
from common.io.itk_files import SUFFIXES, write_itk
from common.io.reader import VolumeReader
from common.transforms import LoadVolumed

itk = pytest.importorskip("SimpleITK")
VALUES = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
RAS = np.array([[-1.0, 0, 0, -10], [0, -2, 0, -20], [0, 0, 3, 30], [0, 0, 0, 1]])
"""Of a file with spacing 1, 2, 3 mm and origin 10, 20, 30 mm in LPS."""
OBLIQUE = nib.affines.from_matvec(nib.eulerangles.euler2mat(0.3, -0.2) * [-0.9, 1.1, 3], [12.5, -30, 7])
Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def written(values: np.ndarray, name: str = "mr.mha") -> Path:
        image = itk.GetImageFromArray(np.ascontiguousarray(values.T))  # ITK's arrays are Z, Y, X
        image.SetSpacing([1.0, 2.0, 3.0][: values.ndim])
        image.SetOrigin([10.0, 20.0, 30.0][: values.ndim])
        itk.WriteImage(image, str(tmp_path / name))
        return tmp_path / name

    return written


def nrrd(path: Path, **fields: str | None) -> Path:
    """A text file with the volume of :data:`VALUES` and :data:`RAS`, whose header is changed."""
    header = {
        "type": "float", "dimension": "3", "space": "left-posterior-superior", "sizes": "2 3 4",
        "space directions": "(1,0,0) (0,2,0) (0,0,3)", "endian": "little", "encoding": "ascii",
        "space origin": "(10,20,30)",
    }  # fmt: skip
    header |= {name.replace("_", " "): value for name, value in fields.items()}  # type: ignore[misc]
    lines = [f"{name}: {value}" for name, value in header.items() if value is not None]
    data = " ".join(f"{value:g}" for value in VALUES.ravel(order="F"))
    path.write_text("NRRD0004\n" + "\n".join(lines) + f"\n\n{data}\n")
    return path


@pytest.mark.parametrize("suffix", [*SUFFIXES, *map(str.upper, SUFFIXES)])
def test_values_and_affine(write: Write, suffix: str) -> None:
    path = write(VALUES, f"mr{suffix.lower()}")
    scan = VolumeReader().read(path.rename(path.with_suffix(suffix)), "a")
    np.testing.assert_array_equal(scan.values, VALUES)
    np.testing.assert_allclose(scan.affine, RAS)
    assert (scan.values.dtype, scan.warnings, scan.series_uid) == (np.float32, (), None)


@pytest.mark.parametrize(
    ("space", "directions", "origin", "faults"),
    [
        ("LPS", "(1,0,0) (0,2,0) (0,0,3)", "(10,20,30)", []),
        ("right-anterior-superior", "(-1,0,0) (0,-2,0) (0,0,3)", "(-10,-20,30)", []),
        ("left-anterior-superior", "(1,0,0) (0,-2,0) (0,0,3)", "(10,-20,30)", []),
        ("LPS", "(1,0,0) (0,2,0) (0,0,3)", None, ["no space origin in the header"]),
    ],
)
def test_all_three_spaces_of_patients_lead_to_one_affine(
    tmp_path: Path, space: str, directions: str, origin: str | None, faults: list[str]
) -> None:
    path = nrrd(tmp_path / "mr.nrrd", space=space, space_directions=directions, space_origin=origin)
    scan = VolumeReader().check(path, "a")
    np.testing.assert_array_equal(scan.values, VALUES)
    np.testing.assert_allclose(scan.affine[:3, :3], RAS[:3, :3])
    np.testing.assert_allclose(scan.affine[:3, 3], 0 if origin is None else RAS[:3, 3])
    assert [warning.fault for warning in scan.warnings] == faults


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"space": "scanner-xyz"}, r"the space is not one of left-posterior-superior, .* \(scanner-xyz\); export"),
        ({"space": None, "space_dimension": "3"}, r"the space is not one of .* \(none\); export it in the patient"),
        ({"space_directions": None}, "no space directions in the header; export it with"),
        ({"space_directions": "(0,0,0) (0,2,0) (0,0,3)"}, r"ITK cannot read the file \("),
        ({"data_file": "../other/mr.raw"}, r"not in one file next to the header \(\.\./other/mr\.raw\); put both"),
        ({"kinds": "domain domain time"}, r"an axis is not one of space \(kinds: .* time\); export 3-D volumes"),
        ({"old_min": "-1024"}, r"the values were quantised \(oldmin: -1024\); export them in their unit"),
        ({"oldmax": "3000"}, r"the values were quantised \(oldmax: 3000\)"),
        ({"KINDS": "domain domain Time"}, r"an axis is not one of space \(kinds: domain domain Time\)"),
        ({"Space_Units": '"mm" "mm" "cm"'}, r"axes have different units \(cm, mm\); export it in mm"),
        ({"space_units": '"in" "in" "in"'}, r"the unit of lengths is unknown \(in\); export it in mm"),
    ],
)
def test_an_nrrd_that_leaves_its_place_open_is_refused(
    tmp_path: Path, fields: dict[str, str | None], message: str
) -> None:
    path = nrrd(tmp_path / "mr.nrrd", **fields)
    with pytest.raises(VolumeError, match=rf"a \(mr\.nrrd\): .*{message}"):
        VolumeReader().check(path, "a")


@pytest.mark.parametrize(("unit", "size"), [("mm", 1), ("um", 0.001), ("cm", 10), ("m", 1000)])
def test_units_of_lengths_are_converted(tmp_path: Path, unit: str, size: float) -> None:
    """ITK passes them over."""
    directions = f"({100 / size},0,0) (0,{200 / size},0) (0,0,{300 / size})"
    fields = {"space_directions": directions, "space_origin": f"({1000 / size},{2000 / size},{3000 / size})"}
    path = nrrd(tmp_path / "mr.nrrd", space_units=f'"{unit}" "{unit}" "{unit}"', **fields)
    scan = VolumeReader().check(path, "a")
    np.testing.assert_allclose(scan.affine, RAS * [[100], [100], [100], [1]])
    grid = VolumeReader().extent(path, "a")
    assert grid is not None
    np.testing.assert_allclose(grid.affine, scan.affine)
    assert [note.summary for note in scan.warnings] == (
        [] if unit == "mm" else [f"the unit of lengths is not mm ({unit})"]
    )


def test_the_unit_of_the_samples_is_noted_and_the_frame_of_a_measurement_has_no_effect(tmp_path: Path) -> None:
    """Fields of NRRD0004 and NRRD0005 (teem's description); ITK 5.4 passes over the first, the second is of vectors."""
    frame = "(0,1,0) (1,0,0) (0,0,1)"
    path = nrrd(tmp_path / "mr.nrrd", sample_units='"0.1 HU"', measurement_frame=frame)
    scan = VolumeReader().check(path, "a")
    np.testing.assert_array_equal(scan.values, VALUES)
    np.testing.assert_allclose(scan.affine, RAS)
    told = "a (mr.nrrd): sample units are given (0.1 HU); values are read as they are stored"
    assert [str(note) for note in scan.warnings] == [told]


def metaimage(path: Path, **changed: str | None) -> Path:
    """A file with the volume of :data:`VALUES` and :data:`RAS`, whose header is changed."""
    header = {
        "ObjectType": "Image", "NDims": "3", "BinaryData": "True", "BinaryDataByteOrderMSB": "False",
        "TransformMatrix": "1 0 0 0 1 0 0 0 1", "Offset": "10 20 30", "CenterOfRotation": "0 0 0",
        "AnatomicalOrientation": "RAI", "ElementSpacing": "1 2 3", "DimSize": "2 3 4", "ElementType": "MET_FLOAT",
        "ElementDataFile": "LOCAL",
    } | changed  # fmt: skip
    fields = sorted(header.items(), key=lambda field: field[0] == "ElementDataFile")  # the last one
    lines = [f"{name} = {value}\n" for name, value in fields if value is not None]
    path.write_bytes("".join(lines).encode() + VALUES.tobytes(order="F"))
    return path


TURNED = np.array([[0, -2, 0, -10], [1, 0, 0, -20], [0, 0, 3, 30], [0, 0, 0, 1.0]])
"""Of :data:`RAS` with its first axis from back to front, and its second from right to left."""
HONOURED: dict[str, tuple[dict[str, str | None], np.ndarray, np.ndarray, list[str]]] = {
    "plain": ({}, RAS, VALUES, []),
    "unit": (
        {"DistanceUnits": "cm", "ElementSpacing": "10 20 30", "Offset": "100 200 300"},
        RAS * [[100], [100], [100], [1]], VALUES, ["the unit of lengths is not mm (cm)"],
    ),
    "slope": (
        {"ElementToIntensityFunctionSlope": "0.5", "ElementToIntensityFunctionOffset": "-1024"},
        RAS, VALUES / 2 - 1024, ["ElementToIntensityFunction is given (0.5 x stored value + -1024)"],
    ),
    "turned": ({"TransformMatrix": "0 -1 0 1 0 0 0 0 1", "AnatomicalOrientation": "PRI"}, TURNED, VALUES, []),
    "letters": (
        {"AnatomicalOrientation": "LPI"},
        RAS, VALUES, ["AnatomicalOrientation and TransformMatrix differ (LPI)"],
    ),
    "letters unknown": ({"AnatomicalOrientation": "???"}, RAS, VALUES, []),
    "centre": (
        {"CenterOfRotation": "5 5 5", "TransformMatrix": "0 -1 0 1 0 0 0 0 1", "AnatomicalOrientation": None},
        TURNED, VALUES, ["CenterOfRotation is not 0 (5 5 5)"],
    ),
    "no place": ({"Offset": None}, RAS @ np.array([[1, 0, 0, -10], [0, 1, 0, -10], [0, 0, 1, -10], [0, 0, 0, 1]]),
                 VALUES, ["no Offset in the header"]),
    "no matrix": ({"TransformMatrix": None, "AnatomicalOrientation": None}, RAS, VALUES,
                  ["no TransformMatrix in the header"]),
    "size of the elements": ({"ElementSpacing": None, "ElementSize": "1 2 3"}, RAS, VALUES, []),
    "a step backwards": ({"ElementSpacing": "-1 2 3"}, RAS @ np.diag([-1, 1, 1, 1]), VALUES, []),
}  # fmt: skip


@pytest.mark.parametrize("name", HONOURED)
def test_fields_of_a_metaimage_that_are_honoured(tmp_path: Path, name: str) -> None:
    changed, affine, values, warnings = HONOURED[name]
    scan = VolumeReader().check(metaimage(tmp_path / "mr.mha", **changed), "a")
    np.testing.assert_allclose(scan.affine, affine, atol=1e-12)
    np.testing.assert_array_equal(scan.values, values)
    assert [note.summary for note in scan.warnings] == warnings


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"NDims": None}, r"not a 3-D volume \(NDims is not 3\); export it again"),
        ({"NDims ": "2"}, r"not a 3-D volume \(NDims is not 3\)"),  # twice, of which ITK has both
        ({"ElementSpacing": None}, "no ElementSpacing in the header; export it with its geometry"),
        ({"ElementDataFile": "/etc/hostname"}, "the voxels are not in one file next .*/etc/hostname.; put both"),
        ({"DistanceUnits": "inch"}, r"the unit of lengths is unknown \(inch\); export it in mm"),
        ({"TransformMatrix": "2 0 0 0 1 0 0 0 1"}, r"axes of TransformMatrix have not the length 1 \(2 0 0 0 1"),
        ({"TransformMatrix": "1 0 0 0 1"}, r"TransformMatrix is not 9 finite numbers \(1 0 0 0 1\)"),
        (
            {"TransformMatrix": None, "AnatomicalOrientation": "LPI"},
            r"no TransformMatrix .* AnatomicalOrientation \(LPI",
        ),
        ({"ElementToIntensityFunctionSlope": "0"}, "ElementToIntensityFunctionSlope is 0; export the file again"),
        ({"ElementSpacing": "0 2 3"}, "ITK cannot read the file"),
    ],
)
def test_fields_of_a_metaimage_that_are_refused(tmp_path: Path, changed: dict[str, str | None], message: str) -> None:
    with pytest.raises(VolumeError, match=rf"a \(mr\.mha\): {message}"):
        VolumeReader().check(metaimage(tmp_path / "mr.mha", **changed), "a")


@pytest.mark.parametrize(
    ("name", "voxels"), [("a.mha", "a.mha"), ("a.mhd", "a.zraw"), ("a.nrrd", "a.nrrd"), ("a.nhdr", "a.raw.gz")]
)
def test_damaged_compressed_voxels_are_refused_before_itk_reads_them(tmp_path: Path, name: str, voxels: str) -> None:
    values = np.random.default_rng(0).integers(-1000, 1000, (32, 32, 32), np.int16)
    image = itk.GetImageFromArray(values.T)
    itk.WriteImage(image, str(tmp_path / name), useCompression=True)
    np.testing.assert_array_equal(VolumeReader().check(tmp_path / name, "a").values, values)
    content = bytearray((tmp_path / voxels).read_bytes())
    middle = len(content) // 2
    content[middle : middle + 16] = b"\xff" * 16
    (tmp_path / voxels).write_bytes(content)
    with pytest.raises(VolumeError, match=rf"a \({name}\): the file cannot be read to its end .*; copy or export"):
        VolumeReader().check(tmp_path / name, "a")


@pytest.mark.parametrize("name", ["a.mha", "a.mhd", "a.nrrd", "a.nhdr"])
@pytest.mark.parametrize("is_compressed", [False, True])
def test_more_voxels_than_the_header_claims_are_refused(write: Write, name: str, is_compressed: bool) -> None:
    """ITK takes the first ones for a smaller volume, here that of one row less."""
    path = write(VALUES, name)
    itk.WriteImage(itk.ReadImage(str(path)), str(path), useCompression=is_compressed)
    content = path.read_bytes()
    smaller = {b"DimSize = 2 3 4": b"DimSize = 2 2 4", b"sizes: 2 3 4": b"sizes: 2 2 4"}
    for claimed, less in smaller.items():
        content = content.replace(claimed, less)
    path.write_bytes(content)
    with pytest.raises(VolumeError, match=r"more than its header claims \(96 bytes for 64\); export the file again"):
        VolumeReader().check(path, "a")


@pytest.mark.parametrize(
    ("name", "last", "field"), [("a.mhd", "ElementDataFile", "HeaderSize = "), ("a.nhdr", "data file", "byte skip: ")]
)
@pytest.mark.parametrize("skipped", ["8", "-1"])
def test_bytes_before_the_voxels_are_skipped_where_the_header_says_so(
    write: Write, name: str, last: str, field: str, skipped: str
) -> None:
    path = write(VALUES, name)
    raw = path.with_suffix(".raw")
    raw.write_bytes(b"8 bytes." + raw.read_bytes())
    with pytest.raises(VolumeError, match=r"more than its header claims \(104 bytes for 96\)"):
        VolumeReader().check(path, "a")
    before, word, after = path.read_text().rpartition(last)
    path.write_text(f"{before}{field}{skipped}\n{word}{after}")
    np.testing.assert_array_equal(VolumeReader().check(path, "a").values, VALUES)


def test_a_compressed_metaimage_needs_the_size_by_which_itk_finds_its_voxels(write: Write) -> None:
    path = write(VALUES)
    itk.WriteImage(itk.ReadImage(str(path)), str(path), useCompression=True)
    lines = path.read_bytes().split(b"\n", 6)
    path.write_bytes(b"\n".join(line for line in lines if not line.startswith(b"CompressedDataSize")))
    with pytest.raises(VolumeError, match="no CompressedDataSize in the header; export the file again"):
        VolumeReader().check(path, "a")


def test_a_file_of_voxels_may_be_named_by_the_folder_of_the_header(write: Write) -> None:
    path = write(VALUES, "a.nhdr")
    path.write_text(path.read_text().replace("data file: a.raw", "data file: ./a.raw"))
    np.testing.assert_array_equal(VolumeReader().check(path, "a").values, VALUES)


def test_nan_is_an_error_or_replaced(write: Write) -> None:
    values = VALUES.copy()
    values[1, 2, 3] = np.nan
    path = write(values)
    with pytest.raises(VolumeError, match=r"a \(mr\.mha\): voxels are not finite \(1 NaN or Inf of 24 voxels\)"):
        VolumeReader().check(path, "a")
    filled = VolumeReader(nan_fill=-1000).check(path, "a").values
    assert (filled[1, 2, 3], filled.dtype) == (-1000, np.float32)


@pytest.mark.parametrize("nan_fill", [None, 0])
def test_a_value_beyond_float32_is_never_taken_for_infinity(write: Write, nan_fill: float | None) -> None:
    with pytest.raises(VolumeError, match=r"a \(mr\.mha\): values do not fit float32 \(1e\+300\); rescale"):
        VolumeReader(nan_fill).check(write(VALUES.astype(float) - np.where(VALUES == 5, 1e300, 0)), "a")


def test_other_files_are_refused(write: Write, tmp_path: Path) -> None:
    with pytest.raises(VolumeError, match=r"a \(mr\.mha\): not a 3-D volume \(NDims is not 3\); export it again"):
        VolumeReader().check(write(VALUES[0]), "a")
    colour = itk.GetImageFromArray(np.zeros((4, 3, 2, 3), np.uint8), isVector=True)
    itk.WriteImage(colour, str(tmp_path / "colour.nrrd"))
    (tmp_path / "text.mha").write_text("text\nElementSpacing = 1 1 1\n")
    (tmp_path / "annex.mha").write_text("/annex/objects/MD5E-s9--0.mha")
    (tmp_path / "link.nrrd").symlink_to("nowhere.nrrd")
    os.mkfifo(tmp_path / "pipe.mha")
    for name in ("cut.mha", "cut.nrrd"):
        path = write(VALUES, name)
        path.write_bytes(path.read_bytes()[:-20])
    for name, fault in {
        "colour.nrrd": r"not a 3-D volume .* \(3 dimensions, 3 channels\)",
        "text.mha": r"not a 3-D volume \(NDims is not 3\)",
        **dict.fromkeys(("cut.mha", "cut.nrrd"), r"the file cannot be read to its end \(76 of 96 bytes\); copy or"),
        **dict.fromkeys(("annex.mha", "link.nrrd"), "a link to content that is not here; get its content"),
        "pipe.mha": "a pipe, socket or device, not a file; copy the file itself",
        "no.mha": r"no such file \(",
    }.items():
        with pytest.raises(VolumeError, match=rf"a \({name}\): {fault}"):
            VolumeReader().check(tmp_path / name, "a")


@pytest.mark.parametrize("suffix", [".nrrd", ".mha"])
@pytest.mark.parametrize("affine", [RAS, OBLIQUE], ids=["straight", "oblique"])
def test_written_volumes_read_back_are_the_same(tmp_path: Path, suffix: str, affine: np.ndarray) -> None:
    path = tmp_path / f"ct{suffix}"
    write_itk(VALUES - 7, affine, str(path), "int16", {"SyntheticData": "YES"})
    scan = VolumeReader().check(path, "a")
    np.testing.assert_array_equal(scan.values, VALUES - 7)
    assert same_grid(scan.values.shape, scan.affine, VALUES.shape, affine)
    assert scan.warnings == ()
    image = itk.ReadImage(str(path))
    assert (image.GetPixelIDTypeAsString(), image.GetMetaData("SyntheticData")) == ("16-bit signed integer", "YES")
    place = image.TransformIndexToPhysicalPoint((1, 2, 3))
    np.testing.assert_allclose(place, (affine @ [1, 2, 3, 1])[:3] * [-1, -1, 1], atol=1e-5)


def test_a_sheared_grid_cannot_be_written(tmp_path: Path) -> None:
    sheared = RAS.copy()
    sheared[0, 1] = 0.5
    with pytest.raises(OutputError, match=r"ct\.nrrd: the axes of the affine .* are not at right angles: write NIfTI"):
        write_itk(VALUES, sheared, str(tmp_path / "ct.nrrd"), "int16", {})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["nrrd", "mha"])
def test_the_exporter_writes_it_marked_as_synthetic(write: Write, tmp_path: Path, name: str) -> None:
    (tmp_path / "w.pt").write_bytes(b"weights")
    out = str(tmp_path / "out")
    exporter = VolumeExporter(out, "ct", "CT", "HU", "b 1", str(tmp_path / "w.pt"), output_format=name)
    item = {**LoadVolumed("image")({"image": str(write(VALUES, "mr.nrrd"))}), "case": "a"}
    path = exporter.write(item, VALUES * 2)
    assert path == tmp_path / "out" / f"a_ct.{name}"
    scan = VolumeReader().check(path, "a")
    np.testing.assert_array_equal(scan.values, VALUES * 2)
    np.testing.assert_allclose(scan.affine, RAS)
    assert itk.ReadImage(str(path)).GetMetaData("Description") == "SYNTHETIC b 1, not for clinical use"
    assert json.loads((tmp_path / "out" / "a_ct.json").read_text())["SyntheticData"] is True
    assert sorted(each.name for each in path.parent.iterdir()) == ["a_ct.json", f"a_ct.{name}"]
