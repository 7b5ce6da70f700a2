"""``synthesize BUNDLE RAW --bids OUT``: the cases of a BIDS data set, and the names of its derivatives."""

from __future__ import annotations

import argparse
import json
import os
import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from common.errors import DataError, OutputError
from common.files import remove, write_text
from medical_image_synthesis.catalogue import Bundle
from medical_image_synthesis.places import MAP, SIDECAR, beside

DESCRIPTION = "dataset_description.json"
VERSION = "1.10.0"
"""Of the BIDS specification."""
SOURCE = "T1w"
UNCERTAINTY = "uncertainty"
RAW = "raw"
"""Name of the raw data set in BIDS URIs, such as ``bids:raw:sub-01/anat/sub-01_T1w.nii.gz``."""
SUFFIXES = {"ct": "ct", "pet": "pet", "t1": "T1w", "t2": "T2w"}
"""By the last word of the bundle's own suffix; after another word the image keeps that of its source."""
FOLDERS = {"ct": "ct", "pet": "pet"}
"""By suffix; ``anat`` of others."""
LOGS = "logs"
IGNORED = "ct\n"
"""What the validator must not look at, since BIDS has no CT yet; with a slash at the end the folder itself would remain
an error."""
README = """# Synthetic volumes of {name}

Made by {name} {version} of medical-image-synthesis-bundles from scans of a raw data set. For research; not for clinical
use. The JSON of a volume has its weights, and its verdict with reasons where the weights are calibrated. A refused case
has no volume: `logs/*/manifest.json` says why. BIDS has no CT yet, therefore `.bidsignore` names its folders.
"""


def add_labels(command: argparse.ArgumentParser) -> None:
    """Add the options that keep to some participants and sessions."""
    for name, kind in (("participant", "sub"), ("session", "ses")):
        about = f"of a BIDS data set only these, with or without {kind}- (default: all)"
        command.add_argument(f"--{name}_label", metavar="LABEL", nargs="+", default=(), help=about)


def list_cases(
    root: Path, source: str, file: Path, participants: Sequence[str] = (), sessions: Sequence[str] = ()
) -> dict[str, list[Path]]:
    """Write the cases of a raw data set with all sources as the test section of a datalist.

    Args:
        root: of the raw data.
        source: suffixes of the network's channels, separated by commas.
        file: the datalist.
        participants: labels to which to keep, with or without ``sub-``; by default all.
        sessions: the same with ``ses-``.

    Returns:
        by the names of the cases, the files of the channels.

    Raises:
        DataError: no case has all sources, or one has two files of a suffix; a participant or session is not there, or
            a participant that is asked for has no suitable image.
    """
    from common.data.datalist import write_datalist
    from common.data.layouts.bids import SESSION, SUBJECT, subject_files
    from common.data.layouts.folders import items_of, names_of

    root = Path(os.path.abspath(root))
    subjects = [SUBJECT + label.removeprefix(SUBJECT) for label in participants]
    parts = [SESSION + label.removeprefix(SESSION) for label in sessions]
    wanted = dict.fromkeys(subjects, "--participant_label") | {
        f"{SUBJECT}*/{each}": "--session_label" for each in parts
    }
    for folder, option in wanted.items():
        if not any(path.is_dir() for path in root.glob(folder)):
            raise DataError(f"no folder {folder} in {root} (from {option})", "correct the label")
    names = names_of(source, None)
    files = subject_files(root, names, subjects=subjects, sessions=parts)
    for subject in subjects:
        if not any(case.split("_")[0] == subject for case in files):
            fault = f"{subject} (from --participant_label) has no image {source}"
            raise DataError(fault, "omit this label, or name another --source")
    write_datalist({"test": items_of(root, files, names, None, None, "_")}, file)
    return {case: [found[name] for name in names] for case, found in files.items()}


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
    """Refuse a folder that has a volume of one of the cases.

    Raises:
        OutputError: naming the first.
    """
    for case in cases:
        if there := _files(out, case):
            raise OutputError(f"{there[0]} exists (from --bids)", "add --overwrite, or choose another folder")


def run_folder(out: Path) -> Path:
    """The folder of a run's manifest, of its own, since participants may be inferred at the same time."""
    return out / LOGS / f"{datetime.now():%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"


def put(volume: Path, out: Path, root: Path, sources: Mapping[str, Sequence[Path]]) -> Path:
    """Move a volume with its JSON file and map to its place among the derivatives, and return that.

    The JSON names the ``sources`` of its case by their place in the raw data set ``root``.

    ``sub-01_ses-02_synthetic_ct.nii.gz`` becomes ``OUT/sub-01/ses-02/ct/sub-01_ses-02_desc-synthetic_ct.nii.gz``, and
    what an earlier run made of the case is removed.
    """
    case = next(each for each in sources if volume.name.startswith(f"{each}_"))
    *words, last = volume.name.removesuffix(".nii.gz").removeprefix(f"{case}_").split("_")
    suffix = SUFFIXES.get(last) or sources[case][0].name.split(".")[0].split("_")[-1]
    about = json.loads(beside(volume, SIDECAR).read_text(encoding="utf-8"))
    shared: dict[str, Any] = {"SkullStripped": _is_stripped(sources[case][0])}
    raw = Path(os.path.abspath(root))
    shared["Sources"] = [f"bids:{RAW}:{path.relative_to(raw).as_posix()}" for path in sources[case]]
    clear(out, case)
    folder = _folder(out, case) / FOLDERS.get(suffix, "anat")
    folder.mkdir(parents=True, exist_ok=True)
    made = folder / f"{case}_desc-{words[0]}_{suffix}.nii.gz"
    if beside(volume, MAP).is_file():
        of_volume = folder / f"{case}_desc-{UNCERTAINTY}_{suffix}.nii.gz"
        os.replace(beside(volume, MAP), of_volume)
        marks = {name: about[name] for name in ("SyntheticData", "NotForClinicalUse", "Bundle", "WeightsSha256")}
        words_of_map = f"half-widths of prediction intervals around {made.name}"
        _write(beside(of_volume, SIDECAR), {"Description": words_of_map, **shared, **marks, **about["Uncertainty"]})
    described = f"{about['Content']} in {about['Unit']}, not for clinical use"
    _write(beside(made, SIDECAR), {"Description": described, **shared, **about})
    os.replace(volume, made)
    beside(volume, SIDECAR).unlink()
    return made


def clear(out: Path, case: str) -> None:
    """Remove what an earlier run made of a case."""
    remove(*_files(out, case))


def describe(out: Path, root: Path, bundle: Bundle) -> None:
    """Write the description with the way to the raw data set, and what the validator asks for; a user's words stay."""
    generated = {"Name": bundle.name, "Version": bundle.metadata["version"]}
    about = {
        "Name": f"Synthetic volumes of {bundle.name}, not for clinical use",
        "BIDSVersion": VERSION,
        "DatasetType": "derivative",
        "GeneratedBy": [generated],
        "DatasetLinks": {RAW: Path(os.path.relpath(root, out)).as_posix()},
    }
    file = out / DESCRIPTION
    added = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}  # such as Authors
    _write(file, {**added, **about})
    if not any(out.glob("README*")):
        write_text(out / "README.md", README.format(name=bundle.name, version=bundle.metadata["version"]))
    if not (out / ".bidsignore").exists():
        write_text(out / ".bidsignore", IGNORED)


def _write(file: Path, about: Mapping[str, Any]) -> None:
    write_text(file, json.dumps(about, indent=2) + "\n")


def _is_stripped(source: Path) -> bool:
    """Whether the JSON next to a source says that it shows the brain alone, as the volume then does."""
    try:
        told = json.loads(source.with_name(f"{source.name.split('.')[0]}{SIDECAR}").read_text(encoding="utf-8"))
        return bool(told["SkullStripped"])
    except (KeyError, OSError, TypeError, ValueError):
        return False


def _files(out: Path, case: str) -> list[Path]:
    """The files that :func:`put` made of a case."""
    kinds = ("synthetic", UNCERTAINTY)
    return sorted(path for kind in kinds for path in _folder(out, case).glob(f"*/{case}_desc-{kind}_*"))


def _folder(out: Path, case: str) -> Path:
    return out.joinpath(*case.split("_"))
