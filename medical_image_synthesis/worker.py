"""The worker of page and node, ``python -m medical_image_synthesis.worker [MODELS]``, which keeps models loaded.

A job is a line of JSON on stdin, its name and arguments. Its answer are lines on stdout: any number with ``stage`` and
``share``, then one with ``made``, or with the ``fault`` of a user, and with its ``reasons`` where a case is refused.
What is no fault of a user ends the process, and so does the end of stdin, at once: whoever asked is gone.
Libraries are imported by the jobs that need them: a scan is shown within a second.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import threading
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from common.errors import CheckpointError, DataError, OutputError, Refused, UnsuitedError, user_error_in
from medical_image_synthesis.catalogue import Bundle
from medical_image_synthesis.places import MAP, SIDECAR
from medical_image_synthesis.process import let_threads_sleep

OF_READER = ("nan_fill", "series", "phase", "resample_tilt")
"""Settings of a case that say how its source is read."""
SERIES = "series "
"""Before the UID in the sidecar of a volume whose source is a series."""
_models: OrderedDict[Any, Any] = OrderedDict()
"""The last ones used, the newest last."""
_kept = 1
"""How many of them: each needs memory."""


def infer(
    progress: Callable[[str, float | None], None], bundle: str, options: Mapping[str, str], source: str, out: str
) -> str:
    """Infer a scan; the path of the JSON file in the folder ``out``, with the volume next to it unless it is refused.

    Raises:
        UserError: the bundle cannot be loaded with these options, or the scan cannot be inferred.
    """
    model = _model(Bundle(Path(bundle).name, Path(bundle)), options, progress)
    (item,) = model.cases(source)
    try:
        made = model.infer(item, progress)
        record = made.record
    except Refused as error:
        made, record = None, error.record
        if record is None:  # it does not suit the weights
            raise
    sidecar = Path(out, f"{item['case']}_{record['Content'].replace(' ', '_')}{SIDECAR}")  # as the command names it
    if made is None:
        sidecar.parent.mkdir()
        sidecar.write_text(json.dumps(record, indent=2), encoding="utf-8")
    else:
        made.save(sidecar.with_suffix(".nii.gz"))
    return str(sidecar)


def derive(
    progress: Callable[[str, float | None], None], bundle: str, options: Mapping[str, str], source: str, out: str
) -> str:
    """Infer a DICOM series, and write the derived series into folders in the new folder ``out``, whose path it returns.

    Raises:
        Refused: the case has no volume.
        UserError: see :func:`infer`.
    """
    model = _model(Bundle(Path(bundle).name, Path(bundle)), options, progress)
    items = model.cases(source)
    if len(items) != 1:
        raise DataError(f"the series holds {len(items)} cases", "send one volume as one series")
    model.infer(items[0], progress).to_dicom(Path(out, "synthetic"))
    return out


def load(progress: Callable[[str, float | None], None], bundle: str, options: Mapping[str, str]) -> str:
    """Load a bundle with options, which is kept, and return what it is.

    Raises:
        UserError: it cannot be loaded.
    """
    return repr(_model(Bundle(Path(bundle).name, Path(bundle)), options, progress))


def _model(bundle: Bundle, options: Mapping[str, str], progress: Callable[[str, float | None], None]) -> Any:
    """The model of a bundle with options, loaded unless it is kept and its weights are those that it had."""
    weights = Path(options["weights"]) if "weights" in options else bundle.weights
    key = (bundle, *options.items(), weights, weights and weights.is_file() and weights.stat().st_mtime_ns)
    if key not in _models:
        progress(f"loading {bundle.name}", None)
        from medical_image_synthesis.configured import from_texts
        from medical_image_synthesis.model import model_of

        while len(_models) >= _kept:
            _models.popitem(last=False)
        _models[key] = model_of(bundle, [], from_texts(options))
    _models.move_to_end(key)
    return _models[key]


def view(scan: str, out: str) -> str:
    """Write a volume as NIfTI on its own grid; tilted or unevenly spaced slices are resampled.

    Raises:
        UserError: it cannot be read.
    """
    import nibabel as nib
    import numpy as np

    from common.io import VolumeReader

    read = VolumeReader().lenient().check(scan, Path(scan).name)
    nib.save(nib.Nifti1Image(np.asarray(read.values, np.float32), read.affine), out)
    return out


def as_dicom(source: str, sidecar: str, weights: str, out: str, settings: Mapping[str, str]) -> str:
    """Zip a NIfTI result, and its map where there is one, as the series that the inference would have written.

    Raises:
        OutputError: the verdict is ``refuse``, or see :class:`common.io.export.dicom.DicomFormat`.
        CheckpointError: the weights are not those of the result.
    """
    import yaml

    from common.io import VolumeReader
    from common.io.dicom.writing.template import MapOf
    from common.io.export.dicom import DicomFormat
    from common.io.export.verdicts import REFUSE
    from common.io.export.volume import OutputVolume
    from common.weights import checkpoints

    scan, result, place = Path(source), Path(sidecar), Path(out)
    given = {name: yaml.safe_load(text) for name, text in settings.items()}
    about = json.loads(result.read_text(encoding="utf-8"))
    quality = about["Quality"]
    if quality is not None and quality["verdict"] == REFUSE:
        raise OutputError("a refused volume is not written as DICOM", "check the source")
    if checkpoints.sha256(Path(weights)) != about["WeightsSha256"]:
        raise CheckpointError("the weights have been replaced since", "infer the scan again")
    uid = about["Source"].removeprefix(SERIES) if scan.is_dir() else None
    reader = VolumeReader(**{"series": uid, **{name: given[name] for name in OF_READER if name in given}})
    axial, same = given.get("dicom_axial", False), about.get("SameScan", False)
    series = DicomFormat(
        about["Modality"], about["Unit"], about["Bundle"], Path(weights), axial, reader=reader, same_scan=same
    )
    made = VolumeReader().check(result.with_suffix(".nii.gz"), "the result")
    grid = reader.extent(scan, "the scan")  # not rounded to single precision, as that of NIfTI is
    affine = made.affine if grid is None else grid.affine
    volume = OutputVolume("the result", made.values, affine, scan, uid, tuple(about["Warnings"]), quality=quality)
    with tempfile.TemporaryDirectory(dir=place.parent) as temporary:
        folders = [Path(temporary, result.stem)]
        of_volume = series.write(volume, folders[0])
        if widths := about.get("Uncertainty"):
            hold = f"{100 * widths['Level']:g}% of voxels in {100 * widths['CaseLevel']:g}% of cases"
            values = VolumeReader().check(result.with_name(f"{result.stem}{MAP}"), "the map").values
            folders.append(Path(temporary, f"{result.stem}_uncertainty"))
            map_of = MapOf(of_volume["SeriesInstanceUID"], hold)
            series.write(replace(volume, values=values, map_of=map_of), folders[1])
        with zipfile.ZipFile(place, "x", zipfile.ZIP_DEFLATED) as archive:
            for file in (file for folder in folders for file in sorted(folder.iterdir())):
                archive.write(file, file.relative_to(temporary))
    return out


def main() -> None:
    """Do the jobs until stdin ends."""
    global _kept
    _kept = int(sys.argv[1]) if sys.argv[1:] else 1
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # where libraries may print
    let_threads_sleep()

    def say(**line: Any) -> None:
        print(json.dumps(line), file=answers, flush=True)

    def tell(stage: str, share: float | None) -> None:
        say(stage=stage, share=share)

    of_models = {job.__name__: partial(job, tell) for job in (infer, derive, load)}
    jobs: dict[str, Callable[..., str]] = {**of_models, "view": view, "as_dicom": as_dicom}
    lines: SimpleQueue[str] = SimpleQueue()
    threading.Thread(target=_read, args=(lines,), daemon=True).start()
    while True:
        line = lines.get()
        name, arguments = json.loads(line)
        try:
            say(made=jobs[name](**arguments))
        except Exception as error:
            mistake = user_error_in(error)
            if name in of_models:
                from common.config.mistakes import mistake_in

                mistake = mistake_in(error)
            if mistake is None:
                raise
            say(
                fault=str(mistake),
                **({"reasons": mistake.reasons} if isinstance(mistake, Refused | UnsuitedError) else {}),
            )


def _read(lines: SimpleQueue[str]) -> None:
    """Pass on the lines of stdin, and end the process with them, in the middle of a job too."""
    for line in sys.stdin:
        lines.put(line)
    os._exit(0)


if __name__ == "__main__":
    main()
