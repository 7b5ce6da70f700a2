"""``python -m medical_image_synthesis.app.as_dicom SOURCE MADE.json WEIGHTS OUT.zip SETTINGS``: a result as DICOM."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import yaml

from common.errors import CheckpointError, OutputError, exit_code_of_user_errors
from common.io import VolumeReader
from common.io.dicom.writing.template import MapOf
from common.io.export.dicom import DicomFormat
from common.io.export.verdicts import REFUSE, in_words
from common.io.export.volume import OutputVolume
from common.weights import checkpoints
from medical_image_synthesis.app.inference import zipped
from medical_image_synthesis.places import MAP

OF_READER = ("nan_fill", "series", "phase", "resample_tilt")
"""Settings of a case that say how its source is read."""
SERIES = "series "
"""Before the UID in the sidecar of a volume whose source is a series."""


@exit_code_of_user_errors
def main(words: Sequence[str]) -> int:
    """Write a NIfTI result, and its map where there is one, as the series that the inference would have written.

    Raises:
        OutputError: the verdict is ``refuse``, or see :class:`common.io.export.dicom.DicomFormat`.
        CheckpointError: the weights are not those of the result.
    """
    source, sidecar, weights, out = map(Path, words[:4])
    settings = {name: yaml.safe_load(text) for name, text in json.loads(words[4]).items()}
    about = json.loads(sidecar.read_text(encoding="utf-8"))
    quality = about["Quality"]
    if quality is not None and quality["verdict"] == REFUSE:
        raise OutputError("a refused volume is not written as DICOM", "check the source")
    if checkpoints.sha256(weights) != about["WeightsSha256"]:
        raise CheckpointError("the weights have been replaced since", "infer the scan again")
    uid = about["Source"].removeprefix(SERIES) if source.is_dir() else None
    reader = VolumeReader(**{"series": uid, **{name: settings[name] for name in OF_READER if name in settings}})
    axial = settings.get("dicom_axial", False)
    series = DicomFormat(about["Modality"], about["Unit"], about["Bundle"], weights, axial, reader=reader)
    made = VolumeReader().check(sidecar.with_suffix(".nii.gz"), "the result")
    grid = reader.extent(source, "the scan")  # not rounded to single precision, as that of NIfTI is
    affine = made.affine if grid is None else grid.affine
    volume = OutputVolume(
        "the result", made.values, affine, source, uid, tuple(about["Warnings"]),
        quality=None if quality is None else in_words(quality),
    )  # fmt: skip
    with tempfile.TemporaryDirectory(dir=out.parent) as temporary:
        folders = [Path(temporary, sidecar.stem)]
        of_volume = series.write(volume, folders[0])
        if widths := about.get("Uncertainty"):
            hold = f"{100 * widths['Level']:g}% of voxels in {100 * widths['CaseLevel']:g}% of cases"
            values = VolumeReader().check(sidecar.with_name(f"{sidecar.stem}{MAP}"), "the map").values
            folders.append(Path(temporary, f"{sidecar.stem}_uncertainty"))
            map_of = MapOf(of_volume["SeriesInstanceUID"], hold)
            series.write(replace(volume, values=values, map_of=map_of), folders[1])
        zipped(folders, out)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
