"""Releases of all bundles, packed once: from a copy of the repository with untrained weights of the demo's network."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from packed_copies import BUNDLES, copy_sources, unpack, write_weights

from tools.release.pack.release import pack
from tools.repository import ROOT


@pytest.fixture(scope="session")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the repository in which every bundle has weights."""
    root = copy_sources(ROOT, tmp_path_factory.mktemp("checkout") / "repository", BUNDLES)
    for bundle in BUNDLES:
        write_weights(root, bundle)
    return root


@pytest.fixture(scope="session")
def releases(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The zip of every bundle, with ``demo.yaml`` merged in."""
    folder = tmp_path_factory.mktemp("dist")
    return {bundle: pack(checkout, bundle, folder, "demo") for bundle in BUNDLES}


@pytest.fixture(scope="session", params=BUNDLES)
def release(request: pytest.FixtureRequest, releases: dict[str, Path]) -> Path:
    """One bundle's zip."""
    return releases[request.param]


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
