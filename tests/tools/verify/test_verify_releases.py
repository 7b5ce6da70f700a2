"""The validator on a release: what runs its code, with the weights that it ships."""

from __future__ import annotations

from pathlib import Path

import pytest
from packed_copies import unpack

from tools.pack.release import pack
from tools.repository import ROOT
from tools.verify.bundle import Bundle
from tools.verify.process import findings

pytestmark = pytest.mark.slow
STEPS = [("code.imports", ""), ("workflow.properties", "")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The release of a bundle whose shipped network has another size than its demo's."""
    return unpack(pack(ROOT, "mr2ct_pix2pix", tmp_path_factory.mktemp("dist")), tmp_path_factory.mktemp("unpacked"))


def test_a_release_with_the_shipped_weights_passes(folder: Path, tmp_path: Path) -> None:
    assert [found["faults"] for found in findings(Bundle(folder), STEPS, 120, tmp_path)] == [[], []]


def test_a_bundle_of_the_repository_passes_after_its_imports(tmp_path: Path) -> None:
    """Its configs name the shared package, of which the checks before have imported parts."""
    bundle = Bundle(ROOT / "bundles" / "cect2ct_rescyclegan")
    steps = [*STEPS, ("configs.targets", "")]
    assert [found["faults"] for found in findings(bundle, steps, 120, tmp_path)] == [[], [], []]


def test_a_release_that_imports_the_repositorys_package_is_found_out(folder: Path, tmp_path: Path) -> None:
    """The validator has imported that package itself, which must not hide it."""
    (package,) = (path for path in folder.iterdir() if (path / "networks.py").is_file() or "_v" in path.name)
    (package / "borrowed.py").write_text("import common.errors\n")
    (found,) = findings(Bundle(folder), STEPS[:1], 120, tmp_path)
    (fault,) = found["faults"]
    assert fault["name"] == "package common"
    assert fault["rule"] == "is not imported by a release"
