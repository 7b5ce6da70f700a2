"""Copies of the repository that releases are packed from, and releases unpacked and run without the repository."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import in_process
import torch

from common.config import read_config
from common.raw_settings import settings_of
from common.weights import info
from tools.release.pack.packages import package_name
from tools.repository import ROOT, bundle_names

BUNDLES = bundle_names()
Released = Callable[[str], Path]
"""Gives the zip of a bundle."""
CACHES = shutil.ignore_patterns("__pycache__")


def version_of(bundle: str) -> str:
    """The version in the metadata of a bundle of the repository."""
    return str(info.bundle_metadata(ROOT / "bundles" / bundle)["version"])


def package_of(bundle: str) -> str:
    """The package of a release of this version."""
    return package_name(bundle, version_of(bundle))


def copy_sources(root: Path, target: Path, bundles: list[str]) -> Path:
    """A repository's files that a release is made of, without weights or anything else that a run left behind."""
    shutil.copytree(root / "common", target / "common", ignore=CACHES)
    for name in ("setup.cfg", "requirements.txt"):
        shutil.copy(root / name, target)
    for bundle in bundles:
        for folder in ("configs", "docs", bundle):
            shutil.copytree(root / "bundles" / bundle / folder, target / "bundles" / bundle / folder, ignore=CACHES)
        shutil.copy(root / "bundles" / bundle / "LICENSE", target / "bundles" / bundle)
    return target


def write_weights(root: Path, bundle: str) -> Path:
    """Weights of the demo's network, drawn so that its answers are as large as images are; the same each time."""
    folder = root / "bundles" / bundle
    parser = read_config([folder / "configs" / f"{name}.yaml" for name in ("train", "demo")])
    torch.manual_seed(0)
    network = parser.get_parsed_content("network_def")
    for value in network.parameters():
        if value.ndim > 1:
            torch.nn.init.kaiming_normal_(value)
    about = info.described(settings_of(parser), bundle)
    info.save(network.state_dict(), folder / "models" / "model.pt", about)
    return folder / "models" / "model.pt"


def unpack(path: Path, target: Path) -> Path:
    """The one folder of a release, unpacked."""
    with zipfile.ZipFile(path) as archive:
        archive.extractall(target)
    return target / path.name.rsplit("_v", 1)[0]


@contextmanager
def without_repository() -> Iterator[None]:
    """A machine where the project is not installed."""
    project = {name: module for name, module in sys.modules.items() if name.partition(".")[0] in in_process.PACKAGES}
    for name in project:
        del sys.modules[name]
    places = [Path(place or os.getcwd()).resolve() for place in sys.path]
    kept = [str(place) for place in places if not place.is_relative_to(ROOT) or place.is_relative_to(sys.prefix)]
    finders = [finder for finder in sys.meta_path if "Editable" not in getattr(finder, "__name__", "")]
    with mock.patch("sys.path", kept), mock.patch("sys.meta_path", finders):
        importlib.invalidate_caches()
        assert not any(map(importlib.util.find_spec, ("common", "mr2ct_pix2pix")))
        try:
            yield
        finally:
            sys.modules.update(project)


def monai_bundle(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """``python -m monai.bundle ...`` from inside ``folder``, with the libraries but without the repository."""
    with without_repository():
        return in_process.run("monai.bundle", *arguments, cwd=folder)
