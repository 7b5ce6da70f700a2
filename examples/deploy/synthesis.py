"""One series of a study through a packed bundle: what the application in ``app.py`` does, without MONAI Deploy.

The bundle's own ``inference`` reads the series and writes the derived one, so that geometry, values, headers and
refusals are those of the bundle anywhere else. It runs as a command of its own: one that fails leaves its message.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pydicom
from pydicom.errors import InvalidDicomError

MANIFEST = "manifest.json"

# pydicom quotes the values it complains about, and those can be a patient's
pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
logging.getLogger("pydicom").setLevel(logging.CRITICAL)


class SynthesisError(RuntimeError):
    """A study, bundle or output that cannot be used; the message says which, on one line."""


def selection_rules(bundle: Path) -> str:
    """What to synthesise from, as rules of ``DICOMSeriesSelectorOperator``: the modality that the bundle expects.

    Args:
        bundle: folder of an unpacked release.

    Raises:
        SynthesisError: where that folder holds no bundle with an image of one modality as its input.
    """
    path = bundle / "configs" / "metadata.json"
    try:
        modality = json.loads(path.read_text())["network_data_format"]["inputs"]["image"]["modality"]
    except (OSError, ValueError, KeyError) as error:
        raise SynthesisError(f"{bundle} is not an unpacked bundle that translates images ({error!r})") from error
    return json.dumps({"selections": [{"name": "source", "conditions": {"Modality": f"^{modality}$"}}]})


def only_series(uids: Sequence[str]) -> str:
    """The SeriesInstanceUID that the rules left.

    Raises:
        SynthesisError: for none or several: which one is meant is not guessed.
    """
    if len(uids) == 1:
        return uids[0]
    remedy = "pass the folder of one series as --input, or add conditions to selection_rules"
    raise SynthesisError(f"the rules select {', '.join(sorted(uids)) or 'no series'}, not one series: {remedy}")


def link_series(study: Path, uid: str, folder: Path) -> int:
    """Gather a series from anywhere under ``study`` as links in ``folder``, which is created; returns how many.

    All files of the series, also those that ``DICOMDataLoaderOperator`` drops: of several slices at one position it
    keeps one, whichever echo or time point that is, where the bundle refuses and asks for the one that is meant.

    Raises:
        SynthesisError: where a file of the study cannot be read.
    """
    folder.mkdir(parents=True)
    files = [Path(place, name) for place, _, names in os.walk(study) for name in names]
    members = [path for path in sorted(files) if _series_uid(path) == uid]
    for number, path in enumerate(members, start=1):
        Path(folder, f"{number:05}_{path.name}").symlink_to(path.resolve())
    return len(members)


def synthesise(bundle: Path, study: Path, uid: str, output: Path) -> Path:
    """Translate a series and return the folder of the derived one, ``<output>/<uid>_<suffix>``, a file a slice.

    Args:
        bundle: folder of an unpacked release with weights.
        study: folder with the series, and perhaps others.
        uid: the series' SeriesInstanceUID, which also names the output: a folder's name may be a patient's.
        output: where the bundle writes; it refuses to replace a series that is there.

    Raises:
        SynthesisError: with the bundle's own message where it refuses the series, its weights or the output.
    """
    with tempfile.TemporaryDirectory() as temporary:
        source = Path(temporary, uid)
        link_series(study, uid, source)
        words = [sys.executable, "-W", "ignore", "-m", "monai.bundle", "run", "inference"]
        words += ["--config_file", "configs/inference.yaml", "--output_format", "dicom"]
        words += ["--dataset_dir", str(source), "--predictions_dir", str(output.resolve())]
        done = subprocess.run(words, cwd=bundle, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        raise SynthesisError(_reason(done.stderr, output / MANIFEST))
    (outcome,) = json.loads((output / MANIFEST).read_text())
    return output / outcome["file"]


def _series_uid(path: Path) -> str | None:
    try:
        header = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=["SeriesInstanceUID"])
    except InvalidDicomError:
        return None
    except OSError as error:
        raise SynthesisError(f"cannot read {path} ({error.strerror or error})") from error
    return str(header.get("SeriesInstanceUID", ""))


def _reason(said: str, manifest: Path) -> str:
    """The last line on stderr; of a case that failed, what the manifest named there says of it."""
    line = (said.strip().splitlines() or ["the bundle ended without a word"])[-1].removeprefix("error: ")
    if manifest.name not in line:
        return line
    (outcome,) = json.loads(manifest.read_text())
    return str(outcome["reason"])
