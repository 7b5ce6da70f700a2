"""The commands: a datalist made and checked, exit codes, and one last line on stderr for a mistake."""

from __future__ import annotations

import json
from pathlib import Path

import in_process
import nibabel as nib
import numpy as np
import pytest
from dicom_phantom import Grid, write_series

from common.data.datalist import load_datalist
from common.simulation.mr_ct_pairs import write_mr2ct
from medical_image_synthesis.command import main as synthesize


def main(words: list[str]) -> int:
    """Run the command with these words."""
    return synthesize([*map(str, words)])


@pytest.fixture
def root(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for patient in range(4):
        for visit in (1, 2):
            folder = tmp_path / "data" / f"s{patient}_v{visit}"
            folder.mkdir(parents=True)
            for name in ("mr", "ct"):
                values = rng.uniform(-1000, 1000, size=(6, 7, 8)).astype(np.float32)
                nib.save(nib.Nifti1Image(values, np.eye(4)), folder / f"{name}.nii.gz")
    return tmp_path / "data"


def make(root: Path, *more: str) -> list[str]:
    out = str(root / "datalist.json")
    return ["datalist", "--dataset_dir", str(root), "--layout", "folders", "--out", out, *more]


def test_make_then_check(root: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(make(root, "--patient_separator", "_", "--fractions", "0.5", "0.25", "0.25")) == 0
    printed = capsys.readouterr().out
    assert "training: 4 cases of 2 patients\nvalidation: 2 cases of 1 patients\ntest: 2 cases of 1 pat" in printed
    lists = load_datalist(root / "datalist.json")
    assert sorted(item["patient"] for item in lists["training"] + lists["test"] + lists["validation"]) == sorted(
        ["s0", "s1", "s2", "s3"] * 2
    )
    content = json.loads((root / "datalist.json").read_text())
    assert content["names"] == {"source": "mr", "target": "ct", "mask": "mask"}
    assert (content["layout"], content["root"], content["seed"]) == ("folders", str(root), 0)
    assert content["fractions"] == [0.5, 0.25, 0.25]
    assert not Path(content["training"][0]["image"]).is_absolute()
    assert main(["check", "--datalist", str(root / "datalist.json"), "--target_range", "-600", "1400"]) == 0
    assert capsys.readouterr().out.endswith("8 cases checked: 0 errors, 0 warnings\n")


def test_counts_instead_of_fractions(root: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(make(root, "--patient_separator", "_", "--counts", "1", "1", "1")) == 0
    assert "training: 2 cases of 1 patients\nvalidation: 2 cases of 1 pat" in capsys.readouterr().out
    content = json.loads((root / "datalist.json").read_text())
    assert content["counts"] == [1, 1, 1]
    assert "fractions" not in content
    assert main(make(root, "--patient_separator", "_", "--counts", "60", "3", "26", "--overwrite")) == 2
    assert "4 patients are fewer than 60 + 3 + 26 = 89 for training, validation and test" in capsys.readouterr().err
    assert main(make(root, "--counts", "1", "1", "1", "--fractions", "0.5", "0.25", "0.25")) == 2
    assert "argument --fractions: not allowed with argument --counts" in capsys.readouterr().err


def test_the_layout_says_what_source_and_target_are_called(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    for name in ("PD", "T2"):
        folder = tmp_path / f"IXI-{name}"
        folder.mkdir()
        for number in range(3):
            (folder / f"IXI{number:03d}-HH-{number}-{name}.nii.gz").touch()
    out = tmp_path / "datalist.json"
    arguments = ["datalist", "--dataset_dir", str(tmp_path), "--layout", "ixi", "--out", str(out), "--counts", "1", "1"]
    assert main([*arguments, "1"]) == 0
    content = json.loads(out.read_text())
    assert content["names"] == {"source": "PD", "target": "T2", "mask": "mask"}
    assert content["test"][0]["label"].startswith("IXI-T2/IXI00")


def test_an_existing_datalist_is_replaced_only_on_request(root: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(make(root)) == 0
    before = (root / "datalist.json").read_bytes()
    assert main(make(root, "--seed", "1")) == 2
    assert "datalist.json (from --out) exists: add --overwrite" in capsys.readouterr().err
    assert (root / "datalist.json").read_bytes() == before
    assert main(make(root, "--seed", "1", "--overwrite")) == 0
    assert json.loads((root / "datalist.json").read_text())["seed"] == 1


def test_a_seed_is_not_negative(root: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(make(root, "--seed", "-1")) == 2
    expected = "error: --seed -1 is negative: pass 0 or a positive number\n"
    assert capsys.readouterr().err == expected
    assert not (root / "datalist.json").exists()


def test_errors_end_the_check_with_2_and_warnings_do_not(root: Path, capsys: pytest.CaptureFixture) -> None:
    folder = ["check", "--dataset_dir", str(root), "--layout", "folders"]
    assert main([*folder, "--source_range", "0", "100"]) == 0
    assert capsys.readouterr().out.endswith("8 cases checked: 0 errors, 8 warnings\n")
    (root / "s1_v2" / "ct.nii.gz").write_bytes(b"<html>")
    assert main(folder) == 2
    printed = capsys.readouterr().out
    assert "error: s1_v2 (ct.nii.gz): a web page (HTML or XML), not a volume; download it again" in printed
    assert printed.endswith("8 cases checked: 1 errors, 0 warnings\n")


def test_the_windows_and_names_of_a_bundle(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    configs = tmp_path / "bundle" / "configs"
    configs.mkdir(parents=True)
    (configs / "train.yaml").write_text(
        "window: [0, 100]\ndata: {source: mr, target: ct, source_range: '@window', target_range: [-600, 1400]}\n"
    )
    for path in root.glob("*/ct.nii.gz"):
        values = np.abs(nib.load(path).get_fdata()) / 4
        nib.save(nib.Nifti1Image(values.astype(np.uint8), np.eye(4)), path)
    folder = ["check", str(configs.parent), "--dataset_dir", str(root), "--layout", "folders"]
    assert main(folder) == 2
    printed = capsys.readouterr().out
    assert (
        "warning: 8 cases, s0_v1, s0_v2, s1_v1, s1_v2, s2_v1, s2_v2 and 2 more (mr.nii.gz): values differ in" in printed
    )
    assert "error: 8 cases, " in printed
    assert "values do not reach below -200 and above 200 HU, as those of a CT (" in printed
    assert "or give the window of its own unit (--target_window)\n8 cases checked: 8 errors, 8 warnings\n" in printed
    assert main([*folder, "--source_range", "-1000", "1000", "--target_range", "0", "255"]) == 0
    windows = [*folder, "--source_window", "-1000", "1000", "--target_window", "0", "200"]
    capsys.readouterr()
    assert main(windows) == 0
    assert capsys.readouterr().out.count("--target_window [0, 200] cuts over 1% of the foreground") == 1
    with (configs / "train.yaml").open("a") as file:
        file.write("data::target_unclipped: true\n")
    assert main(windows) == 0
    assert "--target_window" not in capsys.readouterr().out
    assert main(["check", str(root), *folder[2:]]) == 2
    assert "error: no bundle " in capsys.readouterr().err


def test_what_a_training_of_a_bundle_refuses_is_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_mr2ct(tmp_path / "data", cases=2, spacing=8.0, seed=0)
    command = ["check", "mr2ct", "--dataset_dir", str(tmp_path / "data")]
    assert main([*command, "--source", "mr,mask"]) == 2
    fault = "(image): the image has 2 files for 1 channel; give one file per channel, or train a network of so many"
    assert fault in capsys.readouterr().out
    pools = {f"training_{pool}": [{"image": f"data/phantom_00{n}/{name}.nii.gz", "case": f"{name}_{n}"}]
             for pool, n, name in (("A", 0, "mr"), ("B", 1, "ct"))}  # fmt: skip
    (tmp_path / "unpaired.json").write_text(json.dumps(pools))
    command = ["check", "mr2ct", "--datalist", str(tmp_path / "unpaired.json")]
    assert main(command) == 2
    fault = "error: mr_0: there is no mask, and no target to make one of; add its file of the mask\n"
    printed = capsys.readouterr().out
    assert fault in printed
    assert "2 cases checked: 1 errors, " in printed
    pools["training_A"][0]["mask"] = "data/phantom_000/mask.nii.gz"
    (tmp_path / "unpaired.json").write_text(json.dumps(pools))
    assert main(command) == 0


def test_a_mistake_is_the_last_line_on_stderr(root: Path) -> None:
    (root / "s1_v2" / "ct.nii.gz").unlink()
    done = in_process.synthesize(*make(root))
    assert done.returncode == 2
    last = done.stderr.splitlines()[-1]
    assert last.startswith("error: 1 file is missing in data (s1_v2/ct.nii.gz): complete")
    assert "Traceback" not in done.stderr
    assert not (root / "datalist.json").exists()


def test_which_series_is_checked_and_how(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    grid = Grid(shape=(9, 9, 9), step=(0.0, 0.5, 2.5))
    for uid in ("1.2.3", "1.2.4"):
        write_series(tmp_path / "all" / "a" / "mr", grid, series=uid, prefix=uid[-1])
    arguments = ["check", "--dataset_dir", str(tmp_path / "all"), "--layout", "folders", "--target", ""]
    assert main(arguments) == 2
    assert "(2 series: 1.2.3 [CT, 9 slices], 1.2.4 [CT, 9 slices]); choose one by --series" in capsys.readouterr().out
    assert main([*arguments, "--series", "1.2.4", "9.9"]) == 2
    assert "(tilt of 0.5 mm a slice" in capsys.readouterr().out
    assert main([*arguments, "--series", "1.2.4", "--resample_tilt"]) == 0
    assert "1 cases checked: 0 errors, 2 warnings" in capsys.readouterr().out


def test_neither_datalist_nor_folder(capsys: pytest.CaptureFixture) -> None:
    assert main(["check"]) == 2
    assert capsys.readouterr().err == "error: no data are named: pass --dataset_dir DATA\n"
