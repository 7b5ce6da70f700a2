"""Pictures in two dimensions (PNG, JPEG, TIFF, OME-TIFF), grey or RGB: volumes with one slice.

Values are levels of 8 bits, 0 to 255, whether 8 or 16 bits are stored.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

from ..errors import Finding, OutputError, VolumeError, Where, choose
from ..grids import LPS_TO_RAS
from .nifti.header_fields import MAX_DEFLATE_RATIO, MAX_VALUES

TIFF = (".ome.tiff", ".ome.tif", ".tiff", ".tif")
PICTURES = (*TIFF, ".png", ".jpeg", ".jpg")
"""Endings of files with one picture."""
DEPTHS = {"uint8": 1.0, "uint16": 257.0}
"""Stored types of pictures, with the steps of each in one level of 8 bits."""
MM = {
    "km": 1e6, "m": 1e3, "dm": 100.0, "cm": 10.0, "mm": 1.0, "um": 1e-3, "\N{GREEK SMALL LETTER MU}m": 1e-3, "nm": 1e-6,
    "\N{LATIN CAPITAL LETTER A WITH RING ABOVE}": 1e-7, "pm": 1e-9,
    "thou": 0.0254, "pt": 25.4 / 72, "li": 25.4 / 12, "in": 25.4, "ft": 304.8, "yd": 914.4,
    "pixel": math.nan, "reference frame": math.nan,
}  # fmt: skip
"""Units of OME-XML in mm, those of a picture, in their letters of Unicode's form NFKC; nan for what is no length."""
LUMINANCE = (0.299, 0.587, 0.114)
"""Weights of red, green and blue (ITU-R BT.601)."""
CENTIMETRE = 3
"""Code of TIFF for pixels per cm; those per inch are for printers."""
TILE = 256
LARGEST_PLAIN = 4096
"""Pixels of a side beyond which a TIFF is written in tiles, with smaller levels down to ``SMALLEST_LEVEL``."""
SMALLEST_LEVEL = 1024


def is_picture(path: Path) -> bool:
    """Whether a file is a picture, by its ending."""
    return path.name.lower().endswith(PICTURES)


def luminance(values: np.ndarray) -> np.ndarray:
    """Luminance (X, Y, Z) of RGB (X, Y, Z, 3) in any unit; (X, Y, Z) as it is."""
    return values if values.ndim == 3 else np.asarray(values @ np.asarray(LUMINANCE, values.dtype))


def read_picture(path: Path, case: str) -> tuple[np.ndarray, np.ndarray]:
    """Read a picture of 8 or 16 bits, grey or RGB.

    Args:
        path: with one of ``PICTURES``.
        case: for messages.

    Returns:
        the values, float32 in [0, 255], (X, Y, 1) of a grey and (3, X, Y, 1) of an RGB one, X along its rows; and the
        affine (4, 4) to mm, whose pixels are of 1 mm where the file has no size of its pixels.

    Raises:
        VolumeError: it cannot be read; has a palette, an alpha channel, several pages, or another depth or colour; a
            TIFF is stored turned.
    """

    def pixels_of(where: Where) -> tuple[np.ndarray, tuple[float, ...]]:
        return _tiff(path, where) if path.name.lower().endswith(TIFF) else _other(path, where)

    pixels, sizes = _checked(path, case, pixels_of)
    # columns run to the patient's left and rows to the back, as those of an axial slice on a screen
    return _as_volume(pixels), LPS_TO_RAS @ np.diag([*sizes, 1.0, 1.0])


def read_region(
    path: Path, case: str, corner: Sequence[int], size: Sequence[int], level: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Read a part of a TIFF, of which only the tiles or strips that it touches are decoded.

    Args:
        path: with one of ``TIFF``.
        case: for messages.
        corner: its first column and row, in pixels of the level.
        size: columns and rows.
        level: of a pyramid, 0 the finest.

    Returns:
        values and affine as :func:`read_picture`, at the place of the part in the whole picture.

    Raises:
        VolumeError: as :func:`read_picture`; also for a level or part that the picture has not, and planes of colours.
    """
    (left, top), (columns, rows) = corner, size

    def pixels_of(where: Where) -> tuple[np.ndarray, Any]:
        with _opened(path, where) as (file, series):
            if not 0 <= level < len(series.levels):
                raise VolumeError(where("no such level", str(level), f"give 0 to {len(series.levels) - 1}"))
            page, whole = series.levels[level].pages[0], series.levels[0].pages[0]
            inside = 0 <= left < left + columns <= page.imagewidth and 0 <= top < top + rows <= page.imagelength
            if not inside:
                part = f"{columns} x {rows} from {left}, {top} of {page.imagewidth} x {page.imagelength}"
                raise VolumeError(where("a part beyond the picture", part, "give columns and rows inside"))
            if series.axes.startswith("S"):
                raise VolumeError(where("a plane of each colour, read whole only", "", "save it as RGB pixels"))
            coarser = np.array([whole.imagewidth / page.imagewidth, whole.imagelength / page.imagelength])
            pixels = _part(page, left, top, columns, rows)
            return _inverted(pixels, page), (np.array(_sizes(whole, file.ome_metadata, where)), coarser)

    pixels, (sizes, coarser) = _checked(path, case, pixels_of)
    affine = np.diag([*(sizes * coarser), 1.0, 1.0])
    affine[:2, 3] = sizes * (coarser * corner + (coarser - 1) / 2)
    return _as_volume(pixels), LPS_TO_RAS @ affine


def _part(page: Any, left: int, top: int, columns: int, rows: int) -> np.ndarray:
    """Pixels (Y, X) or (Y, X, 3) of a page, of the tiles or strips that hold them."""
    pixels = np.zeros((rows, columns, *page.shape[2:]), page.dtype)
    height, width = page.chunks[:2]
    for down in range(top // height, (top + rows - 1) // height + 1):
        for across in range(left // width, (left + columns - 1) // width + 1):
            index = down * page.chunked[1] + across
            page.parent.filehandle.seek(page.dataoffsets[index])
            data = page.parent.filehandle.read(page.databytecounts[index])
            decoded = page.decode(data, index, jpegtables=page.jpegtables)[0]
            if decoded is None:  # a sparse file has no data of an empty tile
                continue
            tile = decoded.reshape(decoded.shape[-3:])[..., : pixels.shape[2] if pixels.ndim == 3 else 1]
            tile = tile if pixels.ndim == 3 else tile[..., 0]
            y, x = down * height, across * width
            from_y, from_x = max(top - y, 0), max(left - x, 0)
            kept = tile[from_y : top + rows - y, from_x : left + columns - x]
            y, x = y + from_y - top, x + from_x - left
            pixels[y : y + kept.shape[0], x : x + kept.shape[1]] = kept
    return pixels


def _checked(path: Path, case: str, pixels_of: Callable[[Where], tuple[np.ndarray, Any]]) -> tuple[np.ndarray, Any]:
    """What a function reads, its pixels (Y, X) or (Y, X, 3) of 8 or 16 bits.

    Raises:
        VolumeError: they are not, or the file is no picture.
    """
    where = partial(Finding, case, path.name)
    try:
        pixels, about = pixels_of(where)
    except VolumeError:
        raise
    except Exception as error:  # Pillow and tifffile have dozens of types for a file that is no picture
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        remedy = "pip install imagecodecs, or " * ("imagecodecs" in reason) + "save it again as PNG or plain TIFF"
        raise VolumeError(where("the picture cannot be read", reason, remedy)) from error
    if pixels.dtype.name not in DEPTHS:
        remedy = "save it with 8 or 16 bits, 0 as black"
        raise VolumeError(where("a picture of neither 8 nor 16 bits", pixels.dtype.name, remedy))
    if not pixels.size or pixels.ndim != 2 and (pixels.ndim != 3 or pixels.shape[2] != 3):
        content = " x ".join(map(str, pixels.shape))
        raise VolumeError(where("neither one grey nor one RGB picture", content, "save it so, without alpha channel"))
    return pixels, about


def _as_volume(pixels: np.ndarray) -> np.ndarray:
    """Levels (X, Y, 1) or (3, X, Y, 1) of pixels (Y, X) or (Y, X, 3)."""
    values = np.swapaxes(pixels, 0, 1).astype(np.float32) / np.float32(DEPTHS[pixels.dtype.name])
    values = values[..., None] if values.ndim == 2 else np.moveaxis(values, -1, 0)[..., None]
    return np.ascontiguousarray(values)


def _other(path: Path, where: Where) -> tuple[np.ndarray, tuple[float, ...]]:
    """Pixels (Y, X) or (Y, X, 3) of PNG or JPEG, upright; they have no size of their own but one for printers."""
    from PIL import Image
    from PIL.ImageOps import exif_transpose

    with Image.open(path) as image:
        if image.mode in ("P", "PA"):
            raise VolumeError(where("a picture with a palette", image.mode, "save it as grey or RGB"))
        if image.mode in ("RGBA", "LA", "RGBa", "La") or "transparency" in image.info:
            raise VolumeError(where("a picture with an alpha channel", image.mode, "save it without transparency"))
        if image.mode == "RGB" and ";16" in str(image.tile[0][3]):
            raise VolumeError(where("a PNG of 16 bits in colour, which would be read as 8", "", "save it as TIFF"))
        is_deep = image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PNG")  # Pillow 10
        return np.asarray(exif_transpose(image), np.uint16 if is_deep else None), (1.0, 1.0)


def _tiff(path: Path, where: Where) -> tuple[np.ndarray, tuple[float, ...]]:
    """Pixels (Y, X) or (Y, X, 3) of the first level of a TIFF, and their size in mm."""
    with _opened(path, where) as (file, series):
        claimed, text = math.prod(series.shape), " x ".join(map(str, series.shape))
        if claimed > max(MAX_VALUES, path.stat().st_size * MAX_DEFLATE_RATIO):  # tifffile makes room for all of them
            raise VolumeError(where("the header claims more than the file can hold", text, "copy or export it again"))
        pixels = series.asarray()
        if series.axes.startswith("S"):  # planes of a colour each
            pixels = np.moveaxis(pixels, 0, -1)
        return _inverted(pixels, file.pages.first), _sizes(file.pages.first, file.ome_metadata, where)


@contextmanager
def _opened(path: Path, where: Where) -> Iterator[tuple[Any, Any]]:
    """A TIFF and its only picture, whose levels are those of a pyramid."""
    import tifffile

    with tifffile.TiffFile(path) as file:
        page, series = file.pages.first, file.series[0]
        if page.photometric == tifffile.PHOTOMETRIC.PALETTE:
            raise VolumeError(where("a picture with a palette", "", "save it as grey or RGB"))
        if page.extrasamples:
            raise VolumeError(where("a picture with an alpha channel", "", "save it without transparency"))
        if "Orientation" in page.tags and page.tags["Orientation"].value != 1:
            turned = f"Orientation {page.tags['Orientation'].value:d}"
            raise VolumeError(where("a picture that is stored turned", turned, "save it upright"))
        if len(file.series) > 1 or len(series.pages) > 1:
            pages = f"{max(len(file.series), len(series.pages))} pages"
            raise VolumeError(where("a file of several pictures", pages, "save each as a file of its own"))
        yield file, series


def _inverted(pixels: np.ndarray, page: Any) -> np.ndarray:
    """Pixels with 0 as black."""
    return np.iinfo(pixels.dtype).max - pixels if page.photometric.name == "MINISWHITE" else pixels


def _sizes(page: Any, ome: str | None, where: Where) -> tuple[float, ...]:
    """Width and height of a pixel in mm, of OME-XML or TIFF's pixels per cm; 1 where there is neither, or no length.

    Programs write 0/0 and 0 for a resolution that they do not know.
    """
    try:
        sizes = _stated_sizes(page, ome, where)
    except ZeroDivisionError:
        return 1.0, 1.0
    return sizes if all(0 < size < math.inf for size in sizes) else (1.0, 1.0)


def _stated_sizes(page: Any, ome: str | None, where: Where) -> tuple[float, ...]:
    if ome is not None:
        found = ElementTree.fromstring(ome).find(".//{*}Pixels")
        about = {} if found is None else found.attrib
        if {"PhysicalSizeX", "PhysicalSizeY"} <= about.keys():
            return tuple(float(about[f"PhysicalSize{axis}"]) * _mm(about, axis, where) for axis in "XY")
    tags = page.tags
    if "ResolutionUnit" in tags and tags["ResolutionUnit"].value == CENTIMETRE:
        return tuple(10 * below / above for above, below in (tags[f"{axis}Resolution"].value for axis in "XY"))
    return 1.0, 1.0


def _mm(about: Mapping[str, str], axis: str, where: Where) -> float:
    """The unit of an axis of OME-XML in mm."""
    unit = about.get(f"PhysicalSize{axis}Unit", "um")
    size = MM.get(unicodedata.normalize("NFKC", unit))
    if size is None:
        raise VolumeError(where(f"PhysicalSize{axis} has an unknown unit", unit, "save it in \N{MICRO SIGN}m"))
    return size


def require_depth(dtype: str) -> None:
    """Refuse a stored type that no picture has.

    Raises:
        OutputError: it is none of ``DEPTHS``.
    """
    if dtype not in DEPTHS:
        raise OutputError(f"a picture stores no {dtype}", f"pass --output_dtype {' or '.join(DEPTHS)}")


def write_picture(values: np.ndarray, affine: np.ndarray, path: str, dtype: str, description: str) -> None:
    """Write a picture, with its description as text of PNG, or as ``ImageDescription`` of TIFF.

    Args:
        values: in levels, clipped to [0, 255], (X, Y, 1) or (X, Y, 1, 3).
        affine: (4, 4) to mm; TIFF keeps the size of its pixels, and has tiles and levels beyond ``LARGEST_PLAIN``.
        path: ends in ``.png``, ``.tif`` or ``.ome.tif``.
        dtype: ``uint8`` or ``uint16``; PNG has 16 bits of a grey one only.
        description: that it is synthetic, and by what.

    Raises:
        OutputError: for another shape, type or ending.
    """
    name = Path(path).name
    require_depth(dtype)
    if values.shape[2:] not in ((1,), (1, 3)):
        raise OutputError(f"{name} is a picture, the output has shape {values.shape}", "write NIfTI")
    pixels = np.rint(np.clip(values, 0, 255) * DEPTHS[dtype]).astype(dtype)[:, :, 0].swapaxes(0, 1)
    if name.lower().endswith(TIFF):
        _write_tiff(np.ascontiguousarray(pixels), affine, path, description)
        return
    if not name.lower().endswith(".png"):
        raise OutputError(f"{name} has the ending of no picture that is written", choose((".png", ".tif", ".ome.tif")))
    if pixels.ndim == 3 and dtype != "uint8":
        raise OutputError("a PNG has 16 bits of grey only", "write TIFF, or --output_dtype uint8")
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    about = PngInfo()
    about.add_itxt("Description", description)
    Image.fromarray(np.ascontiguousarray(pixels)).save(path, "PNG", pnginfo=about)


def _write_tiff(pixels: np.ndarray, affine: np.ndarray, path: str, description: str) -> None:
    import tifffile

    text = description.encode("ascii", "replace").decode()
    width, height = (float(size) for size in np.linalg.norm(affine[:3, :2], axis=0))
    is_ome = ".ome." in Path(path).name.lower()
    about: dict[str, Any] = {"description": text, "metadata": None}
    if (width, height) != (1.0, 1.0):
        about |= {"resolution": (10 / width, 10 / height), "resolutionunit": CENTIMETRE}
    if is_ome:
        sizes = {"PhysicalSizeX": 1e3 * width, "PhysicalSizeY": 1e3 * height}
        units = dict.fromkeys(("PhysicalSizeXUnit", "PhysicalSizeYUnit"), "µm")
        axes = "YXS" if pixels.ndim == 3 else "YX"
        about = {"metadata": {"axes": axes, "Description": text, **sizes, **units}}
    colour = "rgb" if pixels.ndim == 3 else "minisblack"
    stored: dict[str, Any] = {"photometric": colour, "compression": "zlib"}
    levels = [pixels]
    if max(pixels.shape[:2]) > LARGEST_PLAIN:
        stored["tile"] = (TILE, TILE)
        while max(levels[-1].shape[:2]) > SMALLEST_LEVEL and min(levels[-1].shape[:2]) > 1:
            levels.append(_halved(levels[-1]))
    with tifffile.TiffWriter(path, ome=is_ome) as file:
        file.write(pixels, subifds=len(levels) - 1, **stored, **about)
        for level in levels[1:]:
            file.write(level, subfiletype=1, metadata=None, **stored)


def _halved(pixels: np.ndarray) -> np.ndarray:
    """Means of 2 x 2 pixels (Y, X) or (Y, X, 3); a last odd row or column has no part."""
    rows, columns = (side // 2 for side in pixels.shape[:2])
    even = pixels[: 2 * rows, : 2 * columns].reshape(rows, 2, columns, 2, *pixels.shape[2:])
    return np.asarray(np.rint(even.mean(axis=(1, 3))).astype(pixels.dtype))
