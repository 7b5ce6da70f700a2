"""Use release zips in a virtual environment that pip makes from their metadata alone.

Exit code 0: all commands ended well; 1: some did not, or pip has no wheels of what metadata name for some Python.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterable
from pathlib import Path

from common.errors import ConfigError, DataError, exit_code_of_mistakes
from tools.checks.environment import commands
from tools.checks.environment.pins import PYTHONS, pins_of, without_wheels

OF_THE_CI = ("jsonschema",)
"""What ``verify_metadata`` needs and no bundle names: the zoo's CI has it. It is installed when bundles were used."""


@exit_code_of_mistakes
def main(words: list[str] | None = None) -> int:
    """Ask for wheels for every Python, then use each release with one."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.checks.environment", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("releases", nargs="*", type=Path, help="zips that python -m tools.pack has made")
    parser.add_argument("--python", default=sys.executable, help="interpreter of the environment (%(default)s)")
    parser.add_argument("--only_ask", action="store_true", help="install nothing, ask pip for each Python alone")
    given = parser.parse_args(words)
    if not given.releases:
        raise ConfigError("releases", "are zips in dist/", "none", "run make dist first")
    if missing := [str(path) for path in given.releases if not path.is_file()]:
        raise DataError(missing[0], "is a release zip", "no such file", "run make dist first")
    # what an environment holds then never exceeds what the release at hand names
    releases = sorted(given.releases, key=lambda path: len(pins_of(path)))
    with tempfile.TemporaryDirectory(prefix="environment-") as scratch:
        passed = _ask(releases, Path(scratch))
        if not given.only_ask:
            passed &= _use(releases, given.python, Path(scratch))
    return 0 if passed else 1


def _ask(releases: list[Path], scratch: Path) -> bool:
    passed = True
    for wanted in dict.fromkeys(tuple(pins_of(path)) for path in releases):
        print(" ".join(wanted), flush=True)
        for python in PYTHONS:
            told = without_wheels(wanted, python, scratch / "nothing")
            passed &= not told
            print(f"  {'FAIL' if told else 'ok':<5}Python {python} {told}".rstrip(), flush=True)
    return passed


def _use(releases: list[Path], python: str, scratch: Path) -> bool:
    subprocess.run([python, "-m", "venv", str(scratch / "venv")], check=True)
    own, passed, folders = str(scratch / "venv" / "bin" / "python"), True, []
    for release in releases:
        folders.append(folder := _unpack(release, scratch / "releases"))
        data = commands.write_phantoms(folder.name, scratch / "data" / folder.name)
        _install(own, pins_of(release))
        passed &= _run_all(own, folder, commands.use(folder, data))
    _install(own, OF_THE_CI)
    return all([passed, *(_run_all(own, folder, commands.checks()) for folder in folders)])


def _unpack(release: Path, target: Path) -> Path:
    with zipfile.ZipFile(release) as archive:
        archive.extractall(target)
        return target / archive.namelist()[0].split("/")[0]


def _install(python: str, wanted: Iterable[str]) -> None:
    words = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *wanted]
    if done := subprocess.run(words, check=False).returncode:
        remedy = "see what pip says above; an index must be reached"
        raise DataError("what metadata name", "can be installed by pip", f"exit code {done}", remedy)


def _run_all(python: str, folder: Path, steps: Iterable[commands.Command]) -> bool:
    """Run commands from inside a release, without the repository; print a line for each."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    passed = True
    for what, words in steps:
        start = time.monotonic()
        done = subprocess.run([python, *words], cwd=folder, env=environment, capture_output=True, text=True)
        passed &= done.returncode == 0
        word, told = ("ok", "") if done.returncode == 0 else ("FAIL", "\n" + done.stderr.strip()[-1000:])
        seconds = time.monotonic() - start
        print(f"  {word:<5}{folder.name:<26}{what:<38}{seconds:5.0f} s{told}", flush=True)
    return passed


if __name__ == "__main__":
    sys.exit(main())
