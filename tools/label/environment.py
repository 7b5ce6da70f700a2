"""The environment of MONAI Label: its own, since it needs an older pydicom and numpy than the bundles do."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from pathlib import Path

REQUIREMENTS = (
    *("torch==2.13.0", "monailabel==0.8.5", "pydicom<3", "pynetdicom", "dicomweb-client"),
    "nilearn>=0.11,<0.15",
)
"""One resolution. monailabel brings monai, ignite, nibabel, scipy, pandas, matplotlib, fire and tensorboard along; what
is left of the bundles' requirements is nilearn, of the phantoms. Of DICOM, monailabel's own parts need pydicom 2."""
UNDECLARED = """import torch
_undeclared = torch.library.Library("torchvision", "FRAGMENT")
_undeclared.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
_undeclared.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
"""
"""What lets ``import torchvision`` end well where its operators, compiled for CUDA, find a PyTorch without: Label uses
nothing of it but grids of pictures. Needed where an index has torchvision's default build alone."""


def ensure(folder: Path) -> Path:
    """The interpreter of the environment in ``folder``, made and filled first where it is not ready."""
    python = folder / "bin" / "python"
    ready = folder / ".ready"
    if ready.is_file() and ready.read_text() == _wanted():
        return python
    print(f"installing {', '.join(REQUIREMENTS)} into {folder}: some minutes, 4 GB", flush=True)
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *REQUIREMENTS]
    subprocess.run(install, check=True)
    _let_torchvision_import(python)
    ready.write_text(_wanted())
    return python


def _wanted() -> str:
    return "\n".join(REQUIREMENTS)


def _let_torchvision_import(python: Path) -> None:
    if subprocess.run([str(python), "-c", "import torchvision"], capture_output=True).returncode == 0:
        return
    purelib = sysconfig.get_path("purelib", "venv", {"base": str(python.parents[1])})
    module = Path(purelib, "torchvision", "_meta_registrations.py")
    print("torchvision's operators do not load with this PyTorch: declared without an implementation", flush=True)
    module.write_text(UNDECLARED + module.read_text())
    subprocess.run([str(python), "-c", "import torchvision.utils"], check=True)
