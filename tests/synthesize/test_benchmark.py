"""``synthesize benchmark``: recipes, check of a tree, splits, preparation, table, and a whole run at toy size."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import h5py
import nibabel as nib
import numpy as np
import pandas as pd
import public_trees
import pytest
import yaml
from pydicom import dcmread

from common.errors import ConfigError, DataError, OutputError
from common.weights.shipped import shipped_weights
from medical_image_synthesis.benchmark import command, prepare, table, tree
from medical_image_synthesis.benchmark.recipe import Recipe, read_recipe, recipe_names
from medical_image_synthesis.catalogue import bundle_named
from medical_image_synthesis.command import main
from medical_image_synthesis.configured import run_files, started
from medical_image_synthesis.options import config_files
from medical_image_synthesis.runs import FILES, RUN_IDS

TINY = {"max_epochs": 1, "constant_epochs": 1, "decay_epochs": 0, "samples_per_epoch": 2, "batch_size": 2,
    "val_interval": 1, "width": 4, "depth": 2, "pad_size": 32, "crop_size": 32}  # fmt: skip
SYNTHRAD = ("1ABA001", "1HNC002", "1THB003", "1ABD004")


def own_recipe(path: Path, name: str, **changes: Any) -> Path:
    """A recipe of a user, who has changed fields of one that is there."""
    content = asdict(read_recipe(name)) | changes
    path.write_text(yaml.safe_dump({key: value for key, value in content.items() if key != "name"}, sort_keys=False))
    return path


# Recipes


@pytest.mark.parametrize("name", recipe_names())
def test_a_recipe_names_what_is_there(name: str, tmp_path: Path) -> None:
    recipe = read_recipe(name)
    bundle = bundle_named(recipe.bundle)
    assert recipe.licence
    assert recipe.url.startswith("https://")
    assert all(set(each) == {"unit", "better"} for each in recipe.measures.values())
    for each in recipe.published:
        assert {column.partition(", ")[0] for column in each["measures"]} <= recipe.measures.keys(), each["method"]
        assert each["source"], f"{each['method']} has no source"
    evaluated = config_files(bundle, FILES["evaluate"], [])
    known = {key for path in evaluated for key in yaml.safe_load(Path(path).read_text())}
    assert {key.partition("::")[0] for key in recipe.evaluation} <= known
    for run in recipe.runs:
        overlays = command.overlays_of(recipe, run, tmp_path)
        command._write_yaml(Path(overlays[-1]), command.settings_of_run(recipe, run))
        files = config_files(bundle, FILES["train"], [Path(each) for each in overlays])
        started(run_files(files, {"output_dir": str(tmp_path)}), RUN_IDS["train"])  # refuses unknown settings
        assert command.duration(recipe, run, 100).count("steps of") == 1


def test_a_recipe_like_another_has_the_others_fields_and_its_own() -> None:
    brain, pelvis = read_recipe("synthrad2023_brain"), read_recipe("synthrad2023_pelvis")
    assert pelvis.data == brain.data | {"folder": "Task1/pelvis"}
    assert pelvis.settings == brain.settings | {"pad_size": 416}
    assert pelvis.runs == brain.runs
    assert [each["measures"] for each in pelvis.published] == [{"ssim": "> 0.87"}, {"mae": 48}]


def test_the_published_numbers_are_those_of_the_sources() -> None:
    """Typed again from the report of seed, not copied from the recipe; those of ldct-benchmark are in a row below."""
    ixi = {row["method"]: tuple(row["measures"].values()) for row in read_recipe("ixi_pd2t2").published}
    assert ixi["ResGAN"] == ("0.101 (0.02)", "31.229 (2.154)")
    assert ixi["Adv."] == ("0.109 (0.024)", "30.861 (2.044)")


def test_unknown_recipes_and_fields_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^no recipe synthrad2025: did you mean synthrad2025_mr\?$"):
        read_recipe("synthrad2025")
    path = own_recipe(tmp_path / "mine.yaml", "ldct", measure={})
    with pytest.raises(ConfigError, match=r"^mine.yaml has the unknown field measure: choose measures$"):
        read_recipe(str(path))
    path.write_text("title: nothing more\n")
    with pytest.raises(ConfigError, match=r"^mine.yaml has no licence: write it as the other recipes do$"):
        read_recipe(str(path))


def test_the_steps_of_the_report_are_counted() -> None:
    """60 subjects of 196 cubes, 42 epochs of batches of 4; two stages take twice as many; 90.1 ms a step."""
    recipe = read_recipe("ixi_pd2t2")
    assert command.duration(recipe, "resgan", 60) == "123,480 steps of 4, 3.1 h on one H200"
    assert command.duration(recipe, "resgan_acm", 60) == "246,960 steps of 4, 6.2 h on one H200"
    assert command.duration(recipe, "strongest", 60) == "235,200 steps of 4, whose time was not measured"


# The tree and the split


def test_a_missing_folder_and_missing_cases_are_named(tmp_path: Path) -> None:
    recipe = read_recipe("ldct")
    with pytest.raises(DataError, match=r"^no folder .*/nowhere, where LDCT-and-Projection-data, low dose to full"):
        tree.cases_of(recipe, tmp_path / "nowhere")
    public_trees.ldct(tmp_path, ("C121", "L241"), without_low=("L006",))
    with pytest.raises(DataError, match=r"^148 of 150 cases of the split are missing in .* \(C002, C004, C012"):
        tree.cases_of(recipe, tmp_path)


def test_a_missing_file_is_named_with_the_address_of_the_data(tmp_path: Path) -> None:
    public_trees.synthrad(tmp_path, SYNTHRAD[:2])
    (tmp_path / "Task1" / "HN" / "1HNC002" / "ct.mha").unlink()
    with pytest.raises(
        DataError, match=r"^1 file is missing in Task1 \(1HNC002/ct.mha\): get the data from https://doi"
    ):
        tree.cases_of(read_recipe("synthrad2025_mr"), tmp_path)


def test_another_number_of_cases_is_refused(tmp_path: Path) -> None:
    public_trees.synthrad(tmp_path, ("1BA001", "1BC002"))
    with pytest.raises(DataError, match=r"brain has 2 cases, of which SynthRAD2023 task 1.* has 180: get the data"):
        tree.cases_of(read_recipe("synthrad2023_brain"), tmp_path)


def test_cases_by_pattern_have_every_file(tmp_path: Path) -> None:
    names = ("BraTS-GLI-00000-000", "BraTS-GLI-00002-001")
    for name in names:
        (tmp_path / name).mkdir()
        for contrast in ("t1n", "t2w", "t1c"):
            (tmp_path / name / f"{name}-{contrast}.nii.gz").touch()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "BraTS-GLI-00009-000-t1n.nii.gz").touch()  # its name is not that of its folder
    files = {
        "image": [f"{{case}}/{{case}}-{each}.nii.gz" for each in ("t1n", "t2w")],
        "label": "{case}/{case}-t1c.nii.gz",
    }
    recipe = Recipe("own", "BraTS", "", "https://x", "", {"files": files}, {}, {}, {}, [])
    items = tree.cases_of(recipe, tmp_path)
    assert [item["case"] for item in items] == list(names)
    assert items[1]["image"][1] == str(tmp_path / names[1] / f"{names[1]}-t2w.nii.gz")
    (tmp_path / names[0] / f"{names[0]}-t1c.nii.gz").unlink()
    with pytest.raises(DataError, match=rf"^1 files are missing in .* \({names[0]}/{names[0]}-t1c.nii.gz\)"):
        tree.cases_of(recipe, tmp_path)


def test_the_split_of_ldct_benchmark() -> None:
    """35 patients of each body part to train, 10 to validate, 5 to test, none twice."""
    cases = {section: names.split() for section, names in read_recipe("ldct").split["cases"].items()}
    counts = {section: [sum(n[0] == part for n in names) for part in "CLN"] for section, names in cases.items()}
    assert counts == {"training": [35] * 3, "validation": [10] * 3, "test": [5] * 3}
    assert len({name for names in cases.values() for name in names}) == 150
    assert cases["test"][:5] == ["C121", "C135", "C170", "C249", "C280"]


def test_splits_by_name_folder_and_table(tmp_path: Path) -> None:
    public_trees.fastmri(tmp_path / "mr", train=11, val=2, side=16)
    recipe = read_recipe("fastmri_knee_4x")
    items = tree._by_pattern(tmp_path / "mr", recipe.data["files"], "")
    lists = tree.sections(recipe, items, tmp_path / "mr")
    assert {section: len(own) for section, own in lists.items()} == {"training": 9, "validation": 2, "test": 2}
    assert [Path(item["image"]).parent.name for item in lists["test"]] == ["singlecoil_val"] * 2
    public_trees.totalsegmentator(tmp_path / "ct", ["train", "test", "val", "train"])
    recipe = read_recipe("totalsegmentator_thin")
    items = tree._by_pattern(tmp_path / "ct", recipe.data["files"], "")
    lists = tree.sections(recipe, items, tmp_path / "ct")
    assert {section: [item["case"] for item in own] for section, own in lists.items()} == {
        "training": ["s0000", "s0003"],
        "validation": ["s0002"],
        "test": ["s0001"],
    }
    (tmp_path / "ct" / "meta.csv").write_text("image_id;split\ns0000;train\n")
    with pytest.raises(DataError, match=r"^meta.csv has no row of s0001, s0002, s0003"):
        tree.sections(recipe, items, tmp_path / "ct")


# Preparation


def test_a_cut_volume_is_standardised_and_stays_where_it_was(tmp_path: Path) -> None:
    """Odd and even, larger and smaller sides; a voxel keeps its place in mm, and 196 cubes tile the published shape."""
    root = public_trees.ixi(tmp_path, 1, shape=(41, 24, 36))
    item = tree.cases_of(read_recipe("ixi_pd2t2"), root)[0]
    given = nib.as_closest_canonical(nib.load(item["image"]))
    prepare.crop(item, tmp_path, shape=(32, 32, 32))
    made, mask = nib.load(tmp_path / "source.nii.gz"), nib.load(tmp_path / "mask.nii.gz")
    values = made.get_fdata()
    assert values.shape == (32, 32, 32)
    assert (values.mean(), values.std()) == pytest.approx((0, 1), abs=1e-4)
    assert mask.get_fdata().min() == 1
    for index in ((20, 12, 18), (9, 6, 5)):
        there = np.linalg.inv(given.affine) @ made.affine @ (*index, 1)
        np.testing.assert_allclose(there, np.rint(there), atol=1e-4)
    shift = np.rint(np.linalg.inv(given.affine) @ made.affine @ (0, 0, 0, 1))[:3].astype(int)
    assert shift.tolist() == [4, -4, 2]
    inside = np.asarray(given.dataobj)[4:36, :, 2:34].astype(float)
    scale = np.corrcoef(inside.ravel(), values[:, 4:28].ravel())[0, 1]
    assert scale == pytest.approx(1, abs=1e-6)
    assert np.prod([n // 32 for n in read_recipe("ixi_pd2t2").prepare["shape"]]) == 196


def test_lines_of_fastmri() -> None:
    """Those that fastmri 0.3.0 itself draws for this file, whose middle is 29 of 368 at 4 times."""
    lines = np.flatnonzero(prepare.random_lines(368, 4, 0.08, "file1000000.h5"))
    assert lines[:12].tolist() == [4, 9, 10, 14, 23, 24, 28, 29, 32, 35, 41, 51]
    assert set(range(170, 199)) <= set(lines.tolist())


def test_the_target_of_a_scan_is_the_image_of_all_its_lines(tmp_path: Path) -> None:
    root = public_trees.fastmri(tmp_path, 1, 0, side=32)
    path = next(root.glob("singlecoil_train/*.h5"))
    prepare.undersample({"case": "a", "image": str(path)}, tmp_path, 4, 0.08)
    with h5py.File(path) as given, h5py.File(tmp_path / "kspace.h5") as made:
        image, mask = given["reconstruction_esc"][()], made["mask"][()] > 0
        assert np.abs(made["kspace"][()][..., ~mask]).max() == 0
    target = nib.load(tmp_path / "target.nii.gz").get_fdata()
    np.testing.assert_allclose(np.moveaxis(target, 2, 0).swapaxes(1, 2)[..., 3:-3], image, atol=1e-4)


def test_prepared_cases_are_kept_and_unknown_functions_refused(tmp_path: Path) -> None:
    root = public_trees.totalsegmentator(tmp_path, ["train"])
    lists = {"training": tree._by_pattern(root, {"image": "{case}/ct.nii.gz"}, "")}
    settings = {"function": "thicken", "thickness": 4.5, "profile": "box", "megabytes_a_case": 1}
    (item,) = prepare.prepared(settings, lists, tmp_path / "data")["training"]
    thick, given = nib.load(item["image"]), nib.load(root / "s0000" / "ct.nii.gz")
    assert thick.get_fdata().std() < given.get_fdata().std()
    np.testing.assert_array_equal(nib.load(item["label"]).get_fdata(), given.get_fdata())
    (tmp_path / "data" / "s0000" / "thick.nii.gz").write_text("kept")
    prepare.prepared(settings, lists, tmp_path / "data")
    assert (tmp_path / "data" / "s0000" / "thick.nii.gz").read_text() == "kept"
    with pytest.raises(ConfigError, match=r"^prepare has the function blur: choose crop, undersample or thicken$"):
        prepare.prepared({"function": "blur"}, lists, tmp_path)


# The row


def test_means_are_by_group_and_weighted_by_slices() -> None:
    rows = pd.DataFrame(
        {
            "case": ["C1", "C2", "L3", "C1"],
            "method": ["model", "model", "model", "copy_input"],
            "psnr_window": [20.0, 26.0, 30.0, 10.0],
            "ssim_window": [0.5, np.inf, 0.9, 0.1],
            "slices": [1, 2, 5, 1],
        }
    )
    items = [
        {"case": name, "body_part": part} for name, part in (("C1", "thorax"), ("C2", "thorax"), ("L3", "abdomen"))
    ]
    recipe = read_recipe("ldct")
    found = table.summary_of(recipe, rows, items)
    assert found["model"]["psnr_window, thorax"] == {
        "mean": 24,
        "sd": pytest.approx(8**0.5),
        "cases": 2,
        "undefined": 0,
    }
    assert found["model"]["ssim_window, thorax"] == {"mean": 0.5, "sd": 0, "cases": 1, "undefined": 1}
    assert found["copy_input"] == {
        "psnr_window, thorax": {"mean": 10, "sd": 0, "cases": 1, "undefined": 0},
        "ssim_window, thorax": {"mean": 0.1, "sd": 0, "cases": 1, "undefined": 0},
    }
    results = {"version": "0.1.0", "runs": {"red_cnn": {"methods": found, "changed": {"width": "8"}}}}
    lines = table.markdown(recipe, results).splitlines()
    assert lines[2].startswith("| method | cases | psnr_window, abdomen dB ↑ | psnr_window, thorax dB ↑ | ssim_window,")
    assert lines[4].startswith("| red_cnn, red_cnn | 2, the source's split | 30 ± 0 |")
    assert lines[4].endswith("`synthesize benchmark ldct`, 0.1.0, changed: width |")
    assert "| RED-CNN | the same | 33.685 | 28.002 | 0.913 | 0.584 | 34.132 |" in lines[7]


def test_a_dry_run_says_the_licence_first_and_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    root, out = public_trees.ixi(tmp_path / "IXI", 5, shape=(16, 16, 16)), tmp_path / "out"
    path = own_recipe(tmp_path / "mine.yaml", "ixi_pd2t2", split={"counts": [2, 1, 2], "seed": 0})
    words = ["benchmark", str(path), "--root", str(root), "--out", str(out)]
    assert main([*words, "--dry_run"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[:2] == ["IXI, PD to T2 of the brain", "licence of the data: CC BY-SA 3.0"]
    assert said[2] == "from: https://brain-development.org/ixi-dataset/"
    assert said[3] == "data: complete, 2 training, 1 validation, 2 test cases"
    assert said[4:6] == [f"1. split of 5 cases to {out}/datalist.json", f"2. crop each case to {out}/data, about 0 GB"]
    assert said[6].startswith("3. strongest: synthesize train pd2t2_dcgan_acm --overlay resenc --overlay ")
    assert said[16] == f"13. row beside 4 published to {out}/row.md"
    assert said[17].startswith(f"disk: about 5 GB in {out}, where ")
    assert not out.exists()
    assert main(["benchmark", "ldct", "--root", str(tmp_path / "nowhere")]) == 2
    said, fault = capsys.readouterr()
    assert "licence of the data: TCIA's restricted licence agreement" in said
    assert fault.startswith(f"error: no folder {tmp_path}/nowhere")
    assert main([*words, "--weights", str(tmp_path / "none.pt")]) == 2
    assert "none.pt (from --weights): pass model.pt of a run, beside its model.json" in capsys.readouterr().err
    other = shipped_weights(bundle_named("ldct").folder)
    assert main([*words, "--weights", str(other)]) == 2
    assert f"{other} is of ldct_wgan_vgg (from --weights): pass weights of " in capsys.readouterr().err


def test_results_of_another_recipe_or_of_other_cases_are_kept(tmp_path: Path) -> None:
    recipe = read_recipe("synthrad2023_brain")
    lists: dict[str, list[dict[str, Any]]] = {"test": [{"case": "a"}]}
    begun = command._begun(recipe, lists, tmp_path)
    assert command._begun(recipe, lists, tmp_path) == begun
    with pytest.raises(OutputError, match=r"result.json is of another recipe, or of other cases: choose another --out"):
        command._begun(recipe, {"test": [{"case": "b"}]}, tmp_path)


def test_damaged_results_and_a_training_that_began_otherwise_are_kept(tmp_path: Path) -> None:
    recipe, out = read_recipe("synthrad2023_brain"), tmp_path / "out"
    (models := out / "pix2pix" / "models").mkdir(parents=True)
    for text in ('{"version', "[]", "{}"):
        (out / "result.json").write_text(text)
        with pytest.raises(OutputError, match=r"result.json is damaged, or of another program: remove it, or choose"):
            command._begun(recipe, {"test": [{"case": "a"}]}, out)
    (models / "last_checkpoint.pt").touch()  # interrupted
    (out / "pix2pix" / "trained.json").write_text('{"changed": {"learning_rate": "1"}}')
    with pytest.raises(OutputError, match=r"was trained with --learning_rate 1: pass these again, or choose another"):
        command._trained(recipe, "pix2pix", out, {})
    (out / "pix2pix" / "trained.json").write_text('{"changed": {}}')
    expected = "was trained with the settings of the recipe alone: pass no others, or choose another --out$"
    with pytest.raises(OutputError, match=expected):
        command._trained(recipe, "pix2pix", out, {"num_workers": "1"})


def test_too_few_patients_for_a_split_are_told_where_the_data_are(tmp_path: Path) -> None:
    root = public_trees.ixi(tmp_path / "IXI", 4)
    recipe = read_recipe("ixi_pd2t2")
    fault = r"^4 patients are fewer than 60 \+ 3 \+ 26 = 89 for training, validation and test"
    remedy = (
        f"get the data from {recipe.url}, and pass --root the folder that holds them; for other cases pass a recipe"
    )
    with pytest.raises(DataError, match=f"{fault}: {remedy} of your own$"):
        tree.sections(recipe, tree.cases_of(recipe, root), root)


def test_a_misspelt_setting_is_named_before_cases_are_prepared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = own_recipe(tmp_path / "mine.yaml", "ixi_pd2t2", split={"counts": [2, 1, 1], "seed": 0})
    words = ["benchmark", str(path), "--root", str(public_trees.ixi(tmp_path / "IXI", 4)), "--out", str(tmp_path / "o")]
    assert main([*words, "--patchsize", "3"]) == 2
    assert (
        "--patchsize is not a setting of this bundle (value 3): did you mean --patch_size?" in capsys.readouterr().err
    )
    assert not (tmp_path / "o" / "data").exists()


@pytest.mark.slow
def test_the_whole_command_at_toy_size(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    """A training and its scores beside the published row; again from there with its weights, and not twice."""
    root, out = public_trees.synthrad(tmp_path / "DATA", SYNTHRAD), tmp_path / "out"
    path = own_recipe(
        tmp_path / "toy.yaml", "synthrad2025_mr",
        data=read_recipe("synthrad2025_mr").data | {"cases": 4}, split={"counts": [2, 1, 1], "seed": 0},
        runs={"strongest": {"overlay": ["resenc"], "settings": {"data::fold": None}}},
        settings=read_recipe("synthrad2025_mr").settings | TINY,
        evaluation={"value_range": [-1024, 3071], "metrics": read_recipe("synthrad2025_mr").evaluation["metrics"][:1]},
    )  # fmt: skip
    words = ["benchmark", str(path), "--root", str(root), "--out", str(out), "--device", "cpu"]
    assert main(words) == 0
    result = json.loads((out / "result.json").read_text())
    run = result["runs"]["strongest"]
    measures = run["methods"]["model"]
    assert {name: part and part["cases"] for name, part in measures.items()} == {
        "mae": 1, "psnr": 1, "ms_ssim": 1, "dice": None, "hd95": None,
    }  # fmt: skip
    assert 20 < measures["mae"]["mean"] < 1500
    assert run["changed"] == {"device": "cpu"}
    row = (out / "row.md").read_text()
    assert "| strongest, resenc | 1, our split | " in row
    assert "| BreizhCT (third) | organisers' hidden test | 67.241 ± 22.874 | 29.957 ± 2.658 |" in row
    capsys.readouterr()
    assert main(words) == 0
    assert "strongest: done before" in capsys.readouterr().out
    assert main([*words, "--batch_size", "1"]) == 2
    assert "was trained with --device cpu: pass these again, or choose another --out" in capsys.readouterr().err
    assert main([*words, "--weights", str(out / run["folder"] / "models" / "model.pt")]) == 0
    again = json.loads((out / "result.json").read_text())["runs"]["weights"]
    assert again["weights"] == run["weights"]
    assert again["methods"]["model"]["mae"]["mean"] == pytest.approx(measures["mae"]["mean"], rel=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ldct", "fastmri_knee_4x"])
def test_series_and_kspace_through_the_whole_command(name: str, tmp_path: Path) -> None:
    """DICOM with the split by name, and files of k-space, undersampled first: the row of a training of two steps."""
    recipe = read_recipe(name)
    tiny = {"max_epochs": 1, "constant_epochs": 1, "decay_epochs": 0, "samples_per_epoch": 2, "batch_size": 1,
        "val_interval": 1}  # fmt: skip
    if name == "ldct":
        public_trees.ldct(tmp_path / "DATA", ("C001", "L002", "N003"), without_low=("L006",), side=32)
        split = {"cases": {"training": "C001", "validation": "L002", "test": "N003"}}
        changes = {"split": split, "settings": recipe.settings | tiny | {"pad_size": 32, "crop_size": 32, "width": 4}}
    else:
        public_trees.fastmri(tmp_path / "DATA", 2, 1)
        changes = {"data": recipe.data | {"cases": 3}, "settings": tiny | {"width": 4}}
    run = recipe.runs["strongest"] | {"settings": {}}
    path = own_recipe(tmp_path / "toy.yaml", name, runs={"strongest": run}, **changes)
    words = ["benchmark", str(path), "--root", str(tmp_path / "DATA"), "--out", str(tmp_path / "out")]
    assert main([*words, "--device", "cpu"]) == 0
    methods = json.loads((tmp_path / "out" / "result.json").read_text())["runs"]["strongest"]["methods"]
    measured = {
        method: {each: part["mean"] for each, part in found.items() if part} for method, found in methods.items()
    }
    if name == "ldct":
        series = [sorted((tmp_path / "DATA").glob(f"*/N003/*/*{dose} Dose*/*.dcm")) for dose in ("Low", "Full")]
        low, full = ([dcmread(path).pixel_array.clip(1024, 1103).astype(float) for path in paths] for paths in series)
        noise = [np.mean((a - b) ** 2) for a, b in zip(low, full, strict=True)]
        expected = np.mean([10 * np.log10(79**2 / each) for each in noise])  # 0 to 79 HU, DICOM's (40, 80)
        assert measured["copy_input"]["psnr_window, head"] == pytest.approx(expected, abs=1e-3)
    else:
        assert measured["copy_input"]["nmse"] == pytest.approx(0.130, abs=0.001)
        assert measured.keys() == {"model", "copy_input", "compressed_sensing"}
    assert {each.partition(", ")[0] for each in measured["model"]} == recipe.measures.keys()
