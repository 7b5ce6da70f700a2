"""``synthesize``: inference and evaluation of the bundles as one command, which prints the files that it wrote.

Paths are checked before PyTorch and MONAI are imported; all else is done by ``python -m common.inference`` in a process
of its own, whose messages go to stderr.
"""

from __future__ import annotations

import argparse
import difflib
import json
import os
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from common.errors import CheckpointError, ConfigError, DataError, exit_code_of_mistakes, path_option
from common.files import require_bounded
from common.path_names import texts
from medical_image_synthesis.catalogue import Bundle, bundles
from medical_image_synthesis.places import (
    FILES,
    MAP,
    SIDECAR,
    VOLUMES,
    beside,
    ending,
    is_refusal,
    require_output,
    require_source,
)
from medical_image_synthesis.process import run_python

MANIFEST = "manifest.json"
WRITTEN = ("done", "kept")


@exit_code_of_mistakes
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code: 0, or that of the error whose line ends stderr."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    parser, known = _parser()
    _require_command(given, known)
    options, words = parser.parse_known_args(given)
    try:
        return int(options.run(options, words))
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


def listing(_: argparse.Namespace, words: Sequence[str]) -> int:
    """Print the bundles: name, version, what they do, their network or how to train it, and where they lie."""
    _require_none(words)
    for bundle in bundles():
        about = bundle.metadata
        print(f"{bundle.short:9}{bundle.name} {about['version']}: {about['task']}")
        print(f"{'':9}{bundle.network}{'' if bundle.weights else f': {bundle.training}'}")
        print(f"{'':9}{bundle.folder}")
    print("For research; not for clinical use.")
    return 0


def evaluate(options: argparse.Namespace, words: Sequence[str]) -> int:
    """Print the metrics of a synthetic volume as JSON, by the shared package."""
    _require_none(words)
    files = {"pred": options.synthetic, "truth": options.truth, "mask": options.mask}
    for name, path in files.items():
        if not path.exists():
            raise DataError(name, "is a volume", f"{path}: no such file or folder", "check the path")
    scored = [f"--{name}={value}" for name, value in {**files, "unit": options.unit}.items()]  # a name may begin with -
    scored += ["--value_range", *map(str, options.value_range)] if options.value_range else []
    return run_python(bundles()[0], ["-m", "common.metrics", "score", *scored], to_stderr=False)


def synthesise(options: argparse.Namespace, words: Sequence[str]) -> int:
    """Infer by a bundle, and print what was written."""
    bundle: Bundle = options.bundle
    settings = _settings(words)
    _require_weights(bundle, options.weights, settings)
    if bundle.reads_volumes:
        many = require_source(options.source)
        settings["dataset_dir"] = str(options.source)
    else:
        many = True
    require_output(options, many)
    config = bundle.folder / "configs" / "inference.yaml"
    for path in (config, *options.overlay):
        _require_settings(path)
    files = [str(path) for path in (config, *options.overlay)]
    if options.weights:
        settings["weights"] = str(options.weights)
    if bundle.reads_volumes:
        settings["output_format"] = FILES.get(ending(options.output), options.output_format or "nifti")
    for name in ("resume", "overwrite"):
        if getattr(options, name):
            settings[name] = "true"
    if ending(options.output):
        return _one_file(bundle, files, settings, options.output)
    before = _stamp(options.output)
    code = _infer(bundle, files, settings, options.output)
    if _stamp(options.output) != before:  # else the manifest is that of an earlier run
        for path in _written(options.output):
            print(path)
    return code


def _one_file(bundle: Bundle, files: list[str], settings: dict[str, str], output: Path) -> int:
    """Infer one case into a folder beside the file, and give volume, JSON and map their names at the end."""
    output.parent.mkdir(parents=True, exist_ok=True)
    written = []
    with tempfile.TemporaryDirectory(prefix=f".{output.name}.", dir=output.parent) as folder:
        code = _infer(bundle, files, settings, Path(folder), output)
        if code == 0:
            (made,) = _written(Path(folder))
            beside(output, MAP).unlink(missing_ok=True)  # with --overwrite; it would be of an earlier volume
            os.replace(beside(made, SIDECAR), beside(output, SIDECAR))
            os.replace(made, output)
            written = [output]
            if beside(made, MAP).is_file():
                os.replace(beside(made, MAP), beside(output, MAP))
                written.append(beside(output, MAP))
        for refusal in filter(is_refusal, Path(folder).glob(f"*{SIDECAR}")):
            for earlier in (output, beside(output, MAP)):  # with --overwrite
                earlier.unlink(missing_ok=True)
            os.replace(refusal, beside(output, SIDECAR))
    for path in written:  # the folder is gone by now: where nobody reads, this ends the process
        print(path)
    return code


def _infer(bundle: Bundle, files: list[str], settings: dict[str, str], folder: Path, output: Path | None = None) -> int:
    """Infer into a folder, which messages call by the name of the output where there is one."""
    given = json.dumps({"config_file": files, "options": {**settings, "predictions_dir": str(folder)}})
    named = None if output is None else (folder, output)
    return run_python(bundle, ["-m", "common.inference", given], to_stderr=True, named=named)


def _stamp(folder: Path) -> tuple[int, int] | None:
    """What changes whenever the manifest of a folder is written anew; None where there is none."""
    manifest = folder / MANIFEST
    if not manifest.is_file():
        return None
    about = manifest.stat()
    return about.st_ino, about.st_mtime_ns


def _written(folder: Path) -> list[Path]:
    """The outputs that the manifest of a folder lists."""
    manifest = folder / MANIFEST
    made = json.loads(manifest.read_text(encoding="utf-8")) if manifest.is_file() else []
    return [folder / one["file"] for one in made if one.get("status", "done") in WRITTEN]  # samples have no status


def _settings(words: Sequence[str]) -> dict[str, str]:
    """Options that are passed on, ``--name value``, by name.

    Raises:
        ConfigError: for a word that is neither.
    """
    found: dict[str, str] = {}
    rest = list(words)
    while rest:
        name = rest.pop(0)
        if not name.startswith("--"):
            raise ConfigError(name, "follows an option", "none before it", "give several volumes as one folder")
        name, given, value = name[2:].partition("=")
        if not given:
            if not rest or rest[0].startswith("--"):
                raise ConfigError(f"--{name}", "has a value", "none", "write it after the option")
            value = rest.pop(0)
        found[name.replace("-", "_")] = value
    return found


def _require_none(words: Sequence[str]) -> None:
    if words:
        raise ConfigError(words[0], "is an option of this command", "another word", "see synthesize --help")


def _require_weights(bundle: Bundle, weights: Path | None, settings: dict[str, str]) -> None:
    if weights is not None and not weights.is_file():
        raise CheckpointError("--weights", "is a file", f"{weights}: no such file", "check the path")
    if weights is None and bundle.weights is None and "output_dir" not in settings:
        raise CheckpointError(f"{bundle.name} ships no weights: train first, {bundle.training}, or pass --weights FILE")


def _require_settings(path: Path) -> None:
    """Refuse a config file that MONAI could not read, with the line; what its settings are is checked by the bundle."""
    import yaml  # takes as long as all other imports of this command

    try:
        text = path.read_text(encoding="utf-8")
        merges = [each for each in yaml.scan(text) if isinstance(each, yaml.ScalarToken) and each.value == "<<"]
        content = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ConfigError(f"{path}:{line}", "is YAML", error.problem, "correct this line, or the one before") from error
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise ConfigError(str(path), "is a YAML file", error, "check the path, or write the file again") from error
    if merges:
        place = f"{path}:{merges[0].start_mark.line + 1}"
        raise ConfigError(place, "has settings without merges", "<<, which MONAI does not read", "write them out")
    require_bounded(content, str(path))
    if not isinstance(content, dict):
        raise ConfigError(str(path), "holds settings, NAME: VALUE", repr(content)[:80], "see the bundle's overlays")
    for text in texts(content).splitlines():
        if text.startswith("%") and (".yaml" in text or ".json" in text or "/" in text):
            raise ConfigError(str(path), "takes settings of the configuration alone", text, "write the value itself")


def _require_command(given: Sequence[str], known: Sequence[str]) -> None:
    """Refuse a first word that is no command with the nearest one; argparse lists all of them."""
    if given and not given[0].startswith("-") and given[0] not in known:
        nearest = difflib.get_close_matches(given[0], known, n=1)
        remedy = f"did you mean {nearest[0]}?" if nearest else "synthesize list prints the bundles"
        raise ConfigError(f"unknown bundle or command {given[0]}: {remedy}")


def _parser() -> tuple[argparse.ArgumentParser, list[str]]:
    """The parser of the command line, and the words that it may begin with."""
    parser = argparse.ArgumentParser(
        prog="synthesize", description="Synthetic medical images by MONAI bundles. Not for clinical use.",
        epilog="Train first: python -m monai.bundle run training --config_file FOLDER/configs/train.yaml --dataset_dir "
        "DATA, with the FOLDER that synthesize list prints.", allow_abbrev=False,
    )  # fmt: skip
    commands = parser.add_subparsers(required=True, metavar="BUNDLE")
    commands.add_parser("list", help="bundles, their weights and folders").set_defaults(run=listing)
    _add_evaluate(commands.add_parser("evaluate", help="score a synthetic volume against the true one"))
    for bundle in bundles():
        _add(commands.add_parser(bundle.short, aliases=[bundle.name], help=_task(bundle), allow_abbrev=False), bundle)
    return parser, list(commands.choices)


def _add_evaluate(command: argparse.ArgumentParser) -> None:
    command.description = "Print the metrics of a synthetic volume as JSON."
    for name, told in (("synthetic", "volume to score"), ("truth", "the true volume, on the same grid")):
        command.add_argument(name, metavar=name.upper(), type=path_option, help=told)
    told = "voxels to score, above 0 inside, on the same grid"
    command.add_argument("--mask", type=path_option, required=True, help=told)
    command.add_argument("--unit", default="", help="of both (default: by the JSON file of SYNTHETIC or DICOM headers)")
    told = "range that psnr, ssim and ms_ssim clip to (default: that of CT for HU)"
    command.add_argument("--value_range", "--value-range", type=float, nargs=2, metavar=("LOW", "HIGH"), help=told)
    command.set_defaults(run=evaluate)


def _task(bundle: Bundle) -> str:
    return f"{bundle.metadata['task']}; {bundle.network}"


def _add(command: argparse.ArgumentParser, bundle: Bundle) -> None:
    command.formatter_class = argparse.RawDescriptionHelpFormatter  # paths stay whole
    lines = [f"{_task(bundle)}.", *([] if bundle.weights else [f"Train first: {bundle.training}"])]
    lines.append(f"Any setting of {bundle.folder / 'configs' / 'inference.yaml'} is an option.")
    command.description = "\n".join(lines)
    if bundle.reads_volumes:
        told = f"a volume ({', '.join(VOLUMES)}), a DICOM series, or a folder of them"
        command.add_argument("source", metavar="SOURCE", type=path_option, nargs="?", help=told)
        formats = (*FILES.values(), "dicom")
        command.add_argument("--output-format", "--output_format", choices=formats, help="of a folder")
    told = f"a file for one volume ({', '.join(FILES)}), otherwise a folder"
    command.add_argument("-o", "--output", metavar="OUT", type=path_option, required=True, help=told)
    command.add_argument("--weights", metavar="FILE", type=path_option, help="others than those it comes with")
    told = "config file that changes settings, as those beside inference.yaml do; may be given again"
    command.add_argument("--overlay", metavar="FILE", type=path_option, action="append", default=[], help=told)
    command.add_argument("--overwrite", action="store_true", help="replace what is there")
    command.add_argument("--resume", action="store_true", help="keep cases that are done")
    command.set_defaults(run=synthesise, bundle=bundle, source=None)
