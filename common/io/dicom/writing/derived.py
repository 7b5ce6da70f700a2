"""Derived series: a synthetic volume as classic single-frame CT, MR or PET slices on its source's grid."""

from __future__ import annotations

import copy
import hashlib
import re
from pathlib import Path

import numpy as np
from pydicom import dcmread, dcmwrite
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset, validate_file_meta
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from .slice_geometry import nearest_slices, plane_items, to_planes
from .source_reference import SourceReference, SourceSlice
from .stored_pixels import TO_MAP_PIXELS, TO_PIXELS, Pixels
from .template import (
    MANUFACTURER,
    SOURCE_IMAGE,
    SYNTHETIC_DATA,
    Synthesis,
    code_item,
    series_template,
)

MANUFACTURER_TAG = 0x00080070


def derived_slices(
    values: np.ndarray, affine: np.ndarray, source: SourceReference, synthesis: Synthesis, axial: bool, case: str
) -> tuple[list[Dataset], Pixels]:
    """The slices of a synthetic volume, in the order of its third axis.

    UIDs of series and instances are derived from source, weights, settings and pixels: a repeated run replaces its
    series, and any other run writes a new one.

    Args:
        values: (X, Y, Z) in the unit of ``synthesis``.
        affine: (4, 4), to RAS mm.
        source: patient, study, frame of reference and source slices.
        synthesis: bundle, weights, modality and unit. Slices of a map refer to those of its volume, which has the same
            source, affine and ``axial``.
        axial: write slices in the orientation closest to axial instead of along the volume's third axis; every voxel
            keeps its position.
        case: for messages.

    Returns:
        the slices, each a whole object without file header, and the pixels as stored.

    Raises:
        OutputError: for a value that is not finite, or axes that are not at right angles.
    """
    values, lps = to_planes(values, affine, axial, case)
    pixels = (TO_PIXELS if synthesis.map_of is None else TO_MAP_PIXELS)[synthesis.modality](values, case)
    template = series_template(source, synthesis, pixels)
    template.SeriesInstanceUID = _series_uid(source, synthesis, pixels, lps)
    slices = [_slice(template, source, pixels, lps, index) for index in range(values.shape[2])]
    if synthesis.map_of is not None:
        for index, each in enumerate(slices):
            _refer_to_volume(each, synthesis.map_of.series_uid, index, source)
    return slices, pixels


def write_slices(slices: list[Dataset], folder: Path) -> None:
    """Write ``IM0001.dcm`` and so on, Explicit VR Little Endian, into a folder that exists."""
    for number, each in enumerate(slices, start=1):
        meta = FileMetaDataset()
        meta.FileMetaInformationGroupLength = 0  # computed on writing
        meta.MediaStorageSOPClassUID = each.SOPClassUID
        meta.MediaStorageSOPInstanceUID = each.SOPInstanceUID
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        validate_file_meta(meta)
        path = folder / f"IM{number:04d}.dcm"
        # this call works with pydicom 2 and 3
        whole = FileDataset(str(path), each, bytes(128), meta, is_implicit_VR=False, is_little_endian=True)
        dcmwrite(path, whole)


def is_derived_series(folder: Path) -> bool:
    """Whether a folder holds nothing but slices that :func:`write_slices` wrote."""
    return all(re.fullmatch(r"IM\d{4,}\.dcm", path.name) and _is_derived(path) for path in folder.iterdir())


def _is_derived(path: Path) -> bool:
    """Whether a file is marked as a synthetic slice of this project."""
    if path.is_symlink() or not path.is_file():
        return False
    try:
        header = dcmread(path, stop_before_pixels=True, specific_tags=[SYNTHETIC_DATA, MANUFACTURER_TAG])
        return (header[SYNTHETIC_DATA].value, header[MANUFACTURER_TAG].value) == ("YES", MANUFACTURER)
    except Exception:  # no DICOM, or without these elements: pydicom raises many types for damaged bytes
        return False


def _series_uid(source: SourceReference, synthesis: Synthesis, pixels: Pixels, lps: np.ndarray) -> str:
    settings = f"{synthesis.modality} {synthesis.unit} {synthesis.bundle} {synthesis.timing} {pixels.slope}"
    content = hashlib.sha256(np.round(lps, 6).tobytes() + pixels.stored.tobytes()).hexdigest()
    parts = [source.uid, synthesis.weights_sha256, settings, content]
    if synthesis.map_of is not None:
        parts.append(f"map of {synthesis.map_of.series_uid}")
    return generate_uid(entropy_srcs=["|".join(parts)])


def _slice(template: Dataset, source: SourceReference, pixels: Pixels, lps: np.ndarray, index: int) -> Dataset:
    each = copy.deepcopy(template)
    each.update(plane_items(lps, index))
    each.InstanceNumber = index + 1
    each.SOPInstanceUID = _instance_uid(template.SeriesInstanceUID, index)
    if template.Modality == "PT":
        each.ImageIndex = index + 1
    if source.slices:
        positions = np.stack([own.position for own in source.slices])
        normals = np.stack([own.normal for own in source.slices])
        nearest = nearest_slices(lps, index, positions, normals)
        each.SourceImageSequence = [_reference(source.slices[number]) for number in nearest]
    each.PixelData = pixels.stored[:, :, index].T.astype("<u2" if not template.PixelRepresentation else "<i2").tobytes()
    return each


def _instance_uid(series_uid: str, index: int) -> str:
    return generate_uid(entropy_srcs=[f"{series_uid}|{index + 1}"])


def _refer_to_volume(each: Dataset, series_uid: str, index: int, source: SourceReference) -> None:
    """Let a slice of a map refer to that of its volume, and list all references by series (PS3.3, C.12.2, C.12.4)."""
    own = _instance(each.SOPClassUID, _instance_uid(series_uid, index))
    each.ReferencedImageSequence = [own]
    series_of = {one.instance_uid: one.series_uid for one in source.slices}
    by_series = {series_uid: {own.ReferencedSOPInstanceUID: own}}
    for item in each.get("SourceImageSequence", ()):  # frames of one instance are one reference
        uid = item.ReferencedSOPInstanceUID
        by_series.setdefault(series_of[uid], {})[uid] = _instance(item.ReferencedSOPClassUID, uid)
    each.ReferencedSeriesSequence = []
    for uid, instances in by_series.items():
        listed = Dataset()
        listed.SeriesInstanceUID = uid
        listed.ReferencedInstanceSequence = list(instances.values())
        each.ReferencedSeriesSequence.append(listed)


def _instance(class_uid: str, instance_uid: str) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = class_uid
    item.ReferencedSOPInstanceUID = instance_uid
    return item


def _reference(source: SourceSlice) -> Dataset:
    item = _instance(source.class_uid, source.instance_uid)
    if source.frame is not None:
        item.ReferencedFrameNumber = source.frame
    item.PurposeOfReferenceCodeSequence = [code_item(SOURCE_IMAGE)]
    return item
