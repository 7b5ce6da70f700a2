"""Pictures: what is written is read, by other programs too, and what is no picture of these kinds is named."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from common.errors import OutputError, VolumeError
from common.io import VolumeReader, picture_files
from common.io.picture_files import read_picture, read_region, write_picture

MARK = "SYNTHETIC stain_gan 0.1.0, not for clinical use"
QUARTER_UM = np.diag([-0.00025, -0.0005, 1, 1])


def levels(*shape: int) -> np.ndarray:
    """Levels of 8 bits (X, Y, 1, ...), all different from those of their neighbours."""
    return (np.arange(np.prod(shape)).reshape(shape) * 37 % 256).astype(float)


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.ome.tif"])
@pytest.mark.parametrize("shape", [(5, 3, 1), (5, 3, 1, 3)])
def test_eight_bits_come_back_exactly(tmp_path: Path, name: str, shape: tuple[int, ...]) -> None:
    write_picture(levels(*shape), np.eye(4), str(tmp_path / name), "uint8", MARK)
    values, affine = read_picture(tmp_path / name, "a")
    expected = levels(*shape) if len(shape) == 3 else np.moveaxis(levels(*shape), -1, 0)
    assert values.dtype == np.float32
    assert np.array_equal(values, expected)
    assert np.array_equal(affine, np.diag([-1, -1, 1, 1]))


def test_columns_of_a_file_are_the_first_axis_and_its_first_row_is_the_first(tmp_path: Path) -> None:
    Image.fromarray(np.array([[10, 20, 30], [40, 50, 60]], np.uint8)).save(tmp_path / "a.png")
    values, _ = read_picture(tmp_path / "a.png", "a")
    assert values[:, :, 0].tolist() == [[10, 40], [20, 50], [30, 60]]


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_sixteen_bits_are_levels_of_eight_with_fractions(tmp_path: Path, name: str) -> None:
    stored = np.array([[0, 1, 257], [32768, 65534, 65535]], np.uint16)
    if name == "a.png":
        Image.fromarray(stored).save(tmp_path / name)
    else:
        tifffile.imwrite(tmp_path / name, stored)
    values, _ = read_picture(tmp_path / name, "a")
    assert values[:, 0, 0] == pytest.approx([0, 1 / 257, 1])
    assert values[2, 1, 0] == 255
    write_picture(values, np.eye(4), str(tmp_path / f"b{name}"), "uint16", MARK)
    again = tifffile.imread(tmp_path / "ba.tif") if name == "a.tif" else np.asarray(Image.open(tmp_path / "ba.png"))
    assert np.array_equal(again, stored)


def test_the_mark_is_where_other_programs_look(tmp_path: Path) -> None:
    for name in ("a.png", "a.tif", "a.ome.tif"):
        write_picture(levels(4, 4, 1, 3), QUARTER_UM, str(tmp_path / name), "uint8", MARK)
    assert Image.open(tmp_path / "a.png").text["Description"] == MARK
    assert Image.open(tmp_path / "a.tif").tag_v2[270] == MARK
    with tifffile.TiffFile(tmp_path / "a.ome.tif") as file:
        assert file.is_ome
        assert f"<Description>{MARK}</Description>" in file.ome_metadata


@pytest.mark.parametrize("name", ["a.tif", "a.ome.tif"])
def test_the_size_of_pixels_is_kept(tmp_path: Path, name: str) -> None:
    write_picture(levels(4, 4, 1), QUARTER_UM, str(tmp_path / name), "uint8", MARK)
    assert np.allclose(read_picture(tmp_path / name, "a")[1], QUARTER_UM, rtol=1e-6)


def test_pixels_per_inch_are_for_printers(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((2, 2), np.uint8), resolution=(72, 72), resolutionunit="INCH")
    Image.new("L", (2, 2)).save(tmp_path / "a.png", dpi=(300, 300))
    for name in ("a.tif", "a.png"):
        assert np.array_equal(np.diag(read_picture(tmp_path / name, "a")[1]), [-1, -1, 1, 1])


def test_a_resolution_that_is_no_length_counts_as_none(tmp_path: Path) -> None:
    pixels = np.zeros((2, 3), np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", pixels, resolution=(0, 5), resolutionunit="CENTIMETER")
    places = [tmp_path / "a.tif"]
    for size, unit in (("0", "mm"), ("-2", "mm"), ("INF", "mm"), ("NaN", "mm"), ("2", "pixel")):
        places.append(tmp_path / f"{size}.ome.tif")
        sizes = {"SizeX": 3, "SizeY": 2, "SizeC": 1, "SizeZ": 1, "SizeT": 1, "PhysicalSizeXUnit": unit}
        sizes |= {"PhysicalSizeX": size, "PhysicalSizeY": 3}
        said = " ".join(f'{name}="{value}"' for name, value in sizes.items())
        about = f'<Pixels ID="Pixels:0" DimensionOrder="XYCZT" Type="uint8" {said}><TiffData/></Pixels>'
        schema = "http://www.openmicroscopy.org/Schemas/OME/2016-06"
        xml = f'<?xml version="1.0"?><OME xmlns="{schema}"><Image ID="Image:0">{about}</Image></OME>'
        tifffile.imwrite(places[-1], pixels, description=xml, metadata=None)
    for place in places:
        assert np.array_equal(np.diag(read_picture(place, "a")[1]), [-1, -1, 1, 1]), place.name


@pytest.mark.parametrize(
    ("unit", "mm"),
    [
        *(("\N{MICRO SIGN}m", 1e-3), ("\N{GREEK SMALL LETTER MU}m", 1e-3), ("pm", 1e-9), ("in", 25.4), ("ft", 304.8)),
        *(("\N{ANGSTROM SIGN}", 1e-7), ("\N{LATIN CAPITAL LETTER A WITH RING ABOVE}", 1e-7), ("thou", 0.0254)),
    ],
)
def test_units_of_ome(tmp_path: Path, unit: str, mm: float) -> None:
    sizes = {f"PhysicalSize{axis}": size for axis, size in (("X", 2), ("Y", 3))}
    units = dict.fromkeys(("PhysicalSizeXUnit", "PhysicalSizeYUnit"), unit)
    tifffile.imwrite(tmp_path / "a.ome.tif", np.zeros((2, 3), np.uint8), metadata={**sizes, **units})
    affine = read_picture(tmp_path / "a.ome.tif", "a")[1]
    np.testing.assert_allclose(np.diag(affine), [-2 * mm, -3 * mm, 1, 1])


def test_an_unknown_unit_of_ome_is_refused(tmp_path: Path) -> None:
    metadata = {"PhysicalSizeX": 2, "PhysicalSizeY": 2, "PhysicalSizeXUnit": "inch"}
    tifffile.imwrite(tmp_path / "a.ome.tif", np.zeros((2, 3), np.uint8), metadata=metadata)
    with pytest.raises(VolumeError, match=r"a \(a.ome.tif\): PhysicalSizeX has an unknown unit \(inch\); save it in"):
        read_picture(tmp_path / "a.ome.tif", "a")


def test_inverted_grey_and_planes_of_colour_are_read_as_seen(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.array([[0, 255]], np.uint8), photometric="miniswhite")
    assert read_picture(tmp_path / "a.tif", "a")[0][:, 0, 0].tolist() == [255, 0]
    planes = np.arange(24, dtype=np.uint8).reshape(3, 2, 4)
    tifffile.imwrite(tmp_path / "b.tif", planes, photometric="rgb", planarconfig="separate")
    assert np.array_equal(read_picture(tmp_path / "b.tif", "b")[0][:, 3, 1, 0], planes[:, 1, 3])


def test_of_a_pyramid_the_finest_level_is_read(tmp_path: Path) -> None:
    whole = np.arange(64 * 64, dtype=np.uint16).reshape(64, 64)
    with tifffile.TiffWriter(tmp_path / "a.ome.tif") as file:
        file.write(whole, subifds=1, tile=(16, 16), metadata={"axes": "YX", "PhysicalSizeX": 2, "PhysicalSizeY": 3})
        file.write(whole[::2, ::2], subfiletype=1, tile=(16, 16))
    values, affine = read_picture(tmp_path / "a.ome.tif", "a")
    assert values.shape == (64, 64, 1)
    assert np.allclose(np.diag(affine), [-0.002, -0.003, 1, 1])


@pytest.mark.parametrize("name", ["a.tif", "a.ome.tif"])
@pytest.mark.parametrize("shape", [(700, 523, 1), (700, 523, 1, 3)])
def test_a_large_picture_is_written_in_tiles_and_levels_of_means(
    tmp_path: Path, name: str, shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(picture_files, "LARGEST_PLAIN", 699)
    monkeypatch.setattr(picture_files, "SMALLEST_LEVEL", 200)
    given = levels(*shape)
    write_picture(given, QUARTER_UM, str(tmp_path / name), "uint8", MARK)
    with tifffile.TiffFile(tmp_path / name) as file:
        found = file.series[0].levels
        assert [each.shape[:2] for each in found] == [(523, 700), (261, 350), (130, 175)]
        assert all(each.pages[0].tile == (256, 256) for each in found)
        four = given[:2, :2, 0].mean(axis=(0, 1))
        np.testing.assert_array_equal(found[1].asarray()[0, 0], np.rint(four))
    whole, affine = read_picture(tmp_path / name, "a")
    assert np.array_equal(whole, given if given.ndim == 3 else np.moveaxis(given, -1, 0))
    # A part across four tiles, one that ends at the last pixel, and one of the coarsest level.
    for left, top, columns, rows in ((250, 200, 300, 100), (690, 511, 10, 12)):
        part, place = read_region(tmp_path / name, "a", (left, top), (columns, rows))
        np.testing.assert_array_equal(part, whole[..., left : left + columns, top : top + rows, :])
        np.testing.assert_allclose(place @ [0, 0, 0, 1], affine @ [left, top, 0, 1], atol=1e-9)
    part, place = read_region(tmp_path / name, "a", (3, 5), (2, 2), level=1)
    # Pixel 3, 5 of a level of half the size lies between 6 and 7, 10 and 11 of the whole.
    np.testing.assert_allclose(place @ [0, 0, 0, 1], affine @ [6.5, 10.5, 0, 1], atol=2e-5)
    assert np.abs(part[..., 0, 0, 0] - whole[..., 6:8, 10:12, 0].mean(axis=(-1, -2))).max() <= 0.5


def test_a_part_decodes_no_other_tile(tmp_path: Path) -> None:
    """The data of the tiles beside it are destroyed."""
    pixels = np.arange(64 * 64, dtype=np.uint8).reshape(64, 64)
    tifffile.imwrite(tmp_path / "a.tif", pixels, tile=(32, 32), compression="zlib", photometric="miniswhite")
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        offsets = file.pages.first.dataoffsets
    with open(tmp_path / "a.tif", "r+b") as stream:
        for offset in (offsets[0], offsets[1], offsets[3]):
            stream.seek(offset)
            stream.write(b"broken")
    part, _ = read_region(tmp_path / "a.tif", "a", (3, 40), (10, 5))
    np.testing.assert_array_equal(part[..., 0], 255 - pixels[40:45, 3:13].T)
    with pytest.raises(VolumeError, match=r"a \(a.tif\): the picture cannot be read"):
        read_region(tmp_path / "a.tif", "a", (30, 40), (10, 5))


def test_parts_of_strips_and_of_nothing(tmp_path: Path) -> None:
    pixels = np.arange(50 * 40 * 3, dtype=np.uint16).reshape(50, 40, 3)
    tifffile.imwrite(tmp_path / "a.tif", pixels, rowsperstrip=7)
    part, _ = read_region(tmp_path / "a.tif", "a", (11, 5), (20, 30))
    np.testing.assert_allclose(np.moveaxis(part[..., 0], 0, -1).swapaxes(0, 1) * 257, pixels[5:35, 11:31], rtol=1e-5)
    tifffile.imwrite(tmp_path / "b.tif", pixels.transpose(2, 0, 1), planarconfig="separate", photometric="rgb")
    for name, corner, level, fault in (
        ("a", (30, 0), 0, "a part beyond the picture .*20 x 30 from 30, 0 of 40 x 50"),
        ("a", (0, 0), 1, "no such level .*give 0 to 0"),
        ("b", (0, 0), 0, "a plane of each colour"),
    ):
        with pytest.raises(VolumeError, match=fault):
            read_region(tmp_path / f"{name}.tif", "a", corner, (20, 30), level)


def refused(path: Path, fault: str) -> None:
    with pytest.raises(VolumeError, match=rf"^case_7 \({path.name}\): .*{fault}"):
        read_picture(path, "case_7")


@pytest.mark.parametrize(
    ("image", "options", "fault"),
    [
        (Image.new("RGB", (4, 4)).quantize(4), {}, r"a picture with a palette \(P\); save it as grey or RGB"),
        (Image.new("RGBA", (4, 4)), {}, r"an alpha channel \(RGBA\); save it without transparency"),
        (Image.new("L", (4, 4)), {"transparency": 0}, r"an alpha channel \(L\); save"),
        (Image.new("1", (4, 4)), {}, r"neither 8 nor 16 bits \(bool\); save it with 8 or 16"),
        (Image.new("CMYK", (4, 4)), {}, r"neither one grey nor one RGB picture \(4 x 4 x 4\)"),
    ],
)
def test_pictures_of_other_kinds_are_named(tmp_path: Path, image: Image.Image, options: dict, fault: str) -> None:
    path = tmp_path / ("a.jpg" if image.mode == "CMYK" else "a.png")
    image.save(path, **options)
    refused(path, fault)


PALETTE = {"photometric": "palette", "colormap": np.zeros((3, 256), np.uint16)}


@pytest.mark.parametrize(
    ("shape", "dtype", "options", "fault"),
    [
        ((4, 4), np.uint8, PALETTE, "a picture with a palette; save it as grey or RGB"),
        ((4, 4, 4), np.uint8, {"photometric": "rgb", "extrasamples": ["unassalpha"]}, "an alpha channel; save"),
        ((4, 4), np.float32, {}, r"neither 8 nor 16 bits \(float32\)"),
        ((5, 4, 4), np.uint8, {"photometric": "minisblack"}, r"several pictures \(5 pages\); save each"),
        ((4, 5), np.uint8, {"extratags": [(274, "H", 1, 6, True)]}, r"stored turned \(Orientation 6\); save"),
    ],
)
def test_tiffs_of_other_kinds_are_named(tmp_path: Path, shape: tuple, dtype: type, options: dict, fault: str) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.zeros(shape, dtype), **options)
    refused(tmp_path / "a.tif", fault)


@pytest.mark.parametrize(
    ("rows", "fault"),
    [
        (0, r"neither one grey nor one RGB picture \(0 x 5\)"),
        (2**20, r"the header claims more than the file can hold \(1048576 x 5\); copy or export it again"),
    ],
)
def test_tiffs_of_no_rows_or_too_many_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: int, fault: str
) -> None:
    monkeypatch.setattr(picture_files, "MAX_VALUES", 100)
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((4, 5), np.uint8))
    with tifffile.TiffFile(tmp_path / "a.tif", mode="r+") as file:
        file.pages.first.tags["ImageLength"].overwrite(rows)
        file.pages.first.tags["ImageDescription"].overwrite("")  # the shape once more
    refused(tmp_path / "a.tif", fault)


def test_the_extent_of_a_picture_is_that_of_its_pixels(tmp_path: Path) -> None:
    Image.new("L", (3200, 2)).save(tmp_path / "a.png")
    extent = VolumeReader(pictures=True).extent(tmp_path / "a.png", "a")
    assert extent is not None
    assert extent.values.shape == (3200, 2, 1)


def test_damaged_files_and_colour_that_is_read_as_eight_bits_are_named(tmp_path: Path) -> None:
    itk = pytest.importorskip("SimpleITK")
    itk.WriteImage(itk.GetImageFromArray(np.zeros((4, 4, 3), np.uint16), True), tmp_path / "deep.png")
    refused(tmp_path / "deep.png", "a PNG of 16 bits in colour, which would be read as 8; save it as TIFF")
    (tmp_path / "text.png").write_text("no picture")
    refused(tmp_path / "text.png", r"the picture cannot be read \(UnidentifiedImageError.*\); save it again")
    (tmp_path / "cut.tif").write_bytes(b"II*")
    refused(tmp_path / "cut.tif", r"the picture cannot be read \(.*\); save it again")


def test_a_compression_that_needs_another_package_names_it(tmp_path: Path) -> None:
    if find_spec("imagecodecs"):
        pytest.skip("imagecodecs is installed")
    Image.fromarray(np.zeros((4, 5), np.uint8)).save(tmp_path / "a.tif", compression="tiff_lzw")
    with pytest.raises(VolumeError, match=r"LZW.*; pip install imagecodecs, or save it again as PNG or plain TIFF$"):
        read_picture(tmp_path / "a.tif", "a")


def test_a_photograph_is_read_upright(tmp_path: Path) -> None:
    image = Image.fromarray(np.array([[10, 20, 30], [40, 50, 60]], np.uint8))
    exif = image.getexif()
    exif[274] = 6  # to be turned clockwise
    image.save(tmp_path / "a.png", exif=exif)
    values, _ = read_picture(tmp_path / "a.png", "a")
    np.testing.assert_array_equal(values[:, :, 0].T, [[40, 10], [50, 20], [60, 30]])


def test_pictures_and_volumes_are_not_taken_for_each_other(tmp_path: Path) -> None:
    write_picture(levels(4, 4, 1), np.eye(4), str(tmp_path / "a.png"), "uint8", MARK)
    with pytest.raises(VolumeError, match=r"a picture, where volumes are needed; convert the original DICOM series"):
        VolumeReader().check(tmp_path / "a.png", "a")
    with pytest.raises(VolumeError, match=r"a volume, where pictures are needed; pass PNG, JPEG or TIFF"):
        VolumeReader(pictures=True).check(tmp_path / "a.nii.gz", "a")
    assert VolumeReader(pictures=True).check(tmp_path / "a.png", "a").values.shape == (4, 4, 1)
    assert VolumeReader().extent(tmp_path / "a.png", "a") is None


@pytest.mark.parametrize(
    ("name", "dtype", "shape", "fault"),
    [
        ("a.png", "int16", (4, 4, 1), "a picture stores no int16: pass --output_dtype uint8 or uint16"),
        ("a.png", "uint16", (4, 4, 1, 3), "a PNG has 16 bits of grey only: write TIFF"),
        ("a.tif", "uint8", (4, 4, 2), r"a.tif is a picture, the output has shape \(4, 4, 2\): write NIfTI"),
        ("a.jpg", "uint8", (4, 4, 1), r"a.jpg has the ending of no picture that is written: choose .png, .tif"),
    ],
)
def test_what_cannot_be_written_is_named(
    tmp_path: Path, name: str, dtype: str, shape: tuple[int, ...], fault: str
) -> None:
    with pytest.raises(OutputError, match=fault):
        write_picture(np.zeros(shape), np.eye(4), str(tmp_path / name), dtype, MARK)
    assert list(tmp_path.iterdir()) == []


def test_what_is_beyond_the_levels_is_clipped(tmp_path: Path) -> None:
    write_picture(np.array([[[-3.0]], [[127.5]], [[300.0]]]), np.eye(4), str(tmp_path / "a.png"), "uint8", MARK)
    assert np.asarray(Image.open(tmp_path / "a.png")).tolist() == [[0, 128, 255]]
