"""The command that scores three files: its JSON, and one line for every mistake."""

import json
import re
import shutil

import nibabel as nib
import numpy as np
import pytest
from dicom_phantom import Grid, write_series

from medical_image_synthesis.command import main as synthesize


def main(words: list[str]) -> int:
    """Run the command with these words."""
    return synthesize(["score", *map(str, words)])


AFFINE = np.array([[-1.0, 0, 0, 90], [0, 1.2, 0, -126], [0, 0, 2.5, -72], [0, 0, 0, 1]])
NAMES = ("pred", "truth", "mask")


def _save(path, volume, affine=AFFINE):
    nib.save(nib.Nifti1Image(volume, affine), path)
    return path


def _arguments(paths, *unit):
    return [*_volumes(paths), *(unit or ("--unit", "HU"))]


def _volumes(paths):
    pred, truth, mask = (str(paths[name]) for name in NAMES)
    return [pred, truth, "--mask", mask]


@pytest.fixture
def files(tmp_path):
    """Three files (4, 4, 4): the prediction is 40.24 too high inside the mask and 500 outside."""
    mask = np.zeros((4, 4, 4), np.uint8)
    mask[1:3] = 1
    truth = np.zeros((4, 4, 4), np.float32)
    pred = np.where(mask, 40.24, 500).astype(np.float32)
    return {name: _save(tmp_path / f"{name}.nii.gz", v) for name, v in zip(NAMES, (pred, truth, mask), strict=True)}


@pytest.fixture
def water(tmp_path):
    """Files (8, 8, 8) of 10 mm in air: a truth of water, and a prediction of 0.95 times its attenuation."""
    mask = np.zeros((8, 8, 8), np.uint8)
    mask[1:7, 1:7, 1:7] = 1
    volumes = (np.where(mask, -50, -1000), np.where(mask, 0, -1000), mask)
    affine = np.diag([10.0, 10.0, 10.0, 1.0])
    return {
        name: _save(tmp_path / f"water_{name}.nii.gz", volume.astype(np.int16), affine)
        for name, volume in zip(NAMES, volumes, strict=True)
    }


def test_attenuation_prints_each_map_and_its_settings(water, capsys):
    assert main(["--attenuation", *_volumes(water), "--kvp", "140"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert (result.pop("kvp"), result.pop("bone_hu")) == (140, 250.0)
    assert {name: each["attenuation_bias"] for name, each in result.items()} == pytest.approx(
        {"synthetic": -5, "water": 0, "classes": 100 * (0.1 / 0.096 - 1)}
    )


def test_threshold_of_bone_reaches_the_classes(water, capsys):
    """From -10 HU water is taken for bone."""
    assert main(["--attenuation", *_volumes(water), "--bone_hu", "-10"]) == 0
    classes = json.loads(capsys.readouterr().out)["classes"]
    assert classes["attenuation_error"] == pytest.approx(100 * (0.151 / 0.096 - 1))


def test_attenuation_of_other_units_and_voltages_is_refused(files, water, capsys):
    message = _refusal(capsys, ["--attenuation", *_volumes(files)])
    assert "truth is not a CT in HU (its lowest value is 0, not below -30" in message
    assert "--kvp is 90: choose 80" in _refusal(capsys, ["--attenuation", *_volumes(water), "--kvp", "90"])


def _refusal(capsys, arguments):
    """Run the command, which must end with 2, print no result and give its reason on one line."""
    assert main(arguments) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1
    return printed.err


def test_one_json_object_names_range_mask_and_unit(files, capsys):
    assert main(_arguments(files)) == 0
    result = json.loads(capsys.readouterr().out)
    assert result.pop("mae") == pytest.approx(40.24, rel=1e-6)
    assert result.pop("mse") == pytest.approx(40.24**2, rel=1e-6)
    assert result.pop("psnr") == pytest.approx(40.0, rel=1e-6)
    assert 0 < result.pop("ms_ssim") < 1
    assert result.pop("mae_soft") == result.pop("bias_soft") == pytest.approx(40.24, rel=1e-6)
    # Sides of 4 hold no window of 7 or 17, and a flat truth has no detail to compare with, no bone and no air.
    without = ("mae_air", "bias_air", "mae_bone", "bias_bone", "bone_dice", "air_dice", "tissue_outside")
    assert result.pop("undefined").keys() == {"ssim", "vif", "hfen", "sharpness", *without}
    assert result == {
        **dict.fromkeys(without),
        "mae_outside": 500.0,
        "slice_jumps": 0.0,
        "ssim": None,
        "vif": None,
        "hfen": None,
        "sharpness": None,
        "value_range": [-1024.0, 3000.0],
        "mask_voxels": 32,
        "unit": "HU",
        "hfen_sigma_voxels": 1.5,
    }


@pytest.mark.parametrize(("unit", "shown"), [([], "as stored"), (["--unit", "SUV"], "SUV")])
def test_other_ranges_carry_the_unit_that_is_given(files, capsys, unit, shown):
    assert main(_arguments(files, *unit, "--value-range", "-2", "400.4")) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["psnr"] == pytest.approx(20.0, rel=1e-6)
    assert (result["value_range"], result["unit"]) == ([-2.0, 400.4], shown)


def test_an_unknown_unit_is_asked_for(files, capsys):
    message = _refusal(capsys, _volumes(files))
    assert "unit of pred and truth is unknown" in message
    assert "give --unit HU for CT, or --value_range LOW HIGH, and --unit, for others" in message


def test_a_unit_without_a_known_range_asks_for_the_range(files, tmp_path, capsys):
    message = "no value range is known for {}, to which psnr and ssim clip: give --value_range LOW HIGH"
    assert message.format("z") in _refusal(capsys, _arguments(files, "--unit", "z"))
    (tmp_path / "pred.json").write_text('{"Unit": "DVR"}')
    assert message.format("DVR") in _refusal(capsys, _volumes(files))


def test_the_unit_of_a_synthetic_volume_is_in_its_json_file(water, tmp_path, capsys):
    (tmp_path / "water_pred.json").write_text('{"Unit": "HU"}')
    assert main([*_volumes(water)]) == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["mae"], result["unit"], result["value_range"]) == (50, "HU", [-1024, 3000])


def test_a_truth_without_air_is_no_ct_of_a_synthetic_one(files, tmp_path, capsys):
    (tmp_path / "pred.json").write_text('{"Unit": "HU"}')
    message = _refusal(capsys, _volumes(files))
    assert message == "error: truth is not recognised as CT in HU, as the other is: give --unit HU if it is\n"
    assert main(_arguments(files)) == 0, "--unit decides"


def test_volumes_in_hu_plus_1024_are_named(water, tmp_path, capsys, caplog):
    shifted = {name: nib.load(water[name]).get_fdata() + (1024 if name != "mask" else 0) for name in NAMES}
    files = {
        name: _save(tmp_path / f"shifted_{name}.nii.gz", volume.astype(np.uint16), np.diag([10.0, 10.0, 10.0, 1.0]))
        for name, volume in shifted.items()
    }
    assert main(_arguments(water)) == 0
    assert not caplog.messages
    assert main(_arguments(files)) == 0
    fault = "is not a CT in HU (no value below 0, or one beyond 131072), but is scored in HU; convert it to HU (slope,"
    assert caplog.messages == [f"shifted_pred: {name} {fault} offset 1024)" for name in ("pred", "truth")]


@pytest.fixture
def beside_series(tmp_path):
    """Files next to a DICOM series of one modality as the truth: a synthetic volume with air, 10 higher than it."""

    def write(modality, **headers):
        grid = Grid(shape=(8, 8, 8), spacing=(10.0, 10.0, 10.0))
        truth = np.where(np.arange(8)[:, None, None] < 4, -1000.0, 50.0) * np.ones(grid.shape)
        write_series(
            tmp_path / "truth", grid, modality, 1, -1000, lambda header, _: header.update(headers), values=truth
        )
        volumes = {"pred": truth + 10, "mask": np.ones(grid.shape)}
        files = {name: _save(tmp_path / f"{name}.nii.gz", each, grid.affine) for name, each in volumes.items()}
        return {**files, "truth": tmp_path / "truth"}

    return write


def test_the_header_of_a_ct_gives_the_unit(beside_series, capsys):
    paths = beside_series("CT")
    assert main([*_volumes(paths)]) == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["mae"], result["unit"], result["value_range"]) == (10, "HU", [-1024, 3000])


def test_the_header_of_a_pet_gives_the_unit_but_no_range(beside_series, capsys):
    paths = beside_series("PT", Units="CNTS")
    assert main([*_volumes(paths)]) == 2
    assert "no value range is known for counts" in capsys.readouterr().err
    assert main(_arguments(paths, "--value_range", "-1000", "100")) == 0
    assert json.loads(capsys.readouterr().out)["unit"] == "counts"


def test_units_that_differ_are_refused(beside_series, tmp_path, capsys):
    paths = beside_series("PT", Units="CNTS")
    (tmp_path / "pred.json").write_text('{"Unit": "HU"}')
    assert main([*_volumes(paths)]) == 2
    assert (
        "pred is in HU, but truth in counts: convert one of them, or give the --unit of both" in capsys.readouterr().err
    )


@pytest.mark.parametrize("name", ["pred", "mask"])
def test_other_affine_is_refused(files, tmp_path, capsys, name):
    shifted = AFFINE.copy()
    shifted[2, 3] += 0.11
    path = _save(tmp_path / "shifted.nii.gz", np.ones((4, 4, 4), np.float32), shifted)
    message = _refusal(capsys, _arguments({**files, name: path}))
    assert f"{name} has shape (4, 4, 4), affine [-1 0 0 90; 0 1.2 0 -126; 0 0 2.5 -71.89]" in message
    assert "the truth shape (4, 4, 4), affine [-1 0 0 90; 0 1.2 0 -126; 0 0 2.5 -72]" in message


def test_affine_is_compared_at_the_corners(files, tmp_path, capsys):
    for excess, code in ((0.03, 0), (0.04, 2)):
        # The far corner lies three voxels away: 0.09 and 0.12 mm; 0.1 mm are tolerated.
        scaled = AFFINE.copy()
        scaled[0, 0] -= excess
        path = _save(tmp_path / "scaled.nii.gz", np.ones((4, 4, 4), np.float32), scaled)
        assert main(_arguments({**files, "pred": path})) == code
    assert "pred has shape (4, 4, 4), affine [-1.04 0 0 90" in capsys.readouterr().err


def test_the_mask_is_required(files, capsys):
    assert "--mask is missing, without which the background would count: pass the mask" in _refusal(
        capsys, _volumes(files)[:-2]
    )


# ---- folders ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def folders(tmp_path):
    """Synthetic volumes of another project, 10 and 30 HU too high inside the masks of two of three cases."""
    made, data = tmp_path / "made", tmp_path / "data"
    made.mkdir()
    mask = np.zeros((4, 4, 4), np.uint8)
    mask[1:3] = 1
    truth = np.where(mask, 0, -1000).astype(np.int16)
    for case in ("a", "a_1", "b"):
        (data / case).mkdir(parents=True)
        _save(data / case / "ct.nii.gz", truth)
        _save(data / case / "mask.nii.gz", mask)
    _save(made / "a_1_sct.nii.gz", truth + np.int16(10))
    _save(made / "b.nii.gz", truth + np.int16(30))
    _save(made / "b_uncertainty.nii.gz", truth)
    return made, data


def test_a_folder_is_scored_by_the_cases_of_its_names(folders, tmp_path, capsys, caplog):
    made, data = folders
    assert main([made, data, "--unit", "HU", "--out", tmp_path / "scores.csv"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["cases"], found["missing"]) == (2, ["a"])
    assert found["mae"] == {"mean": 20, "cases": 2, "sd": pytest.approx(200**0.5)}
    rows = [line.split(",")[:2] for line in (tmp_path / "scores.csv").read_text().splitlines()]
    assert rows == [["case", "mae"], ["a_1", "10.0"], ["b", "30.0"]]


def test_scores_of_a_folder_are_replaced_on_demand_alone(folders, tmp_path, capsys):
    made, data = folders
    table = tmp_path / "scores.csv"
    table.write_text("of yesterday")
    assert main([made, data, "--unit", "HU", "--out", table]) == 2
    assert "scores.csv exists (from --out): add --overwrite, or choose another file" in capsys.readouterr().err
    assert table.read_text() == "of yesterday"
    assert main([made, data, "--unit", "HU", "--out", table, "--overwrite"]) == 0
    assert table.read_text().startswith("case,mae,")


def test_scores_of_one_volume_are_printed_and_not_promised_to_a_file(files, tmp_path, capsys):
    printed = _refusal(capsys, [*_volumes(files), "--out", tmp_path / "scores.csv"])
    assert "--out is for two folders, the scores of one volume are printed: omit it" in printed


def test_a_case_without_error_leaves_a_folder_no_mean_of_its_psnr(folders, capsys):
    made, data = folders
    (made / "a_sct.nii.gz").write_bytes((data / "a" / "ct.nii.gz").read_bytes())
    assert main([made, data, "--unit", "HU"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["psnr"] == {"mean": None, "cases": 2, "infinite": 1}
    assert found["mae"]["mean"] == pytest.approx(40 / 3)


def test_folders_without_volumes_are_no_volumes_without_mask(folders, tmp_path, capsys):
    made, data = folders
    (tmp_path / "empty").mkdir()
    (tmp_path / "nested" / "b").mkdir(parents=True)
    (tmp_path / "nested" / "dataset.json").write_text("{}")
    for first, second, fault in (
        (tmp_path / "nested", data, "nested has no synthetic volume: name its files <case>.nii.gz, as those in"),
        (tmp_path / "empty", data, "empty has no synthetic volume: name its files <case>.nii.gz, as those in"),
        (data, made, "no case in .*made has a ct: pass a folder of DATA"),
        (tmp_path / "nowhere", data, "nowhere"),
    ):
        assert main([first, second, "--unit", "HU"]) == 2
        printed = capsys.readouterr().err
        assert re.search(fault, printed), printed
        assert "--mask" not in printed


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("c.nii.gz", r"c\.nii\.gz is of none of the cases .*: name it <case>\.nii\.gz, or remove it"),
        ("b_other.mha", r"b\.nii\.gz and b_other\.mha are both of the case b: remove one of them"),
    ],
)
def test_a_file_of_no_case_and_two_of_one_are_refused(folders, capsys, name, fault):
    made, data = folders
    (made / name).write_bytes((made / "b.nii.gz").read_bytes())
    assert main([made, data]) == 2
    assert re.search(fault, capsys.readouterr().err)


def test_a_file_of_a_case_without_truth_is_not_scored_by_another_ones(folders, capsys):
    made, data = folders
    (data / "a_1" / "ct.nii.gz").unlink()
    assert main([made, data, "--unit", "HU"]) == 1
    assert "a_1_sct.nii.gz is of the case a_1, which has no ct: add it, or remove the file" in capsys.readouterr().err


def test_a_folder_needs_a_folder_of_cases_with_the_target(folders, capsys):
    made, data = folders
    assert main([made, data, "--target", "t2"]) == 2
    assert (
        f"no case in {data} has a t2: pass a folder of DATA/<case>/<target>, and --target NAME"
        in capsys.readouterr().err
    )
    assert main([made, data / "a" / "ct.nii.gz"]) == 2
    assert (
        f"{made} is a folder, and {data / 'a' / 'ct.nii.gz'} is not: pass the folder of the cases"
        in capsys.readouterr().err
    )


def test_cases_that_cannot_be_scored_are_all_named_and_the_others_scored(folders, tmp_path, capsys):
    """Of five cases one has a value that is not finite, one another grid, one no mask; 10 and 30 HU are left."""
    made, data = folders
    broken = np.full((4, 4, 4), -1000, np.float32)
    broken[2, 2, 2] = np.nan
    for case, volume in (("c", broken), ("d", np.zeros((3, 4, 4), np.int16)), ("e", np.zeros((4, 4, 4), np.int16))):
        shutil.copytree(data / "a", data / case)
        _save(made / f"{case}.nii.gz", volume)
    (data / "e" / "mask.nii.gz").unlink()
    assert main([made, data, "--unit", "HU", "--out", tmp_path / "scores.csv"]) == 1
    printed = capsys.readouterr()
    found = json.loads(printed.out)
    assert (found["cases"], found["missing"], sorted(found["failed"])) == (2, ["a"], ["c", "d", "e"])
    assert found["mae"]["mean"] == 20
    assert printed.err.count("\n") == 1
    for fault in (
        "error: 3 of 5 cases failed: ",
        "e has no mask",
        "c (pred (c.nii.gz): voxels are not finite",
        "d (pred has shape (3, 4, 4)",
    ):
        assert fault in printed.err, printed.err
    assert [line.split(",")[0] for line in (tmp_path / "scores.csv").read_text().splitlines()] == ["case", "a_1", "b"]
    for case in ("a_1", "b"):
        (made / f"{case}{'_sct' if case == 'a_1' else ''}.nii.gz").unlink()
    assert main([made, data, "--unit", "HU", "--out", tmp_path / "none.csv"]) == 2
    assert not (tmp_path / "none.csv").exists()
    assert "3 of 3 cases failed" in capsys.readouterr().err
