"""The wheel, built from a copy of the repository's files, and environments that it is installed into alone."""

from __future__ import annotations

import os
import re
import shutil
import site
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from tools.repository import ROOT

PRODUCT = "medical_image_synthesis"
BUILD = "import sys; from setuptools import build_meta; print(build_meta.build_wheel(sys.argv[1]))"


def files() -> list[str]:
    """The repository's files: those in git, and new ones that it does not ignore."""
    words = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [path for path in listed.splitlines() if (ROOT / path).is_file()]


def expected() -> set[str]:
    """What the wheel's package holds: every file of the command, of ``common`` and of the bundles, once."""
    held = (path for path in files() if path.split("/")[0] in (PRODUCT, "common", "bundles"))
    return {re.sub(r"^(?=common/|bundles/)", f"{PRODUCT}/", path) for path in held}


def copied(target: Path, is_copied: Callable[[str], bool] = lambda path: not path.startswith("tests/")) -> Path:
    """A copy of the repository's files, in which a build leaves what it leaves."""
    for path in filter(is_copied, files()):
        (target / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / path, target / path)
    return target


def built(source: Path, out: Path) -> Path:
    """The wheel of a copy, built without PyTorch and MONAI, which need seconds to be imported."""
    words = [sys.executable, "-c", BUILD, str(out)]
    done = subprocess.run(words, cwd=source, capture_output=True, text=True, check=True)
    return out / done.stdout.splitlines()[-1]


class Environment:
    """A virtual environment with this one's packages, but without this project."""

    def __init__(self, folder: Path) -> None:
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
        self.programs = folder / ("Scripts" if os.name == "nt" else "bin")
        (self.site,) = folder.rglob("site-packages")
        # of the folders that are named here the .pth files, such as that of an editable installation, are not read
        (self.site / "others.pth").write_text("\n".join(site.getsitepackages()))

    def install(self, *words: str) -> None:
        """Install by pip, without dependencies and network."""
        pip = [sys.executable, "-m", "pip", "--python", str(self.programs / "python"), "install", "--quiet"]
        given = ["--no-deps", "--no-index", "--no-build-isolation", "--disable-pip-version-check", *words]
        subprocess.run([*pip, *given], check=True, env=_environment())

    def run(self, folder: Path, words: Sequence[str | Path]) -> subprocess.CompletedProcess[str]:
        """Run one of its programs in a folder."""
        command = [str(self.programs / words[0]), *map(str, words[1:])]
        return subprocess.run(command, cwd=folder, env=_environment(), capture_output=True, text=True, check=False)


def _environment() -> dict[str, str]:
    without = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return {**without, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", "PYTHONNOUSERSITE": "1"}
