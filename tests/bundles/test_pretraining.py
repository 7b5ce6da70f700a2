"""Pretraining on simulations, and what a fresh clone does with its weights, at the smallest size."""

from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path
from types import SimpleNamespace

import label_maps
import nibabel as nib
import numpy as np
import pytest
import torch
from bundle_commands import TINY, Bundle, mistake, ok

from common.data.datasets.simulated import placed
from common.errors import CheckpointError
from common.raw_settings import settings_of
from common.seeds import derive
from common.simulation.ct import render_ct_pair
from common.simulation.head import head_anatomy
from common.simulation.mr import render_t1
from common.transforms import SubjectBoxd
from common.trust import InputCheck
from common.trust.record import path_of
from common.weights import checkpoints
from common.weights.info import known_contrasts, needed_settings, read_info
from common.weights.shipped import shipped_weights
from medical_image_synthesis.command import main
from medical_image_synthesis.shipping import contrasts_simulated, export

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
ONE, OTHERS = "mr2ct_pix2pix", ["pd2t2_dcgan_acm", "cect2ct_rescyclegan", "mri_dagan"]
NAMES = [ONE, *OTHERS]
COARSE = {"_target_": "common.simulation.simulate.AverageHeads", "spacings_mm": [8.0], "turn_probability": 0}
SMALL = {
    "num_workers": 0, "max_epochs": 1, "batch_size": 2, "samples_per_epoch": 4, "simulation::heads": COARSE,
    "train::dataset::samples_per_case": 2, "validate::dataset::cases": 1, "device": "$torch.device('cpu')",
    "width": 4,
}  # fmt: skip
OWN = {
    "pd2t2_dcgan_acm": {"patch_size": [16, 16, 8], "spacing": [8, 8, 8]},
    "mr2ct_pix2pix": {"crop_size": 32, "pad_size": 32, "spacing": [8, 8, 8], "network_def::features": [4] * 6},
    "cect2ct_rescyclegan": {"depth": 4, "crop_size": 32, "pad_size": 32},
    "mri_dagan": {"crop_size": 32, "pad_size": 32},
}
SCANS = {**dict.fromkeys(NAMES, render_t1), "cect2ct_rescyclegan": lambda *scan: render_ct_pair(*scan)[0]}


CALIBRATED = pytest.mark.parametrize(
    "pretrained", [ONE, *(pytest.param(name, marks=pytest.mark.longest) for name in OTHERS)], indirect=True
)
"""A test of half a minute a bundle; continuous integration runs it for one."""


def pretrain(name, folder, seed=0, **own):
    """A pretraining of two steps; returns the folder of its run."""
    settings = {**SMALL, **OWN[name], "output_dir": str(folder), "seed": seed, **own}
    parser = Bundle(name).parser("train", "pretrain", **settings)
    parser.get_parsed_content("training")
    return folder / "pretraining"


LONGEST = [pytest.mark.slow, pytest.mark.longest]


@pytest.fixture(scope="module", params=[ONE, *(pytest.param(name, marks=LONGEST) for name in OTHERS)])
def pretrained(request, tmp_path_factory):
    """A copy of a bundle's configs that ships the weights of such a pretraining, and the run."""
    folder = tmp_path_factory.mktemp(request.param)
    run = pretrain(request.param, folder)
    copy = folder / "copy"
    shutil.copytree(Bundle(request.param).configs, copy / "configs")
    export(copy, run)
    return request.param, copy, run


def test_the_same_seed_gives_the_same_weights_and_another_does_not(pretrained, tmp_path):
    name, _, run = pretrained
    first, again, other = (
        checkpoints.load(each / "models" / "model.pt")
        for each in (run, pretrain(name, tmp_path / "again"), pretrain(name, tmp_path / "other", seed=1))
    )
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert not all(torch.equal(first[key], other[key]) for key in first)


def test_label_maps_give_other_heads_and_are_noted_with_the_weights(pretrained, tmp_path):
    name, _, run = pretrained
    maps = label_maps.write(tmp_path / "maps", count=4)
    heads = {"_target_": "common.simulation.label_heads.heads_of", "label_maps": "@label_maps", "spacings_mm": [8.0]}
    other = pretrain(name, tmp_path / "run", **{"label_maps": str(maps), "simulation::heads": heads})
    first, second = (checkpoints.load(each / "models" / "model.pt") for each in (run, other))
    assert not all(torch.equal(first[key], second[key]) for key in first)
    noted = [read_info(each / "models" / "model.pt").trained_on.get("label_maps") for each in (run, other)]
    assert noted == [None, {"head_00.nii.gz": checkpoints.sha256(maps / "head_00.nii.gz")}]  # three are for validation


@pytest.mark.parametrize("name", NAMES)
def test_a_working_spacing_is_applied_to_simulations_and_kept_with_the_weights(name, tmp_path):
    """From the centre of the first voxel to that of the last it is as far in mm as in the simulated scan."""
    settings = {**SMALL, **OWN[name], "output_dir": str(tmp_path), "spacing": [4, 4, 4]}
    config = Bundle(name).parser("train", "pretrain", **settings)
    data = config.get_parsed_content("validate::dataset")
    scan = data.simulate(derive(1, 0, 0))
    first = config.get_parsed_content("scale").transforms[0]
    shown = first(placed(scan)) if isinstance(first, SubjectBoxd) else placed(scan)
    expected = (np.array(shown["image"].shape[1:]) - 1) * scan["spacing"] / 4 + 1
    np.testing.assert_allclose(data[0]["image"].shape[1:], expected, atol=1)
    assert np.abs(expected - shown["image"].shape[1:]).max() > 10, "nothing was resampled"
    assert needed_settings(settings_of(config))["spacing"] == [4, 4, 4]


def test_a_fresh_clone_infers_with_the_weights_and_says_so(pretrained, tmp_path, caplog):
    name, copy, _ = pretrained
    anatomy = head_anatomy(3, 8.0)
    scan = tmp_path / "scan.nii.gz"
    nib.save(nib.Nifti1Image(SCANS[name](anatomy, np.random.default_rng(0)), anatomy.affine), scan)
    settings = {
        "bundle_root": str(copy), "predictions_dir": str(tmp_path / "out" / "predictions"), "dataset_dir": str(scan),
        "device": "$torch.device('cpu')", "refuse": False,  # T1 is no source of pd2t2_dcgan_acm
    }  # fmt: skip
    with caplog.at_level(logging.INFO):
        Bundle(name).parser("inference", **settings).get_parsed_content("inference")
    (made,) = (tmp_path / "out" / "predictions").glob("*.nii.gz")
    about = json.loads(next((tmp_path / "out" / "predictions").glob("scan_*.json")).read_text())
    assert nib.load(made).shape == anatomy.head.shape
    assert about["WeightsTrainedOn"] == "simulated heads, no patient"
    assert about["WeightsSha256"] == checkpoints.sha256(shipped_weights(copy))
    header = str(nib.load(made).header["descrip"])
    assert "simulation-trained" in header
    assert "not for clinical use" in header
    assert "shipped weights: " in caplog.text
    assert "unlike the training data: voxels of 8.0 mm, more than 6" in caplog.text


@pytest.mark.slow
@CALIBRATED
def test_shipped_weights_are_calibrated_on_heads_of_their_simulation(pretrained, tmp_path, capsys):
    name, copy, _ = pretrained
    assert main(["calibrate", str(copy), "--simulated", "--heads", "9"]) == 0
    told = json.loads(path_of(shipped_weights(copy)).read_text())
    assert told["sha256"] == checkpoints.sha256(shipped_weights(copy))
    assert told["cases"] == [f"head_{number:03d}" for number in range(9)]
    assert told["data"] == "simulated heads, no patient"
    stem = shipped_weights(copy).stem
    assert {path.name for path in (copy / "models").iterdir()} == {f"{stem}.json", f"{stem}.pt", f"{stem}_trust.json"}
    capsys.readouterr()
    assert main(["calibrate", str(copy), "--simulated", "--heads", "2", "--check", "--spacing", "7"]) == 0
    assert "of 2 cases reach" in capsys.readouterr().out
    anatomy = head_anatomy(3, 8.0)
    nib.save(nib.Nifti1Image(SCANS[name](anatomy, np.random.default_rng(0)), anatomy.affine), tmp_path / "scan.nii")
    settings = {"bundle_root": str(copy), "predictions_dir": str(tmp_path / "out"), "dataset_dir": str(tmp_path)}
    settings["evaluator::uncertainty"], settings["evaluator::refuse"] = True, False  # weights of a few steps
    Bundle(name).parser("inference", **settings).get_parsed_content("inference")
    (entry,) = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert entry["quality"]["verdict"] in ("accept", "review", "refuse")
    assert float(np.asarray(nib.load(tmp_path / "out" / entry["uncertainty"]).dataobj).min()) > 0


def test_fine_tuning_begins_with_the_weights_and_their_size(pretrained, tmp_path):
    """Nothing is learned at a rate of almost zero, so that what is saved is what was shipped."""
    name, copy, _ = pretrained
    settings = {**SMALL, **OWN[name], "pretrained": True, "bundle_root": str(copy), "learning_rate": 1.0e-12}
    parser = Bundle(name).parser("train", "pretrain", **settings, output_dir=str(tmp_path))
    parser.get_parsed_content("training")
    shipped = checkpoints.load(shipped_weights(copy))
    tuned = checkpoints.load(tmp_path / "pretraining" / "models" / "model.pt")
    names = [key for key in shipped if key.endswith("weight")]
    assert len(names) > 5
    for key in names:
        torch.testing.assert_close(tuned[key], shipped[key].float(), rtol=0, atol=1e-6)
    before = read_info(shipped_weights(copy))
    trained_on = read_info(tmp_path / "pretraining" / "models" / "model.pt").trained_on
    assert trained_on["started_from"] == {"sha256": before.sha256, **before.trained_on}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mr2ct_pix2pix", "pd2t2_dcgan_acm"])
def test_shipped_weights_are_fine_tuned_by_the_method_of_the_bundle_without_an_overlay(name, tmp_path):
    bundle = Bundle(name)
    small = {**TINY, "phantoms::cases": 4, "phantoms::spacing": 5, "spacing": [5, 5, 5]}
    small |= {"crop_size": 32, "pad_size": 48} if "crop_size" in bundle.raw("train") else bundle.small_patches
    ok(bundle.run("training", ["train"], pretrained="true", output_dir=tmp_path, **small))
    shipped = read_info(shipped_weights(bundle.folder))
    tuned = read_info(tmp_path / "models" / "model.pt")
    assert tuned.trained_on["started_from"]["sha256"] == shipped.sha256
    assert tuned.settings["network_def"] == shipped.settings["network_def"]
    assert len((tmp_path / "log.csv").read_text().splitlines()) == 2, "one stage of one epoch"


@pytest.mark.parametrize(
    ("name", "contrasts"), [("mr2ct_pix2pix", ["T1", "PD", "T2", "FLAIR"]), ("pd2t2_dcgan_acm", ["PD"])]
)
def test_shipped_weights_list_the_contrasts_of_their_simulation(name, contrasts):
    path = shipped_weights(Bundle(name).folder)
    assert known_contrasts(path) == contrasts == contrasts_simulated(json.loads(path.with_suffix(".json").read_text()))
    assert read_info(path).sha256 == checkpoints.sha256(path), "the weights are those they were"


@pytest.mark.real
@pytest.mark.slow
@pytest.mark.longest
@pytest.mark.skipif(not DATA.is_dir(), reason=f"no scans at {DATA}")
@pytest.mark.parametrize(("name", "unlisted"), [("mr2ct_pix2pix", set()), ("pd2t2_dcgan_acm", {"t1", "t2", "flair"})])
def test_shipped_weights_warn_of_real_scans_of_each_contrast_that_they_do_not_list(name, unlisted, tmp_path, caplog):
    """Three patients and three templates, T1, T2, PD and FLAIR, as preprocessing gives them to the network."""
    weights = str(shipped_weights(Bundle(name).folder))
    parser = Bundle(name).parser("inference", weights=weights, output_dir=str(tmp_path))
    load, check = parser.get_parsed_content("preprocessing"), InputCheck(weights)
    scans = [*(DATA / "open_ms").glob("*/[tf]*.nii.gz"), *(DATA / "spm_templates").glob("*.nii")]
    assert len(scans) == 12
    for scan in scans:
        caplog.clear()
        image = load({"image": str(scan), "case": "scan"})["image"]
        check(SimpleNamespace(state=SimpleNamespace(batch={"image": image[None], "case": ["scan"]})))
        warned = "these weights were trained on" in caplog.text
        assert warned == (scan.name.split(".")[0] in unlisted), scan


def test_the_way_back_is_not_given_the_weights_of_the_way_there(pretrained, tmp_path):
    name, copy, _ = pretrained
    if name != "cect2ct_rescyclegan":
        pytest.skip("one direction alone")
    scan = tmp_path / "ct.nii.gz"
    nib.save(nib.Nifti1Image(np.zeros((8, 8, 2), np.float32), np.eye(4)), scan)
    settings = {"bundle_root": str(copy), "output_dir": str(tmp_path), "dataset_dir": str(scan)}
    with pytest.raises(Exception, match=".") as caught:
        Bundle(name).parser("inference", direction="ct2cect", **settings).get_parsed_content("inference")
    assert isinstance(mistake(caught.value), CheckpointError)
    assert "model_backward.pt" in str(mistake(caught.value))
