"""One series of a study through a bundle: what the application in ``app.py`` does, without MONAI Deploy.

The bundle's model reads the series and writes the derived one, so that geometry, values, headers and refusals are those
of the bundle anywhere else.
"""

from __future__ import annotations

import json
import logging
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pydicom
from pydicom.errors import InvalidDicomError

import medical_image_synthesis as mis

SETTINGS: dict[str, Any] = {"output_format": "dicom"}
"""Of the inference; what a message asks for, such as ``phase=1``, belongs here."""

# pydicom quotes the values it complains about, and those can be a patient's
pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
logging.getLogger("pydicom").setLevel(logging.CRITICAL)


def selection_rules(bundle: Path) -> str:
    """What to synthesise from, as rules of ``DICOMSeriesSelectorOperator``: the modality that the bundle expects.

    Args:
        bundle: folder of an unpacked release.

    Raises:
        UserError: where that folder holds no bundle with an image of one modality as its input.
    """
    path = bundle / "configs" / "metadata.json"
    try:
        modality = json.loads(path.read_text())["network_data_format"]["inputs"]["image"]["modality"]
    except (OSError, ValueError, KeyError) as error:
        raise mis.UserError(f"{bundle} is not an unpacked bundle that translates images ({error!r})") from error
    return json.dumps({"selections": [{"name": "source", "conditions": {"Modality": f"^{modality}$"}}]})


def only_series(uids: Sequence[str]) -> str:
    """The SeriesInstanceUID that the rules left.

    Raises:
        UserError: for none or several: which one is meant is not guessed.
    """
    if len(uids) == 1:
        return uids[0]
    remedy = "pass the folder of one series as --input, or add conditions to selection_rules"
    raise mis.UserError(f"the rules select {', '.join(sorted(uids)) or 'no series'}, not one series: {remedy}")


def link_series(study: Path, uid: str, folder: Path) -> int:
    """Gather a series from anywhere under ``study`` as links in ``folder``, which is created; returns how many.

    All files of the series, also those that ``DICOMDataLoaderOperator`` drops: of several slices at one position it
    keeps one, whichever echo or time point that is, where the bundle refuses and asks for the one that is meant.

    Raises:
        UserError: where a file of the study cannot be read.
    """
    folder.mkdir(parents=True)
    files = [Path(place, name) for place, _, names in os.walk(study) for name in names]
    members = [path for path in sorted(files) if _series_uid(path) == uid]
    for number, path in enumerate(members, start=1):
        Path(folder, f"{number:05}_{path.name}").symlink_to(path.resolve())
    return len(members)


def load(bundle: Path) -> mis.SynthesisModel:
    """The model of an unpacked release: its weights in the code of the installed bundle with its name.

    Raises:
        UserError: no bundle has this name, or the weights are damaged, missing, or of another network.
    """
    return mis.load(bundle.resolve().name, weights=bundle / "models" / "model.pt", **SETTINGS)


def synthesise(model: mis.SynthesisModel, study: Path, uid: str, output: Path) -> Path:
    """Translate a series and return the folder of the derived one, ``<output>/<uid>_<suffix>``, a file a slice.

    Args:
        model: of :func:`load`.
        study: folder with the series, and perhaps others.
        uid: the series' SeriesInstanceUID, which also names the output: a folder's name may be a patient's.
        output: receives it; a series that is there is not replaced.

    Raises:
        UserError: where the bundle refuses the series or the output.
    """
    with tempfile.TemporaryDirectory() as temporary:
        source = Path(temporary, uid)
        link_series(study, uid, source)
        made = model(source)
        return made.to_dicom(output / f"{uid}_{made.record['Content'].replace(' ', '_')}")


def _series_uid(path: Path) -> str | None:
    try:
        header = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=["SeriesInstanceUID"])
    except InvalidDicomError:
        return None
    except OSError as error:
        raise mis.UserError(f"cannot read {path} ({error.strerror or error})") from error
    return str(header.get("SeriesInstanceUID", ""))
