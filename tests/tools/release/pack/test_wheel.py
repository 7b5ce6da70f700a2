"""The wheel: one package of a name of its own, with bundles, configs and weights, and a command that runs them."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
import zipfile
from email import message_from_string
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import yaml
from packed_copies import BUNDLES, CACHES, package_of

from common.weights.info import read_info
from tools.release.pack.wheel import PRODUCT, wheel_files
from tools.repository import ROOT

ONE = "mr2ct_pix2pix"
PLACE = f"{PRODUCT}/bundles/{ONE}"
BUILD = "import sys; from tools.release.pack import backend; print(backend.build_wheel(sys.argv[1]))"


@pytest.fixture(scope="module")
def root(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the repository whose first bundle ships the demo's network."""
    copy = tmp_path_factory.mktemp("root")
    for name in ("common", "bundles"):
        shutil.copytree(checkout / name, copy / name)
    for name in (PRODUCT, "tools"):
        shutil.copytree(ROOT / name, copy / name, ignore=CACHES)
    for name in ("setup.cfg", "setup.py", "pyproject.toml", "requirements.txt", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    models = copy / "bundles" / ONE / "models"
    for ending in ("pt", "json"):
        (models / f"model.{ending}").rename(models / f"pretrained.{ending}")
    return copy


@pytest.fixture(scope="module")
def site(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the wheel is installed into."""
    out = tmp_path_factory.mktemp("wheel")
    done = subprocess.run([sys.executable, "-c", BUILD, out], cwd=root, capture_output=True, text=True, check=True)
    with zipfile.ZipFile(out / done.stdout.splitlines()[-1]) as wheel:
        wheel.extractall(out / "site")
    return out / "site"


def test_holds_one_package_and_one_command(site: Path) -> None:
    package, info = sorted(path.name for path in site.iterdir())
    assert package == PRODUCT
    assert (site / info / "top_level.txt").read_text() == f"{PRODUCT}\n"
    entries = (site / info / "entry_points.txt").read_text()
    assert entries == f"[console_scripts]\nsynthesize = {PRODUCT}.__main__:synthesize\n"


def test_its_metadata_say_who_what_and_for_which_python(site: Path) -> None:
    (info,) = site.glob("*.dist-info")
    about = message_from_string((info / "METADATA").read_text())
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert about["Author"] == cited["authors"][0]["name"]
    assert (about["Version"], about["License-Expression"]) == (cited["version"], cited["license"])
    assert set(about["Keywords"].split(",")) == set(cited["keywords"])
    python = "Programming Language :: Python :: 3."
    minors = [found.removeprefix(python) for found in about.get_all("Classifier") if found.startswith(python)]
    tested = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())["jobs"]["fast"]["strategy"]
    assert [f"3.{minor}" for minor in minors] == tested["matrix"]["python"]
    assert "Topic :: Scientific/Engineering :: Medical Science Apps." in about.get_all("Classifier")


def test_holds_every_bundle_with_shipped_weights_alone(site: Path, root: Path) -> None:
    names = {path.relative_to(site).as_posix() for path in (site / PRODUCT).rglob("*") if path.is_file()}
    assert names == set(wheel_files(root))
    assert {name for name in names if "/models/" in name} == {
        f"{PLACE}/models/pretrained.pt",
        f"{PLACE}/models/pretrained.json",
    }
    for bundle in BUNDLES:
        folder = f"{PRODUCT}/bundles/{bundle}"
        assert {f"{folder}/configs/{name}" for name in ("train.yaml", "inference.yaml", "metadata.json")} <= names
        own = f"{folder}/{package_of(bundle)}"
        sources = {path.relative_to(root).as_posix() for path in (root / "common").rglob("*.py")}
        page = {
            f"common/evaluation/report/{name}" for name in ("template.html.j2", "page.css", "slices.js", "viewer.js")
        }
        page |= {f"common/segmenter/weights/{name}" for name in ("ct.pt", "ct.json", "mr.pt", "mr.json")}
        assert {f"{own}/{name}" for name in (*sources, *page, "__init__.py")} <= names


def test_no_module_imports_those_of_the_repository(site: Path) -> None:
    for path in site.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [str(node.module)] if isinstance(node, ast.ImportFrom) and not node.level else []
            assert {name.partition(".")[0] for name in names}.isdisjoint({"common", "tools", *BUNDLES}), path


def test_its_command_infers_as_the_repository_does(site: Path, root: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    affine = np.array([[-2.0, 0, 0, 30], [0, 2, 0, -40], [0, 0, 3, 10], [0, 0, 0, 1]])
    nib.save(
        nib.nifti1.Nifti1Image(rng.uniform(0, 900, (40, 48, 32)).astype(np.float32), affine), tmp_path / "mr.nii.gz"
    )
    environment = {**os.environ, "PYTHONPATH": str(site), "OMP_NUM_THREADS": "1"}
    words = [sys.executable, "-m", PRODUCT, "mr2ct", "mr.nii.gz", "-o", "ct.nii.gz"]
    done = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "ct.nii.gz\n"), done.stderr
    assert f"{site / PLACE}/models/pretrained.pt" in done.stderr

    weights = root / "bundles" / ONE / "models" / "pretrained.pt"
    config = ROOT / "bundles" / ONE / "configs" / "inference.yaml"
    places = ["--dataset_dir", "mr.nii.gz", "--predictions_dir", "out", "--weights", str(weights)]
    words = [sys.executable, "-m", "monai.bundle", "run", "inference", "--config_file", str(config), *places]
    subprocess.run(words, cwd=tmp_path, env={**environment, "PYTHONPATH": ""}, capture_output=True, check=True)
    installed, expected = (nib.nifti1.load(tmp_path / name) for name in ("ct.nii.gz", "out/mr_synthetic_ct.nii.gz"))
    np.testing.assert_array_equal(np.asarray(installed.dataobj), np.asarray(expected.dataobj))
    np.testing.assert_array_equal(installed.affine, expected.affine)
    assert np.ptp(np.asarray(expected.dataobj)) > 50
    assert read_info(weights).sha256 in (tmp_path / "ct.json").read_text()
