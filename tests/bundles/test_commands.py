"""The commands of every bundle, run as a user runs them: what they write, where, and that it is right."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from bundle_commands import ONE_OF_EACH, ROOT, TINY, Bundle, last_line, ok, run_files, snapshot, voxels
from monai.bundle import ConfigParser

from common.transforms import head_mask
from common.weights import checkpoints

TINY_PHANTOMS = {"phantoms::cases": 4, "phantoms::spacing": 5}


def channels(item):
    """The files of a case's image: one, or one a channel."""
    return item["image"] if isinstance(item["image"], list) else [item["image"]]


@pytest.fixture(scope="module")
def copy(bundle, tmp_path_factory):
    """The bundle in a copy of the repository that holds nothing else, so that every stray file shows."""
    root = tmp_path_factory.mktemp("repository")
    clean = shutil.ignore_patterns("__pycache__", *(["demo_data", "models", "evaluation", "variants", "predictions"]))
    for folder in ("common", f"bundles/{bundle.name}"):
        shutil.copytree(ROOT / folder, root / folder, ignore=clean)
    for stray in run_files(bundle):
        (root / "bundles" / bundle.name / stray).unlink(missing_ok=True)
    return Bundle(bundle.name, root)


@pytest.fixture(scope="module")
def small(bundle):
    """The demo's settings as options on the command line, and fewer steps: train.yaml stands alone."""
    return {**bundle.own("demo"), **TINY, **bundle.small_patches}


@pytest.fixture(scope="module")
def export(bundle):
    return {"suffix": bundle.parser("inference").get_parsed_content("exporter").suffix, "ending": bundle.ending}


# ---- where it can be started, and where it writes -------------------------------------------------------------------


@pytest.mark.slow_elsewhere
def test_training_from_the_repository_needs_one_file_and_no_data(copy, small):
    before = snapshot(copy.root)
    config = f"bundles/{copy.name}/configs/train.yaml"
    done = ok(copy.run("training", [config], cwd=copy.root, tensorboard="true", **TINY_PHANTOMS, **small))
    after = snapshot(copy.root)
    inside = f"bundles/{copy.name}/"
    created = {name.removeprefix(inside) for name in after.keys() - before.keys()}
    written = {name for name in created if not name.startswith(("demo_data/", "events/"))}
    assert {name: after[name] for name in before} == before
    assert written == run_files(copy)
    of_cases = [name.split("/")[1] for name in created if name.startswith("demo_data/phantom_")]
    assert len(set(of_cases)) == 4
    assert len(of_cases) >= (4 if copy.name == "brain3d_alphagan" else 8)  # it has one file in a case
    assert [name for name in created if name.startswith("events/events.out.tfevents")]
    ours = [line for line in done.stdout.splitlines() if re.match(r"\d\d:\d\d:\d\d [A-Z]+ common", line)]
    assert re.search(r"GENERATED PHANTOMS .*For your own: --dataset_dir DIR with DIR/<\w+>/<\w+>\.nii\.gz", ours[0])
    assert f"generating phantoms in {copy.folder / 'demo_data'}" in ours[1]


@pytest.mark.parametrize("bundle", ONE_OF_EACH, indirect=True)
@pytest.mark.slow_elsewhere
@pytest.mark.parametrize("place", ["inside the bundle", "elsewhere"])
def test_the_default_run_trains_and_writes_to_output_dir_alone(copy, small, tiny_data, tmp_path, place):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    cwd, config = {
        "inside the bundle": (copy.folder, "configs/train.yaml"),
        "elsewhere": (elsewhere, str(copy.configs / "train.yaml")),
    }[place]
    before, data = snapshot(copy.root), snapshot(tiny_data)
    ok(copy.run(None, [config], cwd=cwd, dataset_dir=tiny_data, output_dir=tmp_path / "out", **small))
    assert snapshot(copy.root) == before
    assert snapshot(tiny_data) == data
    assert snapshot(elsewhere) == {}
    assert snapshot(tmp_path / "out").keys() == run_files(copy)
    assert len(pd.read_csv(tmp_path / "out" / "log.csv")) == copy.stages


def test_label_finds_the_deployed_weights_by_their_short_name(command_run):
    names = sorted((path.name for path in command_run.weights.parent.glob("*.pt")), key=len)
    assert names[0] == "model.pt"
    assert len(names[1]) > len(names[0])


# ---- evaluation -----------------------------------------------------------------------------------------------------


@pytest.mark.translation
def test_evaluation_has_a_row_for_each_case_and_method(command_run):
    rows = pd.read_csv(command_run.output_dir / "evaluation" / "metrics.csv")
    split = json.loads((command_run.output_dir / "datalist.json").read_text())
    methods = command_run.methods
    expected = {(item["case"], method) for item in split["test"] for method in methods}
    assert set(zip(rows["case"], rows["method"], strict=True)) == expected
    assert len(rows) == len(split["test"]) * len(methods)
    assert len(split["test"]) >= 2


def test_variants_stay_out_of_the_main_model(command_run):
    log = pd.read_csv(command_run.output_dir / "log.csv")
    stages = command_run.bundle.stages
    assert len(log) == stages * command_run.epochs
    for name in command_run.variants:
        folder = command_run.output_dir / "variants" / name
        assert snapshot(folder).keys() == run_files(command_run.bundle)
        assert len(pd.read_csv(folder / "log.csv")) == stages
        assert (folder / "models" / "model.pt").read_bytes() != command_run.weights.read_bytes()


@pytest.mark.translation
def test_predictions_have_the_error_that_the_evaluation_reports(command_run, export):
    rows = pd.read_csv(command_run.output_dir / "evaluation" / "metrics.csv")
    reported = rows[rows["method"] == "model"].set_index("case")["mae"]
    split = json.loads((command_run.output_dir / "datalist.json").read_text())
    for item in split["test"]:
        path = command_run.output_dir / "predictions" / f"{item['case']}_{export['suffix']}{export['ending']}"
        measured = _error(command_run, item, path)
        assert measured == pytest.approx(reported[item["case"]], rel=0.02), "rounding to integers alone lies between"


@pytest.mark.translation
def test_validation_measures_what_inference_writes(command_run, export, tmp_path):
    """The best value of the training is the error of the files that its weights give for the validation cases."""
    items = json.loads((command_run.output_dir / "datalist.json").read_text())["validation"]
    for item in items:
        folder = tmp_path / "sources" / item["case"]
        folder.mkdir(parents=True)
        for path in channels(item):
            shutil.copy(path, folder)
    places = {"dataset_dir": tmp_path / "sources", "weights": command_run.weights, "predictions_dir": tmp_path / "out"}
    ok(command_run.bundle.run("inference", ["inference"], refuse="false", **places))
    log = pd.read_csv(command_run.output_dir / "log.csv")
    (name,) = (name for name in log if name.startswith("val_"))
    written = json.loads(next((tmp_path / "out").glob(f"*_{export['suffix']}.json")).read_text())["Unit"]
    unit = "z" if command_run.bundle.traits["scored_in"] == "z-scores" else written
    relative = command_run.bundle.name == "mri_dagan"  # scanners without a common unit
    assert name == ("val_nmae" if relative else f"val_mae_{unit}")
    errors = []
    for item in items:
        error = _error(command_run, item, tmp_path / "out" / f"{item['case']}_{export['suffix']}{export['ending']}")
        errors.append(error / np.percentile(voxels(item["label"])[inside(item)], 99.5) if relative else error)
    assert np.mean(errors) == pytest.approx(log[name].min(), rel=0.02), "rounding to integers alone lies between"


def _error(command_run, item, path):
    """Mean absolute error of a prediction inside the mask, of z-scores where the bundle is scored in them."""
    synthetic, truth = voxels(path).astype(float), voxels(item["label"]).astype(float)
    if command_run.bundle.traits["scored_in"] == "z-scores":
        mean, deviation = checkpoints.load(command_run.weights)["target_scale"].tolist()
        head = head_mask(voxels(item["image"]), None, axial=2, case=item["case"])
        synthetic = (synthetic - mean) / deviation
        truth = (truth - truth[head].mean()) / truth[head].std(ddof=1)
    return np.abs(synthetic - truth)[inside(item)].mean()


def inside(item):
    """Where a case is scored: its mask, or all of it without one."""
    return voxels(item["mask"]) > 0 if "mask" in item else np.ones(voxels(item["label"]).shape[:2], bool)


# ---- inference ------------------------------------------------------------------------------------------------------


@pytest.mark.translation
@pytest.mark.volumes
def test_predictions_lie_on_the_grid_of_their_source(command_run, export):
    split = json.loads((command_run.output_dir / "datalist.json").read_text())
    settings = command_run.bundle.raw("inference")
    for item in split["test"]:
        source = nib.load(channels(item)[0])
        made = nib.load(command_run.output_dir / "predictions" / f"{item['case']}_{export['suffix']}{export['ending']}")
        assert made.shape == source.shape
        assert np.array_equal(made.affine, source.affine)
        assert made.header.get_zooms() == source.header.get_zooms()
        assert made.get_data_dtype() == np.dtype(settings["output_dtype"])
        assert bytes(made.header["descrip"]).startswith(b"SYNTHETIC")
        assert len(np.unique(voxels(made.get_filename()))) > 10, "of a constant other tests would say nothing"
        if command_run.bundle.traits["keeps_outside_window"]:
            low, high = command_run.bundle.parser("inference").get_parsed_content("target_window")
            values, given = voxels(made.get_filename()), voxels(channels(item)[0])
            outside = (given < low) | (given > high)
            assert outside.mean() > 0.1
            assert np.array_equal(values[outside], given[outside])


@pytest.mark.translation
def test_each_prediction_says_what_made_it(command_run, export):
    sidecars = sorted((command_run.output_dir / "predictions").glob(f"*_{export['suffix']}.json"))
    manifest = json.loads((command_run.output_dir / "predictions" / "manifest.json").read_text())
    for path in sidecars:
        about = json.loads(path.read_text())
        assert about["SyntheticData"] is about["NotForClinicalUse"] is True
        assert about["WeightsSha256"] == hashlib.sha256(command_run.weights.read_bytes()).hexdigest()
    assert [entry["file"] for entry in manifest] == [path.with_suffix(export["ending"]).name for path in sidecars]
    assert {entry["status"] for entry in manifest} == {"done"}


@pytest.mark.translation
def test_bad_files_fail_alone(command_run, export, tmp_path):
    """One run over a sound case between two whose files are no volumes."""
    item = json.loads((command_run.output_dir / "datalist.json").read_text())["test"][0]
    for case in ("a_cut", "b_sound", "c_page"):
        folder = tmp_path / "sources" / case
        folder.mkdir(parents=True)
        for path in channels(item):
            shutil.copy(path, folder)
    cut, page = (tmp_path / "sources" / case / Path(channels(item)[0]).name for case in ("a_cut", "c_page"))
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])
    page.write_bytes(b"<html>not found</html>")

    bundle, out = command_run.bundle, tmp_path / "out"
    places = {"dataset_dir": tmp_path / "sources", "weights": command_run.weights, "predictions_dir": out}
    done = bundle.run("inference", ["inference"], **places)
    assert done.returncode == 1
    rule = r"error: 2 of 3 cases failed: a_cut \(.+\), c_page \(.+\)$"
    assert re.match(rule, last_line(done.stderr))
    manifest = {entry["case"]: entry for entry in json.loads((out / "manifest.json").read_text())}
    found = {name: entry["status"] for name, entry in manifest.items()}
    assert found == {"a_cut": "failed", "b_sound": "done", "c_page": "failed"}
    assert "a_cut" in manifest["a_cut"]["reason"]
    assert len(list(out.iterdir())) == 2 + 1, "a volume, its JSON file and the manifest, nothing half done"
    expected = voxels(command_run.output_dir / "predictions" / f"{item['case']}_{export['suffix']}{export['ending']}")
    assert np.array_equal(voxels(out / f"b_sound_{export['suffix']}{export['ending']}"), expected)


def test_the_run_says_what_it_was_made_with(command_run):
    about = json.loads((command_run.output_dir / "run.json").read_text())
    network = ConfigParser(about["config"]).get_parsed_content("network_def")
    own = command_run.bundle.parser("train", "demo").get_parsed_content("network_def")
    assert about["versions"].keys() >= {"monai", "torch"}
    assert about["config"]["output_dir"] == str(command_run.output_dir)
    assert [tuple(value.shape) for value in network.parameters()] == [tuple(value.shape) for value in own.parameters()]
