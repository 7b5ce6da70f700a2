"""The wheel: one package with ``common`` once and the bundles beside it, whose commands run without the repository."""

from __future__ import annotations

import ast
import json
import re
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
from built_wheel import PRODUCT, Environment, built, copied, expected
from test_docker import sent

from common.config import read_config
from common.weights import checkpoints
from common.weights.info import read_info
from tools.repository import ROOT, bundle_names

ONE = "mr2ct_pix2pix"
CONFIGS = ROOT / "bundles" / ONE / "configs"
AFFINE = np.array([[-2.0, 0, 0, 30], [0, 2, 0, -40], [0, 0, 3, 10], [0, 0, 0, 1]])
COMMANDS = {
    "list": "For research; not for clinical use.",
    "score cases/a/ct.nii.gz cases/a/ct.nii.gz --mask cases/a/mask.nii.gz --unit HU": '"mae": 0.0',
    "info": "pretrained_mr2ct_basicunet.pt, SHA-256 ",
    "config mr2ct --overlay resenc": "_target_: medical_image_synthesis.common.training.SynthesisTrainer",
    "reader-study make --real cases --real_name ct --synthetic made --synthetic_name mr": "not for readers: ",
}
"""A command of each kind with what it prints; those of a bundle have tests of their own."""


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the repository with what a build of an earlier version left."""
    copy = copied(tmp_path_factory.mktemp("source"))
    (copy / "build" / "lib" / PRODUCT / "earlier").mkdir(parents=True)
    (copy / "build" / "lib" / PRODUCT / "earlier" / "__init__.py").touch()
    return copy


@pytest.fixture(scope="module")
def installed(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """An environment with the wheel."""
    environment = Environment(tmp_path_factory.mktemp("installed"))
    environment.install(str(built(source, tmp_path_factory.mktemp("wheel"))))
    return environment


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with three cases of noise, the same as ``made``, and the first MR as ``mr.nii.gz``."""
    for seed, case in enumerate("abc"):
        values = np.random.default_rng(seed).uniform(0, 900, (40, 48, 32)).astype(np.float32)
        volumes = {"mr": values, "ct": 2 * values - 1000, "mask": np.ones_like(values)}
        (tmp_path / "cases" / case).mkdir(parents=True)
        for name, volume in volumes.items():
            nib.save(nib.nifti1.Nifti1Image(volume, AFFINE), tmp_path / "cases" / case / f"{name}.nii.gz")
    shutil.copy(tmp_path / "cases" / "a" / "mr.nii.gz", tmp_path)
    shutil.copytree(tmp_path / "cases", tmp_path / "made")
    return tmp_path


def info(environment: Environment, name: str) -> str:
    """A file of the distribution's metadata."""
    (path,) = environment.site.glob(f"{PRODUCT}_bundles-*.dist-info/{name}")
    return path.read_text()


def test_holds_every_file_once_and_one_command(installed: Environment) -> None:
    paths = (installed.site / PRODUCT).rglob("*")
    names = {path.relative_to(installed.site).as_posix() for path in paths if path.is_file()}
    assert {name for name in names if "__pycache__" not in name} == expected()
    assert [name for name in names if name.endswith("common/__init__.py")] == [f"{PRODUCT}/common/__init__.py"]
    assert info(installed, "top_level.txt") == f"{PRODUCT}\n"
    assert info(installed, "entry_points.txt") == f"[console_scripts]\nsynthesize = {PRODUCT}.__main__:synthesize\n"


def test_its_metadata_say_who_what_and_for_which_python(installed: Environment) -> None:
    about = message_from_string(info(installed, "METADATA"))
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert about["Author"] == cited["authors"][0]["name"]
    assert (about["Version"], about["License-Expression"]) == (cited["version"], cited["license"])
    assert set(about["Keywords"].split(",")) == set(cited["keywords"])
    python = "Programming Language :: Python :: 3."
    minors = [found.removeprefix(python) for found in about.get_all("Classifier") if found.startswith(python)]
    tested = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())["jobs"]["fast"]["strategy"]
    assert [f"3.{minor}" for minor in minors] == tested["matrix"]["python"]
    assert "Topic :: Scientific/Engineering :: Medical Science Apps." in about.get_all("Classifier")


def test_nothing_names_modules_of_the_repository(installed: Environment) -> None:
    own = {"common", "tools", *bundle_names()}
    for path in (installed.site / PRODUCT).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [str(node.module)] if isinstance(node, ast.ImportFrom) and not node.level else []
            assert {name.partition(".")[0] for name in names}.isdisjoint(own), path
    for path in (installed.site / PRODUCT).rglob("*.yaml"):
        targets = re.findall(r"_target_: *\"?([\w.]+)", path.read_text())
        assert {name.partition(".")[0] for name in targets}.isdisjoint(own), path


@pytest.mark.parametrize(
    "command", [name if name == "list" else pytest.param(name, marks=pytest.mark.slow) for name in COMMANDS]
)
def test_its_commands_run(installed: Environment, folder: Path, command: str) -> None:
    done = installed.run(folder, ["synthesize", *command.split()])
    assert done.returncode == 0, done.stdout + done.stderr
    assert COMMANDS[command] in done.stdout


TYPED = """
import medical_image_synthesis as mis
from medical_image_synthesis.info import about_installation
from medical_image_synthesis.volumes import Volume, as_volume

ct: Volume = as_volume("ct.nii.gz")
quarter = mis.simulate.low_dose(ct, dose=0.25, seed=1)
quarter.save("quarter.nii.gz")
row = mis.score(quarter, ct, mask="mask.nii.gz", unit="HU")
error: float = row["mae"]
about: dict[str, object] = about_installation()
"""
"""A script of a user."""


@pytest.mark.slow
def test_scripts_are_checked_by_its_types(installed: Environment, tmp_path: Path) -> None:
    (tmp_path / "right.py").write_text(TYPED)
    (tmp_path / "wrong.py").write_text(TYPED + "number: int = quarter.unit\nmis.simulate.noise(ct, strength=0.1)\n")
    words = ["-m", "mypy", "--strict", "--python-executable", str(installed.programs / "python")]
    done = [
        subprocess.run([sys.executable, *words, name], cwd=tmp_path, capture_output=True, text=True, check=False)
        for name in ("right.py", "wrong.py")
    ]
    assert done[0].stdout == "Success: no issues found in 1 source file\n"
    assert "Incompatible types in assignment" in done[1].stdout
    assert 'Unexpected keyword argument "strength" for "noise"' in done[1].stdout


@pytest.mark.slow
def test_it_infers_as_the_repository_does(installed: Environment, folder: Path, source: Path) -> None:
    done = installed.run(folder, ["synthesize", "mr2ct", "mr.nii.gz", "-o", "new.nii.gz", "--refuse", "false"])
    assert (done.returncode, done.stdout) == (0, "new.nii.gz\n"), done.stderr
    assert f"{installed.site / PRODUCT}/bundles/{ONE}/models/pretrained_mr2ct_basicunet.pt" in done.stderr
    config = source / "bundles" / ONE / "configs" / "inference.yaml"
    places = {"dataset_dir": str(folder / "mr.nii.gz"), "predictions_dir": str(folder / "out"), "refuse": False}
    read_config(config, **places).get_parsed_content("inference")
    new, same = (nib.nifti1.load(folder / name) for name in ("new.nii.gz", "out/mr_synthetic_ct.nii.gz"))
    np.testing.assert_allclose(np.asarray(new.dataobj), np.asarray(same.dataobj), rtol=0, atol=1)  # threads may differ
    np.testing.assert_array_equal(new.affine, same.affine)
    assert np.ptp(np.asarray(same.dataobj)) > 50


@pytest.mark.slow
def test_its_training_gives_weights_for_the_repository(installed: Environment, folder: Path) -> None:
    """By MONAI's own command, with an overlay that names a class as the documents do."""
    (folder / "own.yaml").write_text("adversarial_loss: {_target_: common.losses.AdversarialLoss, kind: hinge}\n")
    configs = [
        str(installed.site / PRODUCT / "bundles" / ONE / "configs" / f"{name}.yaml") for name in ("train", "demo")
    ]
    words = ["python", "-m", "monai.bundle", "run", "training", "--config_file", str([*configs, "own.yaml"])]
    words += ["--output_dir", "run", "--demo_data", "demo", "--phantoms::cases", "4", "--phantoms::spacing", "5"]
    done = installed.run(folder, [*words, "--max_epochs", "1", "--samples_per_epoch", "4"])
    assert done.returncode == 0, done.stderr
    weights = folder / "run" / "models" / "model.pt"
    texts = [path.read_text() for path in (folder / "run" / "run.json", weights.with_suffix(".json"))]
    assert [PRODUCT in text for text in texts] == [False, False]
    assert json.loads(texts[0])["config"]["adversarial_loss"]["_target_"] == "common.losses.AdversarialLoss"
    read_info(weights).require_safe()
    parser = read_config(CONFIGS / "inference.yaml", weights=str(weights))
    checkpoints.load_weights(parser.get_parsed_content("network_def"), weights)
    done = installed.run(folder, ["synthesize", "mr2ct", "mr.nii.gz", "-o", "new.nii.gz", "--weights", weights])
    assert (done.returncode, done.stdout) == (0, "new.nii.gz\n"), done.stderr
    done = installed.run(folder, ["synthesize", "evaluate", "mr2ct", "--output_dir", "run"])
    assert done.returncode == 0, done.stderr
    assert "linear_fit" in (folder / "run" / "evaluation" / "summary.json").read_text()
    words = ["synthesize", "train", "mr2ct", "--overlay", "demo", "--output_dir", "run", "--resume", "true"]
    done = installed.run(folder, [*words, "--overlay", "own.yaml", "--max_epochs", "2", "--samples_per_epoch", "4"])
    assert done.returncode == 0, done.stderr
    assert len((folder / "run" / "log.csv").read_text().splitlines()) == 3


def test_an_editable_installation_has_the_same_command(source: Path, tmp_path: Path) -> None:
    environment = Environment(tmp_path / "editable")
    environment.install("--editable", str(source))
    done = environment.run(tmp_path, ["synthesize", "list"])
    assert [name for name in bundle_names() if str(source / "bundles" / name) not in done.stdout] == [], done.stderr
    program = f"import common, {ONE}; print(common.__file__, {ONE}.__file__)"
    done = environment.run(tmp_path, ["python", "-c", program])
    modules = source / "common", source / "bundles" / ONE / ONE
    assert done.stdout.split() == [str(folder / "__init__.py") for folder in modules], done.stderr


def test_what_docker_is_sent_builds_the_whole_wheel(tmp_path: Path) -> None:
    with zipfile.ZipFile(built(copied(tmp_path / "source", sent), tmp_path)) as wheel:
        held = {name for name in wheel.namelist() if name.startswith(f"{PRODUCT}/")}
    assert held == expected()
