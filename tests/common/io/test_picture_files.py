"""Pictures: what is written is read, by other programs too, and what is no picture of these kinds is named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from common.errors import OutputError, VolumeError
from common.io import VolumeReader
from common.io.picture_files import read_picture, write_picture

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


def _palette(path: Path) -> None:
    Image.new("RGB", (4, 4)).quantize(4).save(path / "a.png")


def _alpha(path: Path) -> None:
    Image.new("RGBA", (4, 4)).save(path / "a.png")


def _transparent(path: Path) -> None:
    Image.new("L", (4, 4)).save(path / "a.png", transparency=0)


def _one_bit(path: Path) -> None:
    Image.new("1", (4, 4)).save(path / "a.png")


def _cmyk(path: Path) -> None:
    Image.new("CMYK", (4, 4)).save(path / "a.jpg")


def _deep_colour(path: Path) -> None:
    import SimpleITK

    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(np.zeros((4, 4, 3), np.uint16), True), path / "a.png")


def _float(path: Path) -> None:
    tifffile.imwrite(path / "a.tif", np.zeros((4, 4), np.float32))


def _pages(path: Path) -> None:
    tifffile.imwrite(path / "a.tif", np.zeros((5, 4, 4), np.uint8), photometric="minisblack")


def _tiff_alpha(path: Path) -> None:
    tifffile.imwrite(path / "a.tif", np.zeros((4, 4, 4), np.uint8), photometric="rgb", extrasamples=["unassalpha"])


def _tiff_palette(path: Path) -> None:
    tifffile.imwrite(
        path / "a.tif", np.zeros((4, 4), np.uint8), photometric="palette", colormap=np.zeros((3, 256), np.uint16)
    )


def _text(path: Path) -> None:
    (path / "a.png").write_text("no picture")


def _cut(path: Path) -> None:
    tifffile.imwrite(path / "b.tif", np.zeros((400, 400), np.uint8))
    (path / "a.tif").write_bytes((path / "b.tif").read_bytes()[:3])
    (path / "b.tif").unlink()


@pytest.mark.parametrize(
    ("write", "fault"),
    [
        (_palette, r"a picture with a palette \(P\); save it as grey or RGB"),
        (_tiff_palette, "a picture with a palette; save it as grey or RGB"),
        (_alpha, r"an alpha channel \(RGBA\); save it without transparency"),
        (_transparent, r"an alpha channel \(L\); save"),
        (_tiff_alpha, "an alpha channel; save"),
        (_one_bit, r"neither 8 nor 16 bits \(bool\); save it with 8 or 16"),
        (_float, r"neither 8 nor 16 bits \(float32\)"),
        (_cmyk, r"neither one grey nor one RGB picture \(4 x 4 x 4\)"),
        (_deep_colour, "a PNG of 16 bits in colour, which would be read as 8; save it as TIFF"),
        (_pages, r"several pictures \(5 pages\); save each as a file of its own"),
        (_text, r"the picture cannot be read \(UnidentifiedImageError.*\); save it again"),
        (_cut, r"the picture cannot be read \(.*\); save it again"),
    ],
)
def test_what_is_no_such_picture_is_named(tmp_path: Path, write, fault: str) -> None:
    write(tmp_path)
    (path,) = tmp_path.glob("a.*")
    with pytest.raises(VolumeError, match=rf"^case_7 \({path.name}\): .*{fault}"):
        read_picture(path, "case_7")


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
        ("a.png", "int16", (4, 4, 1), "a.png is a picture, which stores no int16: pass --output_dtype uint8 or uint16"),
        ("a.png", "uint16", (4, 4, 1, 3), "a.png is a PNG, which has 16 bits of grey only: write TIFF"),
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
