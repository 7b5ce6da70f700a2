"""The calls to MONAI Label that the page on deployment documents, run as they stand there against a server."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import SimpleITK as sitk  # noqa: N813

from tools.repository import ROOT

PAGE = ROOT / "docs" / "how-to" / "deployment.md"
SERVER = "http://127.0.0.1:8000"
"""The address in the page."""


def run_documented(address: str, source: Path, folder: Path) -> dict[str, Path]:
    """Run the shell commands and the script of Slicer in a new folder; what each writes, by its name on the page.

    Args:
        address: of the server.
        source: a NIfTI file, which the page calls ``mr.nii.gz``.
        folder: where to run them.
    """
    folder.mkdir()
    shutil.copy(source, folder / "mr.nii.gz")
    shell, script = (block.replace(SERVER, address) for block in _blocks(PAGE.read_text()))
    subprocess.run(["bash", "-e", "-c", shell], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    return {name: folder / name for name in re.findall(r"-o (ct\S*)", shell)} | {"Slicer": _in_slicer(script, source)}


def _blocks(text: str) -> list[str]:
    """The shell commands and the script of the section on Slicer."""
    (section,) = re.findall(r"^### Volumes in 3D Slicer\n(.*?)^##", text, flags=re.MULTILINE | re.DOTALL)
    return re.findall(r"^```(?:python)?\n(.*?)^```", section, flags=re.MULTILINE | re.DOTALL)


def _in_slicer(script: str, source: Path) -> Path:
    """Run a script where stand-ins of Slicer's functions write its volume and note what is loaded."""
    loaded: list[Path] = []

    def load(path: str, properties: dict[str, Any]) -> None:
        if properties["labelmap"]:
            raise ValueError(f"{path} is a volume, no label map")
        loaded.append(Path(path))

    node, volume = SimpleNamespace(GetName=lambda: "MR"), sitk.ReadImage(source)
    functions = SimpleNamespace(
        getNode=lambda name: node, saveNode=lambda _, path: sitk.WriteImage(volume, path), loadVolume=load
    )
    exec(script, {"slicer": SimpleNamespace(util=functions)})  # noqa: S102
    return loaded[0]
