"""That no command tests a network on what it was trained on, and that no command takes another run's record away."""

from __future__ import annotations

import fcntl
import json
import shutil
from pathlib import Path

import nibabel as nib
import pytest
from bundle_commands import ONE_OF_EACH, Bundle, ok, refused, snapshot


@pytest.fixture
def run(tiny_run, tmp_path):
    """A copy of a short run, to evaluate and to spoil."""
    return shutil.copytree(tiny_run, tmp_path / "run")


def record(run):
    return json.loads((run / "datalist.json").read_text())


def uncompressed(source: Path, folder: Path) -> Path:
    """The same data set with every volume as ``.nii``."""
    shutil.copytree(source, folder)
    for path in sorted(folder.rglob("*.nii.gz")):
        nib.save(nib.load(path), path.with_name(path.name.removesuffix(".gz")))
        path.unlink()
    for listed in folder.glob("*.json"):
        listed.write_text(listed.read_text().replace(".nii.gz", ".nii"))
    return folder


# ---- which cases are tested -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("bundle", ONE_OF_EACH, indirect=True)
def test_an_evaluation_of_a_copy_keeps_the_split_of_the_run(bundle, tiny_data, run, tmp_path):
    place = uncompressed(tiny_data, tmp_path / "place")
    done = ok(
        bundle.run("evaluating", ["train", "demo", "evaluate"], dataset_dir=place, output_dir=run, **bundle.few_samples)
    )
    test = record(run)["test"]
    source = f"of the split of {run}, by content in {place}"
    assert f"evaluation: {len(test)} test cases {source}; none of them was trained on" in done.stdout
    assert "PHANTOMS" not in done.stdout
    if bundle.conditional:
        rows = (run / "evaluation" / "metrics.csv").read_text().splitlines()[1:]
        assert {row.split(",")[0] for row in rows} == {item["case"] for item in test}


# ---- nothing is written before the lock is held ---------------------------------------------------------------------


@pytest.mark.parametrize("bundle", ONE_OF_EACH, indirect=True)
def test_a_run_that_is_refused_has_changed_nothing(bundle, tiny_data, run):
    """The folder of a run that another process holds, and a training on other cases with other settings."""
    before = snapshot(run)
    with open(run / "models" / ".lock", "r+") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        done = bundle.run(
            "training", ["train", "demo"], dataset_dir=tiny_data, output_dir=run, seed=7, tensorboard="true"
        )
    refused(done, f"{run} is in use by a run of .*: wait for it, .*")
    assert snapshot(run) == before


def test_a_study_that_is_refused_has_changed_nothing(tmp_path, tmp_path_factory):
    bundle = Bundle("lesion_dcgan_aug")
    data = tmp_path / "data"
    bundle.parser("train", **{"phantoms::cases": 6, "phantoms::spacing": 5}).get_parsed_content("phantoms")(data)
    lock = tmp_path / "out" / "study" / ".lock"
    lock.parent.mkdir(parents=True)
    with open(lock, "w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        done = bundle.run("study", ["study"], dataset_dir=data, output_dir=tmp_path / "out", folds=2, seeds="[0]")
    refused(done, f"{lock.parent} is in use by a run of another process: wait for it, .*")
    assert snapshot(tmp_path / "out") == {"study/.lock": b""}
