"""The command ``synthesize plan``: what it writes, that bundles accept it, and what it refuses."""

from __future__ import annotations

import json
import shutil

import pytest
import yaml
from bundle_commands import Bundle, ok
from plan_cases import write_dataset

from common.plan.recipe import Recipe
from medical_image_synthesis.command import main as synthesize


def main(words: list[str]) -> int:
    """Run the command with these words."""
    return synthesize(["plan", *map(str, words)])


SMALL = ["--width", "8"]
SHOWN, LONGEST = ("mr2ct_pix2pix", "mri2pet_sketcher_refiner"), pytest.mark.longest
"""Bundles of slices and of patches, for continuous integration."""
PLANNED = {
    "mr2ct_pix2pix": {"spacing", "plane", "crop_size", "pad_size", "depth", "batch_size", "target_window"},
    "cect2ct_rescyclegan": {"spacing", "plane", "crop_size", "pad_size", "depth", "batch_size"},
    "mri_dagan": {"spacing", "plane", "crop_size", "pad_size", "depth", "batch_size"},
    "pd2t2_dcgan_acm": {"spacing", "patch_size", "batch_size"},
    "mri2pet_sketcher_refiner": {"spacing", "patch_size", "batch_size", "patch_layers", "source_window"},
}


@pytest.fixture(scope="module")
def thick(tmp_path_factory):
    """Six cases of 40 x 36 x 12 voxels of 1 x 1 x 5 mm, a foreground of 32 x 28 x 10."""
    return write_dataset(tmp_path_factory.mktemp("thick") / "data")


@pytest.fixture(scope="module")
def phantoms(tmp_path_factory):
    """Four phantoms of a bundle at 6 mm."""
    made = {}

    def of(name):
        if name not in made:
            made[name] = tmp_path_factory.mktemp(name) / "data"
            settings = {"phantoms::cases": 4, "phantoms::spacing": 6}
            Bundle(name).parser("train", **settings).get_parsed_content("phantoms")(made[name])
        return made[name]

    return of


@pytest.fixture
def plan(tmp_path, capsys):
    """Run the command; its settings, or the last line of what it said."""

    def run(data, *more, bundle="mr2ct_pix2pix", out="plan.yaml"):
        path = tmp_path / out
        words = [bundle, "--dataset_dir", str(data), "--out", str(path), *more]
        if main(words) == 0:
            return yaml.safe_load(path.read_text())
        return capsys.readouterr().err.splitlines()[-1]

    return run


def test_thick_slices_by_hand(plan, thick, tmp_path):
    found = plan(thick, *SMALL)
    assert found["spacing"] is None
    assert found["plane"] == "axial"
    # the foreground is 32 pixels wide: 32 = 2^5 without padding; 286 / 256 * 32 = 35.75
    assert (found["crop_size"], found["depth"], found["pad_size"]) == (32, 5, 36)
    # four of six cases train, with ten slices each: 5 % of 40
    assert found["batch_size"] == 2
    assert "norm" not in found  # statistics of a batch of two
    assert "width" not in found  # it was given
    assert (found["max_epochs"], found["samples_per_epoch"]) == (200, 200)
    assert found["target_window"] == [-600, 1400]
    lines = (tmp_path / "plan.yaml").read_text().splitlines()
    assert len(lines) <= 40
    assert max(map(len, lines)) <= 120
    assert [line[0] for line in lines[:3]] == ["#", "#", "#"]
    assert "['CONFIGS/train.yaml','plan.yaml']\" --dataset_dir DATA --width 8" in lines[1]
    assert all("  # " in line for line in lines[3:])


def without_the_measurement(path):
    """The lines of a plan but the third, the time of a step on this machine."""
    lines = path.read_text().splitlines()
    assert lines.pop(2).startswith("# Measured here: a step takes ")
    return lines


def test_one_plan_whatever_the_order_and_the_place_of_the_data(plan, thick, tmp_path):
    plan(thick, *SMALL, out="a/plan.yaml")
    moved = shutil.copytree(thick, tmp_path / "moved")
    plan(moved, *SMALL, out="b/plan.yaml")
    assert without_the_measurement(tmp_path / "a/plan.yaml") == without_the_measurement(tmp_path / "b/plan.yaml")
    items = [
        {"case": folder.name, **{key: str(folder / f"{name}.nii.gz") for key, name in names.items()}}
        for names in [{"image": "mr", "label": "ct", "mask": "mask"}]
        for folder in sorted(thick.iterdir())
    ]
    texts = []
    for order in (1, -1):
        datalist = tmp_path / "list.json"
        datalist.write_text(json.dumps({"training": items[:4][::order], "validation": items[4:]}))
        out = tmp_path / f"{order}" / "plan.yaml"
        given = ["mr2ct_pix2pix", "--datalist", str(datalist), "--out", str(out), *SMALL]
        assert main(given) == 0
        texts.append(without_the_measurement(out))
    assert texts[0] == texts[1]
    assert "--datalist DATALIST" in texts[0][1]


def test_a_window_that_is_given_is_kept(plan, thick):
    assert "target_window" not in plan(thick, *SMALL, "--target_window", "[-500, 600]", "--hours", "1000")


def test_plane_unit_and_overlays_that_are_given_are_kept(plan, thick, tmp_path):
    (tmp_path / "mine.yaml").write_text("width: 8\ntarget_window: [0, 1000]\n")
    mr = ["--output::modality", "MR", "--output::unit", "a.u.", "--output::suffix", "synthetic_t2"]
    fault = "error: --target_window [0, 1000] does not span -200 to 200, but --output::unit is HU"
    mine = ["--overlay", str(tmp_path / "mine.yaml"), "--data::target_range", "null", "--plane", "coronal"]
    assert plan(thick, *mine).startswith(fault)
    found = plan(thick, *mine, *mr)
    assert found["plane"] == "coronal"  # the rule's choice is axial
    assert (found["crop_size"], found["depth"]) == (32, 5)  # 32 x 10 voxels
    assert f"['CONFIGS/train.yaml','{tmp_path}/mine.yaml','plan.yaml']" in (tmp_path / "plan.yaml").read_text()


def test_mistakes_end_with_one_line(plan, thick, tmp_path):
    assert plan(thick, bundle="nothing").startswith(
        "error: no bundle nothing: name it first, such as mr2ct; synthesize list prints them"
    )
    assert "lesion_dcgan_aug trains on neither slices nor patches of volumes" in plan(thick, bundle="lesion_dcgan_aug")
    assert plan(tmp_path / "none").startswith("error: no folder at ")
    assert "did you mean --width?" in plan(thick, "--widht", "8")
    assert plan(thick, "--depth", "3").startswith("error: --depth is chosen by the plan: omit it here")
    assert plan(thick, *SMALL, "--device", "cpu", "--memory_gb", "4").startswith("error: --memory_gb 4 cannot")
    assert "is too short for an epoch" in plan(thick, *SMALL, "--hours", "1.0e-8")
    assert plan(thick, "--memory_gb", "-1").startswith("error: --memory_gb is -1, not above zero")
    assert plan(thick, "--width") == "error: --width has no value: write it after the option"
    plan(thick, *SMALL)
    said = plan(thick, *SMALL)
    assert "already exists: add --overwrite, or pass another --out" in said
    assert plan(thick, *SMALL, "--overwrite")["plane"] == "axial"


def test_data_must_be_named(capsys, tmp_path):
    assert main(["mr2ct_pix2pix", "--out", str(tmp_path / "plan.yaml")]) == 2
    assert "error: no data are named: pass --dataset_dir DATA or --datalist FILE" in capsys.readouterr().err
    assert not (tmp_path / "plan.yaml").exists()


@pytest.mark.slow
@pytest.mark.parametrize("name", [name if name in SHOWN else pytest.param(name, marks=LONGEST) for name in PLANNED])
def test_a_training_accepts_the_plan(plan, phantoms, tmp_path, name):
    data = phantoms(name)
    found = plan(data, *SMALL, bundle=name)
    assert found.keys() >= PLANNED[name] | {"max_epochs", "constant_epochs", "decay_epochs", "val_interval"}
    assert found.keys() <= Bundle(name).raw("train").keys()
    Recipe(name, {}, {}).checked(found)
    if name == "mri2pet_sketcher_refiner":
        windows = (found["source_window"], found["target_window"])
        assert windows == ([[0, 50], [0, 1], [0, 3], [0, 3.5]], [0, 2]), "those of quantities are kept"
    settings = {"dataset_dir": data, "output_dir": tmp_path / "out", "width": 8, "max_epochs": 1, "val_interval": 1}
    few = {"samples_per_epoch": 2 * found["batch_size"]}
    done = ok(Bundle(name).run("training", ["train", str(tmp_path / "plan.yaml")], **settings, **few))
    assert "error" not in done.stderr
    kept = json.loads((tmp_path / "out/models/model.json").read_text())["settings"]
    size = "crop_size" if "crop_size" in found else "patch_size"
    assert kept.get("plane") == found.get("plane")
    assert yaml.safe_load((tmp_path / "out/run.json").read_text())["config"][size] == found[size]
