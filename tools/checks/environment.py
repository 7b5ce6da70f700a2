"""Use release zips in a virtual environment that pip makes from their metadata alone.

Exit code 0: all commands ended well; 1: some did not, or pip has no wheels of what metadata name for some Python.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from monai.bundle import ConfigParser

from common.errors import ConfigError, DataError, exit_code_of_user_errors
from tools.release.verify.schema import FOLDER

PYTHONS = ("3.10", "3.11", "3.12", "3.13")
"""Interpreters that releases are made for."""
OF_ALL = {"monai_version": "monai", "pytorch_version": "torch", "numpy_version": "numpy"}
OF_THE_CI = ("jsonschema",)
"""What ``verify_metadata`` needs and no bundle names: the zoo's CI has it. It is installed when bundles were used."""
SMALL = {"phantoms::cases": 4, "phantoms::spacing": 5}
"""Two heads to train on, one to validate and one to test, in 5 mm."""
ONE_EPOCH = ("--max_epochs", "1", "--samples_per_epoch", "4", "--val_interval", "1", "--batch_size", "2")
NOT_SCRIPTED = ("ResidualUNet", "UnrolledNetwork")
"""Networks with weights that TorchScript does not take."""
Command = tuple[str, list[str]]
"""What a command does, and its words after ``python``."""


def pins(metadata: Mapping[str, Any]) -> list[str]:
    """The lines of a requirements file: ``name==version``, as the zoo's ``get_bundle_requirements.py`` writes them."""
    named = {package: metadata[key] for key, package in OF_ALL.items() if key in metadata}
    named |= metadata.get("optional_packages_version", {}) | metadata.get("required_packages_version", {})
    return [name + (version if version[0] in "<>=" else f"=={version}") for name, version in named.items()]


def pins_of(release: Path) -> list[str]:
    """The same of a release zip."""
    with zipfile.ZipFile(release) as archive:
        top = archive.namelist()[0].split("/")[0]
        return pins(json.loads(archive.read(f"{top}/configs/metadata.json")))


def without_wheels(wanted: Sequence[str], python: str, scratch: Path) -> str:
    """What pip says of wheels of the packages themselves for a Python; empty where there are all.

    What they need in turn is not looked at: PyTorch's libraries alone are gigabytes, which pip would fetch.

    Args:
        wanted: requirements.
        python: version of the interpreter, such as ``3.10``, which need not be there.
        scratch: a folder, in which nothing is installed.
    """
    options = ["--disable-pip-version-check", "--dry-run", "--quiet", "--no-deps", "--only-binary", ":all:"]
    words = ["install", *options, "--python-version", python, "--target", str(scratch), *wanted]
    done = subprocess.run([sys.executable, "-m", "pip", *words], capture_output=True, text=True, check=False)
    errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
    return "" if done.returncode == 0 else (errors or ["ERROR: pip failed"])[-1].removeprefix("ERROR: ")


def use(folder: Path, data: Path) -> Iterator[Command]:
    """Inference with the weights of the release, where it has some; an epoch of training; inference with its weights.

    Args:
        folder: of the unpacked release, from which the commands are run.
        data: its phantoms.
    """
    train, inference = (yaml.safe_load((folder / "configs" / f"{n}.yaml").read_text()) for n in ("train", "inference"))
    volumes = ["--samples", "4"] if "samples" in inference else ["--dataset_dir", str(data), "--refuse", "false"]
    patches = ["--patch_size", "[16,16,16]"] if isinstance(train.get("patch_size"), list) else []
    infer = _monai("run", "inference", "--config_file", "configs/inference.yaml", *volumes)
    if (folder / "models" / "model.pt").is_file():
        yield "inference, released weights", infer
    both = "['configs/train.yaml','configs/demo.yaml']"
    settings = ("--dataset_dir", str(data), *ONE_EPOCH, *patches)
    yield "training, one epoch", _monai("run", "training", "--config_file", both, *settings)
    # of two updates, whose output may span less than ten whole numbers
    yield "inference, weights of this training", [*infer, "--overwrite", "true", "--output_dtype", "float32"]


def of_the_zoo(exported: bool = True) -> Iterator[Command]:
    """What the model zoo's CI runs from inside a bundle's folder; the schema is ours.

    Args:
        exported: whether there are weights, of a network that TorchScript takes.
    """
    files = ("--meta_file", "configs/metadata.json")
    network = (*files, "--net_id", "network_def", "--config_file", "configs/inference.yaml")
    yield "verify_metadata", _monai("verify_metadata", *files, "--filepath", str(FOLDER / "metadata_zoo.json"))
    yield "verify_net_in_out", _monai("verify_net_in_out", *network)
    if exported:
        weights = ("--ckpt_file", "models/model.pt", "--filepath", "models/model.ts")
        yield "ckpt_export", _monai("ckpt_export", *network, *weights)


def _monai(*words: str) -> list[str]:
    return ["-W", "ignore", "-m", "monai.bundle", *words]


def _ask(releases: list[Path], scratch: Path) -> bool:
    passed = True
    for wanted in dict.fromkeys(tuple(pins_of(path)) for path in releases):
        print(" ".join(wanted), flush=True)
        for python in PYTHONS:
            reason = without_wheels(wanted, python, scratch / "nothing")
            passed &= not reason
            print(f"  {'FAIL' if reason else 'ok':<5}Python {python} {reason}".rstrip(), flush=True)
    return passed


def _use(releases: list[Path], python: str, monai: str | None, scratch: Path) -> bool:
    subprocess.run([python, "-m", "venv", str(scratch / "venv")], check=True)
    own, passed = str(scratch / "venv" / "bin" / "python"), True
    for release in releases:
        folder = _unpacked(release, scratch / "used")
        data = scratch / "data" / folder.name  # drawn here: phantoms need packages that metadata do not name
        _phantoms(folder)(data)
        _install(own, [f"monai=={monai}" if monai and pin.startswith("monai==") else pin for pin in pins_of(release)])
        passed &= _run_all(own, folder, use(folder, data))
    _install(own, OF_THE_CI)
    for release in releases:
        folder = _unpacked(release, scratch / "as_released")  # a training has replaced the weights of the other
        network = yaml.safe_load((folder / "configs" / "inference.yaml").read_text())["network_def"]
        is_scripted = not any(f".{name}" in yaml.safe_dump(network) for name in NOT_SCRIPTED)  # also in a cascade
        exported = (folder / "models" / "model.pt").is_file() and is_scripted
        passed &= _run_all(own, folder, of_the_zoo(exported))
    return passed


def _unpacked(release: Path, where: Path) -> Path:
    """The folder of a release, in which it is unpacked."""
    with zipfile.ZipFile(release) as archive:
        archive.extractall(where)
        return where / archive.namelist()[0].split("/")[0]


def _phantoms(folder: Path) -> Any:
    """What draws the phantoms of a release, by its settings and from modules of the repository."""
    text = (folder / "configs" / "train.yaml").read_text()
    text = re.sub(rf"\b({folder.name})_v\d\w*\.(common\.)?", lambda found: found[2] or f"{found[1]}.", text)
    parser = ConfigParser(yaml.safe_load(text))
    parser.update(SMALL)
    return parser.get_parsed_content("phantoms")


def _install(python: str, wanted: Iterable[str]) -> None:
    words = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *wanted]
    if done := subprocess.run(words, check=False).returncode:
        fault = f"pip cannot install what metadata name (exit code {done})"
        raise DataError(fault, "read its messages above, and check that an index is reached")


def _run_all(python: str, folder: Path, steps: Iterable[Command]) -> bool:
    """Run commands from inside a release, without the repository; print a line for each."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    passed = True
    for what, words in steps:
        start = time.monotonic()
        done = subprocess.run([python, *words], cwd=folder, env=environment, capture_output=True, text=True)
        passed &= done.returncode == 0
        word, output = ("ok", "") if done.returncode == 0 else ("FAIL", "\n" + done.stderr.strip()[-1000:])
        seconds = time.monotonic() - start
        print(f"  {word:<5}{folder.name:<26}{what:<38}{seconds:5.0f} s{output}", flush=True)
    return passed


@exit_code_of_user_errors
def main(words: list[str] | None = None) -> int:
    """Ask for wheels for every Python, then use each release with one."""
    parser = argparse.ArgumentParser(prog="python -m tools.checks.environment", description=__doc__)
    parser.add_argument("releases", nargs="*", type=Path, help="zips that make dist has made")
    parser.add_argument("--python", default=sys.executable, help="interpreter of the environment (%(default)s)")
    parser.add_argument("--monai", metavar="VERSION", help="of MONAI, instead of that in the metadata")
    parser.add_argument("--only_ask", action="store_true", help="install nothing, ask pip for each Python alone")
    given = parser.parse_args(words)
    if not given.releases:
        raise ConfigError("no release zips in dist/", "run make dist first")
    if missing := [str(path) for path in given.releases if not path.is_file()]:
        raise DataError(f"no release zip {missing[0]}", "run make dist first")
    # what an environment holds then never exceeds what the release at hand names
    releases = sorted(given.releases, key=lambda path: len(pins_of(path)))
    with tempfile.TemporaryDirectory(prefix="environment-") as scratch:
        passed = _ask(releases, Path(scratch))
        if not given.only_ask:
            passed &= _use(releases, given.python, given.monai, Path(scratch))
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
