"""Releases of all bundles, packed once: from a copy of the repository with untrained weights of the demo's network."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from packed_copies import BUNDLES, Released, copy_sources, unpack, write_weights

from tools.release.pack.release import pack
from tools.repository import ROOT

SHOWN, slow = ("mr2ct_pix2pix", "lesion_dcgan_aug"), pytest.mark.slow
"""A bundle of each kind; releases of the others are slow tests."""

Once = Callable[[str, Callable[[Path], object]], Path]


@pytest.fixture(scope="session")
def checkout(once: Once) -> Path:
    """A copy of the repository in which every bundle has weights, not to be changed."""

    def make(root: Path) -> None:
        copy_sources(ROOT, root, BUNDLES)
        for bundle in BUNDLES:
            write_weights(root, bundle)

    return once("checkout", make)


@pytest.fixture(scope="session")
def released(checkout: Path, once: Once) -> Released:
    """Gives the zip of a bundle, with ``demo.yaml`` merged in."""

    def zip_of(bundle: str) -> Path:
        (path,) = once(f"{bundle}_dist", lambda folder: pack(checkout, bundle, folder, "demo")).glob("*.zip")
        return path

    return zip_of


@pytest.fixture(scope="session", params=[pytest.param(one, marks=() if one in SHOWN else slow) for one in BUNDLES])
def release(request: pytest.FixtureRequest, released: Released) -> Path:
    """One bundle's zip."""
    return released(request.param)


@pytest.fixture(scope="session")
def unpacked(release: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One bundle's folder as it is unpacked, to be read only."""
    return unpack(release, tmp_path_factory.mktemp("unpacked"))


@pytest.fixture(autouse=True)
def _no_release_stays_imported() -> Iterator[None]:
    """Another test unpacks the same release elsewhere, and Python would give it this one's modules."""
    yield
    for name in [name for name in sys.modules if re.match(r"\w+_v\d+_\d+_\d+(\.|$)", name)]:
        del sys.modules[name]
