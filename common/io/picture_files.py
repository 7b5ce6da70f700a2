"""Pictures in two dimensions (PNG, JPEG, TIFF, OME-TIFF), grey or RGB: volumes with one slice.

Values are levels of 8 bits, 0 to 255, whether 8 or 16 bits are stored.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

from ..errors import Finding, OutputError, VolumeError, Where, choose

TIFF = (".ome.tiff", ".ome.tif", ".tiff", ".tif")
PICTURES = (*TIFF, ".png", ".jpeg", ".jpg")
"""Endings of files with one picture."""
DEPTHS = {"uint8": 1.0, "uint16": 257.0}
"""Stored types of pictures, with the steps of each in one level of 8 bits."""
TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
"""Columns run to the patient's left and rows to the back, as those of an axial slice on a screen."""
MM = {"m": 1e3, "cm": 10.0, "mm": 1.0, "µm": 1e-3, "um": 1e-3, "nm": 1e-6}
LUMINANCE = (0.299, 0.587, 0.114)
"""Weights of red, green and blue (ITU-R BT.601)."""
CENTIMETRE = 3
"""Code of TIFF for pixels per cm; those per inch are for printers."""


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
        VolumeError: it cannot be read; has a palette, an alpha channel, several pages, or another depth or colour.
    """
    where = partial(Finding, case, path.name)
    try:
        pixels, sizes = _tiff(path, where) if path.name.lower().endswith(TIFF) else _other(path, where)
    except VolumeError:
        raise
    except Exception as error:  # Pillow and tifffile have dozens of types for a file that is no picture
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise VolumeError(where("the picture cannot be read", reason, "save it again as PNG or plain TIFF")) from error
    if pixels.dtype.name not in DEPTHS:
        remedy = "save it with 8 or 16 bits, 0 as black"
        raise VolumeError(where("a picture of neither 8 nor 16 bits", pixels.dtype.name, remedy))
    if pixels.ndim != 2 and (pixels.ndim != 3 or pixels.shape[2] != 3):
        content = " x ".join(map(str, pixels.shape))
        raise VolumeError(where("neither one grey nor one RGB picture", content, "save it so, without alpha channel"))
    values = np.swapaxes(pixels, 0, 1).astype(np.float32) / np.float32(DEPTHS[pixels.dtype.name])
    values = values[..., None] if values.ndim == 2 else np.moveaxis(values, -1, 0)[..., None]
    return np.ascontiguousarray(values), TO_RAS @ np.diag([*sizes, 1.0, 1.0])


def _other(path: Path, where: Where) -> tuple[np.ndarray, tuple[float, ...]]:
    """Pixels (Y, X) or (Y, X, 3) of PNG or JPEG, which have no size of their own but one for printers."""
    from PIL import Image

    with Image.open(path) as image:
        if image.mode in ("P", "PA"):
            raise VolumeError(where("a picture with a palette", image.mode, "save it as grey or RGB"))
        if image.mode in ("RGBA", "LA", "RGBa", "La") or "transparency" in image.info:
            raise VolumeError(where("a picture with an alpha channel", image.mode, "save it without transparency"))
        if image.mode == "RGB" and ";16" in str(image.tile[0][3]):
            raise VolumeError(where("a PNG of 16 bits in colour, which would be read as 8", "", "save it as TIFF"))
        return np.asarray(image, np.uint16 if image.mode.startswith("I;16") else None), (1.0, 1.0)


def _tiff(path: Path, where: Where) -> tuple[np.ndarray, tuple[float, ...]]:
    """Pixels (Y, X) or (Y, X, 3) of the first level of a TIFF, and their size in mm."""
    import tifffile

    with tifffile.TiffFile(path) as file:
        page, series = file.pages.first, file.series[0]
        if page.photometric == tifffile.PHOTOMETRIC.PALETTE:
            raise VolumeError(where("a picture with a palette", "", "save it as grey or RGB"))
        if page.extrasamples:
            raise VolumeError(where("a picture with an alpha channel", "", "save it without transparency"))
        if len(file.series) > 1 or len(series.pages) > 1:
            pages = f"{max(len(file.series), len(series.pages))} pages"
            raise VolumeError(where("a file of several pictures", pages, "save each as a file of its own"))
        pixels = series.asarray()
        if series.axes.startswith("S"):  # planes of a colour each
            pixels = np.moveaxis(pixels, 0, -1)
        if page.photometric == tifffile.PHOTOMETRIC.MINISWHITE:
            pixels = np.iinfo(pixels.dtype).max - pixels
        return pixels, _sizes(page, file.ome_metadata)


def _sizes(page: Any, ome: str | None) -> tuple[float, ...]:
    """Width and height of a pixel in mm, of OME-XML or TIFF's pixels per cm; 1 where there is neither."""
    if ome is not None:
        found = ElementTree.fromstring(ome).find(".//{*}Pixels")
        about = {} if found is None else found.attrib
        if {"PhysicalSizeX", "PhysicalSizeY"} <= about.keys():
            units = (about.get(f"PhysicalSize{axis}Unit", "µm") for axis in "XY")
            return tuple(float(about[f"PhysicalSize{axis}"]) * MM[unit] for axis, unit in zip("XY", units, strict=True))
    tags = page.tags
    if "ResolutionUnit" in tags and tags["ResolutionUnit"].value == CENTIMETRE:
        return tuple(10 * below / above for above, below in (tags[f"{axis}Resolution"].value for axis in "XY"))
    return 1.0, 1.0


def write_picture(values: np.ndarray, affine: np.ndarray, path: str, dtype: str, description: str) -> None:
    """Write a picture, with its description as text of PNG, or as ``ImageDescription`` of TIFF.

    Args:
        values: in levels, clipped to [0, 255], (X, Y, 1) or (X, Y, 1, 3).
        affine: (4, 4) to mm; TIFF keeps the size of its pixels.
        path: ends in ``.png``, ``.tif`` or ``.ome.tif``.
        dtype: ``uint8`` or ``uint16``; PNG has 16 bits of a grey one only.
        description: that it is synthetic, and by what.

    Raises:
        OutputError: for another shape, type or ending.
    """
    name = Path(path).name
    if dtype not in DEPTHS:
        raise OutputError(f"{name} is a picture, which stores no {dtype}", f"pass --output_dtype {' or '.join(DEPTHS)}")
    if values.shape[2:] not in ((1,), (1, 3)):
        raise OutputError(f"{name} is a picture, the output has shape {values.shape}", "write NIfTI")
    pixels = np.rint(np.clip(values, 0, 255) * DEPTHS[dtype]).astype(dtype)[:, :, 0].swapaxes(0, 1)
    if name.lower().endswith(TIFF):
        _write_tiff(np.ascontiguousarray(pixels), affine, path, description)
        return
    if not name.lower().endswith(".png"):
        raise OutputError(f"{name} has the ending of no picture that is written", choose((".png", ".tif", ".ome.tif")))
    if pixels.ndim == 3 and dtype != "uint8":
        raise OutputError(f"{name} is a PNG, which has 16 bits of grey only", "write TIFF, or --output_dtype uint8")
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
    tifffile.imwrite(path, pixels, ome=is_ome, photometric=colour, compression="zlib", **about)
