"""``synthesize BUNDLE``: inference, which prints the files that it wrote.

Paths are checked before PyTorch and MONAI are imported. Messages go to stderr.
"""

from __future__ import annotations

import argparse
import gc
import json
import logging
import logging.config
import sys
import tempfile
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext, redirect_stdout
from pathlib import Path
from typing import Any

from common.errors import ConfigError, OutputError, path_option
from common.weights.shipped import shipped_weights
from medical_image_synthesis import bids
from medical_image_synthesis.catalogue import Bundle, bundles, require_weights
from medical_image_synthesis.lean import without_unused
from medical_image_synthesis.options import add_run_options, config_files, settings_of
from medical_image_synthesis.places import (
    FILES,
    MAP,
    SIDECAR,
    beside,
    ending,
    require_output,
    require_source,
)
from medical_image_synthesis.process import let_threads_sleep, say_run
from medical_image_synthesis.terminal import for_users

MANIFEST = "manifest.json"
WRITTEN = ("done", "kept")
REFUSED = "refused"


def synthesise(options: argparse.Namespace, words: Sequence[str]) -> int:
    """Infer by a bundle, and print what was written."""
    bundle: Bundle = options.bundle
    many_words = "pass several volumes as one folder"
    alone = "omit it, its images are drawn from noise"
    settings = settings_of(words, many_words if bundle.reads_volumes else alone)
    for name, option in {"predictions_dir": "--output", "dataset_dir": "SOURCE" * bundle.reads_volumes}.items():
        if option and name in settings:
            raise ConfigError(f"--{name} is {option} here", "pass it as that")
    require_weights(bundle, settings if options.weights is None else {"weights": options.weights})
    if bundle.reads_volumes:
        many = require_source(options.source, bundle.formats)
        settings["dataset_dir"] = str(options.source)
    else:
        many = True
    if options.bids is None:
        if options.participant_label or options.session_label:
            raise ConfigError("--participant_label and --session_label need --bids OUT", "pass it in place of --output")
        require_output(options, many)
    if options.number:
        settings["samples"] = options.number
    files = config_files(bundle, ["inference"], options.overlay)
    if options.weights:
        settings["weights"] = str(options.weights)
    if options.bids is not None:
        return _derivatives(options, files, settings)
    if bundle.reads_volumes:
        default = "png" if bundle.makes_pictures else "nifti"
        settings["output_format"] = FILES.get(ending(options.output), options.output_format or default)
    for name in ("resume", "overwrite", "resample_tilt"):
        if getattr(options, name):
            settings[name] = "true"
    if ending(options.output):
        return _one_file(options, files, settings)
    return _into(options.output, options, files, settings)


def _one_file(options: argparse.Namespace, files: list[str], settings: dict[str, str]) -> int:
    """Infer one case into a file, with its JSON and map next to it."""
    output: Path = options.output
    output.parent.mkdir(parents=True, exist_ok=True)
    places = (beside(output, SIDECAR), beside(output, MAP), output)
    before = [_stamp(place) for place in places]
    code = run_here(options, files, {**settings, "exporter::output_file": str(output)})
    about, of_volume, volume = (_stamp(place) != stamp for place, stamp in zip(places, before, strict=True))
    if about and not of_volume:
        beside(output, MAP).unlink(missing_ok=True)  # with --overwrite; it is of an earlier volume
    if code == 0:
        for path, is_written in ((output, volume), (beside(output, MAP), of_volume)):
            if is_written:
                print(path)
    return code


def _derivatives(options: argparse.Namespace, files: list[str], settings: dict[str, str]) -> int:
    """Infer the cases of a BIDS data set into the folder of derivatives, and give the results their places there."""
    out: Path = options.bids
    if options.resume or options.output_format not in (None, FILES[".nii.gz"]):
        raise OutputError("--bids writes NIfTI of all cases", "omit --resume and --output_format")
    bids.require_own(out, options.source, options.bundle)
    settings["source"] = settings.get("source", bids.SOURCE)
    with tempfile.TemporaryDirectory() as folder:
        listed = Path(folder, "cases.json")
        labels = (options.participant_label, options.session_label)
        sources = bids.list_cases(options.source, settings["source"], listed, *labels)
        if not options.overwrite:
            bids.require_free(out, list(sources))
        del settings["dataset_dir"]
        run = bids.run_folder(out)
        settings["datalist"] = str(listed)
        code = _into(run, options, files, settings, lambda path: bids.put(path, out, options.source, sources))
    if (run / MANIFEST).is_file():  # else nothing was inferred
        for case in (one["case"] for one in _outcomes(run) if one["status"] == REFUSED):
            bids.clear(out, case)
        bids.describe(out, options.source, options.bundle)
    return code


def _into(
    folder: Path,
    options: argparse.Namespace,
    files: list[str],
    settings: dict[str, str],
    put: Callable[[Path], Path] = lambda path: path,
) -> int:
    """Infer into a folder, and print what was written, where ``put`` puts it."""
    before = _stamp(folder / MANIFEST)
    settings = {**settings, "predictions_dir": str(folder)}
    code = run_here(options, files, settings)
    if _stamp(folder / MANIFEST) != before:  # else the manifest is that of an earlier run
        for path in _written(folder):
            print(put(path))
    return code


def _stamp(file: Path) -> tuple[int, int] | None:
    """What changes whenever a file is written again; None where there is none."""
    if not file.is_file():
        return None
    about = file.stat()
    return about.st_ino, about.st_mtime_ns


def _written(folder: Path) -> list[Path]:
    """The outputs that the manifest of a folder lists."""
    made = _outcomes(folder)
    return [folder / one["file"] for one in made if one.get("status", "done") in WRITTEN]  # samples have no status


def _outcomes(folder: Path) -> list[dict[str, Any]]:
    """What the manifest of a folder says of each case."""
    return list(json.loads((folder / MANIFEST).read_text(encoding="utf-8")))


def run_here(options: argparse.Namespace, files: list[str], settings: dict[str, str]) -> int:
    """Infer the cases that the settings name, as :mod:`medical_image_synthesis.model` does; the exit code."""
    bundle: Bundle = options.bundle
    say_run(bundle, "inference")
    let_threads_sleep()
    bundle.join_path()
    with redirect_stdout(sys.stderr), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        gc.disable()  # imports leave little garbage, and looking for it takes a sixth of their time
        with without_unused() if _is_as_shipped(options, settings) else nullcontext():
            from common.config.command import Command
            from common.config.mistakes import mistake_in, wait_for_loaders
            from common.config.start import settle
            from medical_image_synthesis.configured import from_texts, run_files, started

        gc.enable()

        logging.raiseExceptions = False  # where nobody reads stderr, each line would be a traceback
        if options.verbose:
            logging.config.fileConfig(bundle.folder / "configs" / "logging.conf", disable_existing_loggers=False)
        else:
            for_users(sys.stderr)
        try:
            run = run_files(files, from_texts(settings))
            settle(run.parser, Command(run.parser, run.files))
            started(run, "inference").get_parsed_content("inference")
        except SystemExit as end:  # of --show_config, with 0, or of SIGTERM
            return int(end.code or 0)
        except Exception as error:
            if (mistake := mistake_in(error)) is None:
                raise
            print(f"\n{mistake.label}{mistake}", file=sys.stderr, flush=True)  # a bar may not have ended its line
            wait_for_loaders()
            return mistake.exit_code
    return 0


def _is_as_shipped(options: argparse.Namespace, settings: Mapping[str, str]) -> bool:
    """Whether only what comes with the collection is computed; other configs and weights may need any library."""
    bundle: Bundle = options.bundle
    ours = bundle in bundles() and bundle.weights == shipped_weights(bundle.folder)
    given = {word for setting in settings.items() for word in setting}
    return ours and not options.overlay and not {"weights", "output_dir"} & given and "_target_" not in str(given)


def add(command: argparse.ArgumentParser, bundle: Bundle) -> None:
    """Add the options of a bundle's inference."""
    lines = [f"{bundle.task}.", *([] if bundle.weights else [f"Train first: {bundle.training}"])]
    lines.append(f"Any setting of {bundle.config('inference')} is an option.")
    command.description = "\n".join(lines)
    words = f"SOURCE -o OUT{'.png' if bundle.makes_pictures else '.nii.gz'}" if bundle.reads_volumes else "-o OUT"
    command.epilog = f"example:\n  synthesize {bundle.short} {words}"
    if bundle.reads_volumes:
        about = f"a volume ({', '.join(bundle.formats)}), a DICOM series, or a folder of them"
        if bundle.makes_pictures:
            about = f"a picture ({', '.join(bundle.formats)}), or a folder of them"
        command.add_argument("source", metavar="SOURCE", type=path_option, nargs="?", help=about)
        formats = (*FILES.values(), "dicom")
        about = "format of files in a folder (default: nifti, of pictures png)"
        command.add_argument("--output_format", choices=formats, help=about)
        about = "resample tilted or unevenly spaced slices of a DICOM series"
        command.add_argument("--resample_tilt", action="store_true", help=about)
    about = f"a file for one volume ({', '.join(FILES)}), otherwise a folder"
    places = command.add_mutually_exclusive_group(required=True)
    places.add_argument("-o", "--output", metavar="OUT", type=path_option, help=about)
    if bundle.reads_volumes:
        about = f"folder of BIDS derivatives; SOURCE is the raw data set, --source a suffix (default: {bids.SOURCE})"
        places.add_argument("--bids", metavar="OUT", type=path_option, help=about)
        bids.add_labels(command)
    else:
        command.add_argument("--number", metavar="N", help="number of samples, of each class where there are classes")
    command.add_argument("--weights", metavar="FILE", type=path_option, help="weights (default: the shipped ones)")
    add_run_options(command)
    command.add_argument("--overwrite", action="store_true", help="replace existing files")
    command.add_argument("--resume", action="store_true", help="skip cases that are done")
    without = {
        "source": None,
        "resample_tilt": False,
        "bids": None,
        "number": None,
        "participant_label": (),
        "session_label": (),
    }
    command.set_defaults(run=synthesise, bundle=bundle, **without)
