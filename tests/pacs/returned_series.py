"""What the node has sent to Orthanc: which series it is of, its values, and whether it conforms."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nibabel as nib
import pydicom
from pydicom.dataset import Dataset
from real_servers import Node, Orthanc
from series_readers import stacked

SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
SYNTHETIC = 0x0008001C
"""SyntheticData, which is YES."""


def downloaded(orthanc: Orthanc, series: dict[str, Any], folder: Path) -> list[Dataset]:
    """The instances of a series, whose files are put into a folder as Orthanc has them."""
    folder.mkdir(parents=True)
    for number, instance in enumerate(series["instances"], start=1):
        (folder / f"IM{number:04}.dcm").write_bytes(orthanc.read(f"/instances/{instance}/file"))
    return [pydicom.dcmread(path) for path in sorted(folder.iterdir())]


def headers(orthanc: Orthanc, series: dict[str, Any]) -> list[dict[str, Any]]:
    """The tags of its instances, by Orthanc's names."""
    return [orthanc.get(f"/instances/{instance}/tags?short") for instance in series["instances"]]


def derived_of(orthanc: Orthanc) -> dict[str, list[str]]:
    """For each series that was sent, the synthetic series whose slices refer to its instances, as UIDs."""
    found = orthanc.series()
    own, of_series = {}, {}
    for uid, series in found.items():
        for tags in headers(orthanc, series):
            own[tags["0008,0018"]] = uid
            references = tags.get("0008,2112") or []
            if references:
                of_series.setdefault(uid, set()).update(each["0008,1155"] for each in references)
    result: dict[str, list[str]] = {}
    for uid, sources in of_series.items():
        for source in {own.get(instance, "elsewhere") for instance in sources}:
            result.setdefault(source, []).append(uid)
    return result


def volume(slices: Sequence[Dataset]) -> nib.Nifti1Image:
    """Values with the affine to RAS mm, from the elements of the slices alone, in the order closest to RAS."""
    return nib.as_closest_canonical(stacked(slices))


def spooled(node: Node, series: str) -> list[Dataset]:
    """The slices of a synthetic series as the node has written them to its spool."""
    paths = (node.folder / "spool" / "outgoing").rglob("*.dcm")
    return [each for each in map(pydicom.dcmread, sorted(paths)) if each.SeriesInstanceUID == series]
