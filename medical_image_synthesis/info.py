"""``synthesize info``: versions, devices, memory and bundles, which a report of a bug needs."""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import math
import os
import platform
import re
import sys
from collections.abc import Mapping
from configparser import ConfigParser
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from common.errors import UserError
from medical_image_synthesis.catalogue import HERE, Bundle, bundles

EXAMPLES = """examples:
  synthesize info
  synthesize info --json"""
DISTRIBUTION = "medical-image-synthesis-bundles"
PACKAGES = (
    "torch", "monai", "pytorch-ignite", "numpy", "scipy", "pandas", "nibabel", "pydicom", "scikit-image", "matplotlib",
    "SimpleITK", "fastapi", "pylibjpeg", "python-gdcm", "TotalSegmentator",
)  # fmt: skip
"""Those that results, speed and formats depend on, in the order in which they are printed."""
SHOWN_OF_HASH = 12
GB = 1e9


def add(command: argparse.ArgumentParser, _: str) -> None:
    """Add the option of the command."""
    command.epilog = EXAMPLES
    command.add_argument("--json", action="store_true", help="as JSON")
    command.set_defaults(run=info)


def info(options: argparse.Namespace) -> int:
    """Print what is there, without the name of the user's home folder."""
    with redirect_stdout(sys.stderr):  # what libraries say while they are imported
        about = about_installation()
    print(json.dumps(about, indent=2) if options.json else "\n".join(_lines(about)))
    return 0


def version() -> str:
    """The version of the package: of the repository that it lies in, or of what is installed."""
    settings = HERE.parent / "setup.cfg"
    if settings.is_file():
        parser = ConfigParser(interpolation=None)
        parser.read(settings, encoding="utf-8")
        if parser.get("metadata", "name", fallback="") == DISTRIBUTION:
            return parser.get("metadata", "version")
    return _installed(DISTRIBUTION) or "of unknown version"


def about_installation() -> dict[str, Any]:
    """Versions, devices, threads, memory and bundles, as ``synthesize info --json`` prints them.

    Under ``computing`` is what PyTorch says, or the ``error`` where it cannot be imported. Paths in the home folder
    begin with ``~``. A package that is not installed is None.

    Example::

        from medical_image_synthesis.info import about_installation

        print(about_installation()["packages"]["torch"])
    """
    try:
        computing = _computing()
    except Exception as error:  # a broken PyTorch is what such a report is for
        computing = {"error": _homeless(f"{type(error).__name__}: {error}")}
    return {
        "version": version(),
        "commit": _commit(),
        "folder": _homeless(str(HERE)),
        "python": platform.python_version(),
        "system": platform.platform(),
        "packages": {name: _installed(name) for name in PACKAGES},
        "cores": os.cpu_count(),
        "computing": computing,
        "bundles": [_about_bundle(bundle) for bundle in bundles()],
    }


def _installed(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _commit() -> str | None:
    """Of a clone; None in a wheel, or without Git."""
    if not (HERE.parent / ".git").exists():
        return None
    try:
        from common.weights.info import commit_of

        return commit_of(HERE)
    except (ImportError, OSError):  # without PyTorch, or without Git
        return None


def _computing() -> dict[str, Any]:
    """Devices, threads and memory, as PyTorch has them."""
    import torch

    from common import devices

    return {
        "devices": {name: _device(name) for name in devices.names()},
        "cuda": torch.version.cuda,
        "threads": torch.get_num_threads(),
        "memory_gb": _gb(devices.total_memory()),
        "free_memory_gb": _gb(devices.free_memory()),
    }


def _gb(size: float) -> float | None:
    """Bytes in GB; None where they are unknown."""
    return round(size / GB, 1) if math.isfinite(size) else None


def _device(name: str) -> str:
    """What a device is."""
    import torch

    if name.startswith("cuda"):
        about = torch.cuda.get_device_properties(name)
        return f"{about.name}, {about.total_memory / GB:.1f} GB"
    return f"{platform.machine()}, {torch.backends.cpu.get_cpu_capability()}" if name == "cpu" else name


def _about_bundle(bundle: Bundle) -> dict[str, str | None]:
    return {
        "name": bundle.name,
        "version": str(bundle.metadata["version"]),
        "folder": _homeless(str(bundle.folder)),
        "weights": _about_weights(bundle.weights),
    }


def _about_weights(path: Path | None) -> str | None:
    """File and hash of weights, or what is wrong with them; None where there are none."""
    if path is None:
        return None
    try:
        from common.weights import checkpoints

        checkpoints.require_same_hash(path)
        return f"{path.name}, SHA-256 {checkpoints.sha256(path)[:SHOWN_OF_HASH]}"
    except (ImportError, OSError, UserError) as error:
        return f"{path.name}: {_homeless(str(error))}"


def _homeless(text: str) -> str:
    """A text with ``~`` in the place of the home folder, whose name may be that of a person."""
    home = Path.home()
    for place in {str(home), str(home.resolve())} - {home.anchor}:
        text = re.sub(rf"{re.escape(place)}(?![\w.-])", "~", text)
    return text


def _lines(about: Mapping[str, Any]) -> list[str]:
    """What is there, for a reader."""
    computing = about["computing"]
    missing = [name for name, found in about["packages"].items() if found is None]
    lines = [
        f"synthesize {about['version']}" + (f", commit {about['commit']}" if about["commit"] else ""),
        f"folder: {about['folder']}",
        f"Python {about['python']}, {about['system']}",
        "packages: " + ", ".join(f"{name} {found}" for name, found in about["packages"].items() if found),
        f"not installed: {', '.join(missing) or 'none'}",
    ]
    if "error" in computing:
        lines.append(f"PyTorch cannot be used: {computing['error']}")
    else:
        lines += [
            *(f"device {name}: {what}" for name, what in computing["devices"].items()),
            f"CUDA of PyTorch: {computing['cuda'] or 'none'}",
            f"threads: {computing['threads']} of {about['cores']} cores",
            f"memory: {computing['free_memory_gb'] or 'unknown'} of {computing['memory_gb'] or 'unknown'} GB free",
        ]
    for bundle in about["bundles"]:
        place = f"{bundle['name']} {bundle['version']}: {bundle['folder']}"
        lines.append(f"{place}, {bundle['weights'] or 'no weights'}")
    return lines
