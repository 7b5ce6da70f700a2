"""``synthesize BUNDLE RAW --bids OUT``: the cases of a BIDS data set, and the names of its derivatives."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

from common.errors import OutputError
from medical_image_synthesis.catalogue import Bundle
from medical_image_synthesis.places import MAP, SIDECAR, beside

DESCRIPTION = "dataset_description.json"
VERSION = "1.10.0"
"""Of the BIDS specification."""
SOURCE = "T1w"
SYNTHETIC, INTERVALS = "desc-synthetic", "desc-uncertainty"
KINDS = {"ct": ("ct", "ct"), "pet": ("pet", "pet"), "t1": ("anat", "T1w"), "t2": ("anat", "T2w")}
"""Folder and suffix by the last word of the bundle's own suffix; of another word, ``anat`` and that word."""


def list_cases(root: Path, source: str, file: Path) -> list[str]:
    """Write the cases of a raw data set with all sources as the test section of a datalist, and return their names.

    Args:
        root: of the raw data.
        source: suffixes of the network's channels, separated by commas.
        file: the datalist.

    Raises:
        DataError: no case has all sources, or one has two files of a suffix.
    """
    from common.data.datalist import write_datalist
    from common.data.layouts.data_sets import BIDS, find_cases

    items = find_cases(root, BIDS, source, None, None)
    write_datalist({"test": items}, file)
    return [item["case"] for item in items]


def require_own(out: Path, root: Path, bundle: Bundle) -> None:
    """Refuse a folder of other data than derivatives of the bundle.

    Raises:
        OutputError: it is the raw data set, or has a description of another one.
    """
    remedy = f"choose another folder, such as {root}/derivatives/{bundle.name}"
    if out.resolve() == root.resolve():
        raise OutputError(f"--bids {out} is the raw data set", remedy)
    file = out / DESCRIPTION
    try:
        known = json.loads(file.read_text(encoding="utf-8")) if file.exists() else None
        own = known is None or [each["Name"] for each in known["GeneratedBy"]] == [bundle.name]
    except (KeyError, TypeError, ValueError):
        own = False
    if not own:
        raise OutputError(f"{file} (from --bids) describes another data set", remedy)


def require_free(out: Path, cases: Sequence[str]) -> None:
    """Refuse a folder that has a synthetic volume of one of the cases.

    Raises:
        OutputError: naming the first.
    """
    for case in cases:
        if there := sorted(_folder(out, case).glob(f"*/{case}_{SYNTHETIC}_*")):
            raise OutputError(f"{there[0]} exists (from --bids)", "add --overwrite, or choose another folder")


def put(volume: Path, out: Path) -> Path:
    """Move a volume with its JSON file and map to its place among the derivatives, and return that.

    ``sub-01_ses-02_synthetic_ct.nii.gz`` becomes ``OUT/sub-01/ses-02/ct/sub-01_ses-02_desc-synthetic_ct.nii.gz``.
    """
    from common.data.layouts.bids import SESSION, SUBJECT

    *_, word = words = volume.name.removesuffix(".nii.gz").split("_")
    case = "_".join(each for each in words if each.startswith((SUBJECT, SESSION)))
    kind, suffix = KINDS.get(word, ("anat", word))
    folder = _folder(out, case) / kind
    folder.mkdir(parents=True, exist_ok=True)
    made = folder / f"{case}_{SYNTHETIC}_{suffix}.nii.gz"
    if beside(volume, MAP).is_file():
        os.replace(beside(volume, MAP), folder / f"{case}_{INTERVALS}_{suffix}.nii.gz")
    os.replace(beside(volume, SIDECAR), beside(made, SIDECAR))
    os.replace(volume, made)
    return made


def describe(out: Path, bundle: Bundle) -> None:
    """Write the description of the derivatives."""
    generated = {"Name": bundle.name, "Version": bundle.metadata["version"]}
    about = {
        "Name": f"Synthetic volumes of {bundle.name}, not for clinical use",
        "BIDSVersion": VERSION,
        "DatasetType": "derivative",
        "GeneratedBy": [generated],
    }
    (out / DESCRIPTION).write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")


def _folder(out: Path, case: str) -> Path:
    return out.joinpath(*case.split("_"))
