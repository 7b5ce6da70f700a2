"""Samples, a path between two and reconstructions as commands write them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from bundle_commands import Bundle, last_line, ok

pytestmark = pytest.mark.slow
BUNDLE = Bundle("brain3d_alphagan")


@pytest.fixture(scope="module")
def data(tiny_data_of: Any) -> Path:
    return tiny_data_of(BUNDLE)


@pytest.fixture(scope="module")
def run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("brain3d")
    small = {"max_epochs": 1, "val_interval": 1, "samples_per_epoch": 4, "batch_size": 2, "width": 2, "latent_dim": 5}
    ok(BUNDLE.run("training", ["train", "demo"], dataset_dir=data, output_dir=folder, **small))
    return folder


def infer(run: Path, out: Path, **settings: Any) -> dict[str, Any]:
    ok(BUNDLE.run("inference", ["inference"], output_dir=run, predictions_dir=out, **settings))
    return {entry["case"]: nib.load(out / entry["file"]) for entry in json.loads((out / "manifest.json").read_text())}


def test_a_sample_depends_on_its_number_and_the_seed_alone(run: Path, tmp_path: Path) -> None:
    few = infer(run, tmp_path / "few", samples=2, seed=1)
    many = infer(run, tmp_path / "many", samples=3, seed=1, inference_batch=1)
    other = infer(run, tmp_path / "other", samples=1, seed=2)
    assert list(many) == ["brain_00000", "brain_00001", "brain_00002"]
    for case, image in few.items():
        np.testing.assert_allclose(image.get_fdata(), many[case].get_fdata(), atol=1e-5)
        assert image.shape == (64, 64, 64)
        assert np.array_equal(image.affine, [[3, 0, 0, -94.5], [0, 3, 0, -94.5], [0, 0, 3, -94.5], [0, 0, 0, 1]])
        assert bytes(image.header["descrip"]).startswith(b"SYNTHETIC brain3d_alphagan 0.1.0, not for clinical use")
        about = json.loads((tmp_path / "few" / f"{case}_synthetic_t1.json").read_text())
        assert about["SyntheticData"] is about["NotForClinicalUse"] is True
    assert not np.allclose(other["brain_00000"].get_fdata(), few["brain_00000"].get_fdata())
    assert (tmp_path / "few" / "samples.png").is_file()


def test_a_reconstruction_lies_where_its_source_does(run: Path, data: Path, tmp_path: Path) -> None:
    source = data / "phantom_000" / "t1.nii.gz"
    (image,) = infer(run, tmp_path / "out", reconstruct=source).values()
    assert image.shape == (64, 64, 64)
    assert image.header.get_zooms() == (3, 3, 3)
    given = nib.load(source)
    brain = np.argwhere(given.get_fdata() > 100)
    middle = given.affine[:3, :3] @ (brain.min(0) + brain.max(0)) / 2 + given.affine[:3, 3]
    centre = image.affine[:3, :3] @ np.full(3, 31.5) + image.affine[:3, 3]
    assert np.abs(centre - middle).max() < 10, "mm; the box is centred on the brain"
    refused = BUNDLE.run(
        "inference", ["inference"], output_dir=run, predictions_dir=tmp_path / "out", reconstruct=source
    )
    assert refused.returncode == 2
    assert "already exists: pass --overwrite true" in last_line(refused.stderr)
    places = {"output_dir": run, "predictions_dir": tmp_path / "none"}
    missing = BUNDLE.run("inference", ["inference"], **places, reconstruct=tmp_path / "nothing.nii.gz")
    assert missing.returncode == 2
    assert "nothing.nii.gz (from --reconstruct): check the path" in last_line(missing.stderr)


def test_an_evaluation_has_real_images_and_their_mean_next_to_samples(run: Path) -> None:
    done = ok(BUNDLE.run("evaluating", ["train", "evaluate"], output_dir=run, samples=4))
    summary = json.loads((run / "evaluation" / "summary.json").read_text())
    assert list(summary) == ["real_training", "mean_image", "model"]
    assert summary["mean_image"]["diversity"]["mean"] == pytest.approx(0, abs=1e-4)
    assert summary["mean_image"]["brain_ml_sd"]["mean"] == 0
    assert "reconstruction_mae" in summary["model"]
    assert "reconstruction_mae" not in summary["real_training"]
    assert "model: no sign of copying: 0%" in done.stdout
