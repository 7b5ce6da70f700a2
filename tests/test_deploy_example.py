"""The MONAI Deploy example: its core without the SDK, and the application where an environment has the SDK."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import in_process
import nibabel as nib
import numpy as np
import pydicom
import pytest
from dicom_phantom import OBLIQUE, PATIENT, Grid, write_series
from packed_copies import copy_sources, unpack, write_weights
from pydicom.dataelem import DataElement
from series_readers import by_hand

from common.errors import UserError
from tools.release.pack.release import pack

ROOT = Path(__file__).resolve().parents[1]
EXAMPLE = ROOT / "examples" / "deploy"
PYTHON = Path(os.environ.get("DEPLOY_PYTHON", ROOT / "build" / "deploy-venv" / "bin" / "python"))
ONE = "mr2ct_pix2pix"
GRID = Grid(shape=(40, 36, 34), orientation=OBLIQUE)
UID, OTHER = "1.2.3.4", "1.2.3.5"
MALFORMED = "1.2.SECRET"


@pytest.fixture(scope="module")
def synthesis() -> ModuleType:
    """The example's module that needs no SDK."""
    spec: Any = importlib.util.spec_from_file_location("deploy_synthesis", EXAMPLE / "synthesis.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A release unpacked, with untrained weights of the demo's network."""
    root = copy_sources(ROOT, tmp_path_factory.mktemp("repository"), [ONE])
    write_weights(root, ONE)
    return unpack(pack(root, ONE, root, "demo"), root / "unpacked")


def study(root: Path) -> Path:
    """A study as archives export it: series in folders of their own, a DICOMDIR, something else."""
    write_series(root / "images" / "mr", GRID, "MR", series=UID)
    write_series(root / "images" / "ct", Grid(shape=(6, 5, 3)), "CT", series=OTHER, change=malformed)
    (root / "DICOMDIR").write_bytes(b"\0" * 128 + b"DICM")
    (root / "readme.txt").write_text("not DICOM")
    return root


def malformed(header: Any, number: int) -> None:
    """A UID that is none: readers quote what they complain about."""
    header["StudyInstanceUID"] = DataElement("StudyInstanceUID", "UI", MALFORMED, validation_mode=pydicom.config.IGNORE)


def two_echoes(folder: Path) -> Path:
    """A series with two images at each position."""

    def later(header: Any, number: int) -> None:
        header.EchoTime, header.InstanceNumber = "90", 100 + number

    write_series(folder, Grid(), "MR", series=UID)
    write_series(folder, Grid(), "MR", series=UID, prefix="echo2_", change=later)
    return folder


# ---- the core, without the SDK ------------------------------------------------------------------------------------


def test_a_series_is_gathered_from_sub_folders_and_nothing_else_of_the_study(
    synthesis: ModuleType, tmp_path: Path
) -> None:
    assert synthesis.link_series(study(tmp_path / "study"), OTHER, tmp_path / "series") == 3
    found = {path.resolve() for path in (tmp_path / "series").iterdir()}
    assert found == {tmp_path / "study" / "images" / "ct" / f"00{number}.dcm" for number in (1, 2, 3)}


def test_files_of_one_name_in_two_folders_are_both_gathered(synthesis: ModuleType, tmp_path: Path) -> None:
    for half in ("first", "second"):
        write_series(tmp_path / "study" / half, Grid(shape=(6, 5, 2)), "MR", series=UID)
    assert synthesis.link_series(tmp_path / "study", UID, tmp_path / "series") == 4


def test_every_echo_is_gathered_so_that_the_bundle_sees_them(synthesis: ModuleType, tmp_path: Path) -> None:
    assert synthesis.link_series(two_echoes(tmp_path / "study"), UID, tmp_path / "series") == 2 * 4


def test_a_dead_link_in_a_study_is_named(synthesis: ModuleType, tmp_path: Path) -> None:
    folder = two_echoes(tmp_path / "study")
    (folder / "gone.dcm").symlink_to(tmp_path / "nowhere")
    with pytest.raises(UserError, match=r"cannot read .*gone\.dcm \(No such file"):
        synthesis.link_series(folder, UID, tmp_path / "series")


def test_one_series_is_taken_and_no_other_number(synthesis: ModuleType) -> None:
    assert synthesis.only_series([UID]) == UID
    with pytest.raises(UserError, match=r"the rules select no series, not one series: pass the folder"):
        synthesis.only_series([])
    with pytest.raises(UserError, match=r"select 1\.2\.3\.4, 1\.2\.3\.5, not one series: pass"):
        synthesis.only_series([OTHER, UID])


@pytest.mark.parametrize(
    ("name", "modality"), [("mr2ct_pix2pix", "^MR$"), ("cect2ct_rescyclegan", "^CT$"), ("pd2t2_dcgan_acm", "^MR$")]
)
def test_series_are_selected_by_the_modality_the_bundle_expects(
    synthesis: ModuleType, name: str, modality: str
) -> None:
    rules = json.loads(synthesis.selection_rules(ROOT / "bundles" / name))
    assert rules["selections"] == [{"name": "source", "conditions": {"Modality": modality}}]


def test_a_folder_without_a_bundle_is_refused(synthesis: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is not an unpacked bundle that translates images"):
        synthesis.selection_rules(tmp_path)


@pytest.mark.slow
def test_the_derived_series_has_the_values_and_the_grid_of_the_releases_own_inference(
    synthesis: ModuleType, bundle: Path, tmp_path: Path, conformance_errors: Callable[[Path], list[str]]
) -> None:
    output, model = tmp_path / "out", synthesis.load(bundle)
    written = synthesis.synthesise(model, study(tmp_path / "study"), UID, output)
    assert written == output / f"{UID}_synthetic_ct"
    made: Any = by_hand(written)
    np.testing.assert_allclose(made.affine, GRID.affine, atol=1e-4)

    stored = np.rint((GRID.values() + 1000) / 0.1) * 0.1 - 1000  # as the series has them
    nib.save(nib.Nifti1Image(stored.astype(np.float32), GRID.affine), tmp_path / "mr.nii.gz")
    words = ["run", "inference", "--config_file", "configs/inference.yaml", "--output_dtype", "float32"]
    words += ["--dataset_dir", str(tmp_path / "mr.nii.gz"), "--predictions_dir", str(tmp_path / "nifti")]
    done = in_process.run("monai.bundle", *words, cwd=bundle)
    assert done.returncode == 0, done.stderr[-3000:]
    expected: Any = nib.load(tmp_path / "nifti" / "mr_synthetic_ct.nii.gz")
    assert np.ptp(expected.get_fdata()) > 10
    np.testing.assert_allclose(made.get_fdata(), expected.get_fdata(), atol=0.5 + 1e-2)
    assert conformance_errors(written) == []

    with pytest.raises(UserError, match=r"already exists: pass overwrite=True"):
        synthesis.synthesise(model, tmp_path / "study", UID, output)


@pytest.mark.slow
def test_what_the_bundle_says_of_a_series_it_refuses_is_the_error(
    synthesis: ModuleType, bundle: Path, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=r"^1\.2\.3\.4 .*phase=1"):
        synthesis.synthesise(synthesis.load(bundle), two_echoes(tmp_path / "study"), UID, tmp_path / "out")
    assert not (tmp_path / "out").exists()


# ---- the application, in MONAI Deploy's environment --------------------------------------------------------------


def deploy(study: Path, bundle: Path, output: Path) -> subprocess.CompletedProcess[str]:
    """Run the application, on the CPU."""
    if not PYTHON.is_file():
        pytest.skip(f"no environment with MONAI Deploy at {PYTHON}: make deploy-test installs it")
    own = {"CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1", "PYTHONPATH": "", "PYTHONDONTWRITEBYTECODE": "1"}
    words = [str(PYTHON), "-W", "ignore", str(EXAMPLE / "app.py"), "-l", "WARN"]
    words += ["-i", str(study), "-m", str(bundle), "-o", str(output)]
    return subprocess.run(words, env=os.environ | own, capture_output=True, text=True, timeout=600)


@pytest.mark.slow
def test_the_application_writes_the_series_that_the_core_writes(
    synthesis: ModuleType, bundle: Path, tmp_path: Path
) -> None:
    done = deploy(study(tmp_path / "study"), bundle, tmp_path / "out")
    assert done.returncode == 0, done.stderr[-3000:]
    assert "synthetic series: 34 slices in" in done.stderr
    said = done.stdout + done.stderr
    assert [value for value in (*PATIENT.values(), MALFORMED) if value in said] == []

    written = synthesis.synthesise(synthesis.load(bundle), tmp_path / "study", UID, tmp_path / "core")
    pairs = [(path, tmp_path / "out" / written.name / path.name) for path in sorted(written.glob("*.dcm"))]
    assert len(pairs) == 34
    for ours, theirs in (map(pydicom.dcmread, pair) for pair in pairs):
        assert theirs.SOPInstanceUID == ours.SOPInstanceUID
        assert theirs.ImagePositionPatient == ours.ImagePositionPatient
        np.testing.assert_array_equal(theirs.pixel_array, ours.pixel_array)


@pytest.mark.slow
def test_the_application_leaves_the_choice_between_series_and_between_echoes_to_the_user(
    bundle: Path, tmp_path: Path
) -> None:
    root = study(tmp_path / "study")
    write_series(root / "images" / "second", Grid(), "MR", series="1.2.3.6")
    done = deploy(root, bundle, tmp_path / "out")
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("error: the rules select 1.2.3.4, 1.2")

    done = deploy(two_echoes(tmp_path / "echoes"), bundle, tmp_path / "echoed")
    assert done.returncode == 2
    assert "phase=1" in done.stderr.splitlines()[-1]
    assert [path for folder in ("out", "echoed") for path in (tmp_path / folder).rglob("*.dcm")] == []


@pytest.mark.slow
def test_the_reason_is_the_last_line_also_where_the_application_never_began(tmp_path: Path) -> None:
    done = deploy(two_echoes(tmp_path / "study"), ROOT / "bundles" / "lesion_dcgan_aug", tmp_path / "out")
    assert done.returncode == 2
    last = done.stderr.splitlines()[-1]
    assert last.startswith("error: ")
    assert last.endswith("lesion_dcgan_aug is not an unpacked bundle that translates images (KeyError('modality'))")
