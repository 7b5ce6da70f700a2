"""A Secondary Capture (PS3.3, A.8.1) in the study of a source, which says in words why there is no synthetic series."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from datetime import datetime

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from pydicom.dataset import Dataset
from pydicom.uid import SecondaryCaptureImageStorage, generate_uid

from .source_reference import patient_and_study, series_number
from .template import DESCRIPTION_LENGTH, FIRST_SERIES_NUMBER, MANUFACTURER

SIDE, MARGIN, SIZE = 768, 40, 22
"""Of the image, its margin and its letters, in pixels."""
LINE, LINES = 62, 15
"""Characters of a line, and lines that fit above the last two paragraphs."""
COMMENTS = 10_240
"""Characters of ``ImageComments`` (PS3.5, 6.2: LT)."""
OF_VOLUMES = ("FrameOfReferenceUID", "PositionReferenceIndicator", "PatientPosition", "BodyPartExamined", "Laterality")
"""Items of the source that a page of text has not."""
NO_IMAGE = "This is no image of a patient. For research, not for clinical use."


def notice(header: Dataset, title: str, paragraphs: Sequence[str], bundle: str, moment: datetime) -> Dataset:
    """A page of text as an image of 768 x 768 grey pixels, which every viewer shows.

    Args:
        header: of a slice of the source series.
        title: at most 64 characters, also the description of the series, such as ``No synthetic CT: refused``.
        paragraphs: the reasons, without names of a patient; what the page cannot hold is in the comments alone.
        bundle: name and version.
        moment: of writing.

    Returns:
        A whole object without file header. Its UIDs are derived from the source and the text, so that a repeated one
        replaces it.

    Raises:
        OutputError: the items of patient and study cannot be copied.
    """
    made = patient_and_study(header, "the source")
    for keyword in OF_VOLUMES:
        if keyword in made:
            delattr(made, keyword)
    made.SpecificCharacterSet = "ISO_IR 192"
    made.SOPClassUID = SecondaryCaptureImageStorage
    made.Modality, made.ConversionType = "OT", "SYN"
    made.SeriesDescription = title[:DESCRIPTION_LENGTH]
    made.SeriesNumber = FIRST_SERIES_NUMBER + series_number(header) % 1000
    made.InstanceNumber = 1
    made.PatientOrientation = made.Laterality = ""
    made.Manufacturer = made.SecondaryCaptureDeviceManufacturer = MANUFACTURER
    made.ManufacturerModelName, _, made.SoftwareVersions = bundle.rpartition(" ")
    made.ImageType = ["DERIVED", "SECONDARY", "OTHER"]
    made.ImageComments = "\r\n".join([NO_IMAGE, *paragraphs])[:COMMENTS]
    day, time = f"{moment:%Y%m%d}", f"{moment:%H%M%S}"
    made.SeriesDate = made.ContentDate = made.InstanceCreationDate = day
    made.SeriesTime = made.ContentTime = made.InstanceCreationTime = time
    parts = [str(header.SeriesInstanceUID), title, *paragraphs, bundle]
    made.SeriesInstanceUID = generate_uid(entropy_srcs=["|".join(["series", *parts])])
    made.SOPInstanceUID = generate_uid(entropy_srcs=["|".join(["instance", *parts])])
    pixels = _drawn(title, paragraphs, [NO_IMAGE, f"{MANUFACTURER}, {bundle}"])
    made.Rows, made.Columns = pixels.shape
    made.SamplesPerPixel, made.PhotometricInterpretation = 1, "MONOCHROME2"
    made.BitsAllocated = made.BitsStored = 8
    made.HighBit, made.PixelRepresentation = 7, 0
    made.PixelData = pixels.tobytes()
    return made


def _drawn(title: str, paragraphs: Sequence[str], last: Sequence[str]) -> np.ndarray:
    """A page in white on black, uint8; the last paragraphs are always on it."""
    page = Image.new("L", (SIDE, SIDE))
    draw = ImageDraw.Draw(page)
    draw.text((MARGIN, MARGIN), title, fill=255, font=ImageFont.load_default(SIZE * 3 // 2))
    lines = _wrapped(paragraphs)
    if len(lines) > LINES:
        lines = [*lines[: LINES - 1], "..."]
    text = "\n".join([*lines, "", *_wrapped(last)])
    draw.multiline_text((MARGIN, 3 * MARGIN), text, fill=220, font=ImageFont.load_default(SIZE), spacing=8)
    return np.asarray(page)


def _wrapped(paragraphs: Sequence[str]) -> list[str]:
    """The lines of paragraphs, with an empty one between two."""
    return "\n\n".join("\n".join(textwrap.wrap(paragraph, LINE)) for paragraph in paragraphs).split("\n")
