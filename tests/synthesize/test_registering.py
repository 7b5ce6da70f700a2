"""``synthesize register``: what is written can be checked and trained on; what is unfit ends in one line."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from dicom_phantom import Grid, write_series
from moved_heads import AFFINE, SHAPE, errors_mm, moving, volume
from scipy.ndimage import binary_fill_holes

from common.data.datalist import load_datalist
from medical_image_synthesis.command import main as synthesize

itk = pytest.importorskip("SimpleITK")
MOVE = moving((4, -3, 6), (5, -4, 3))


def run(*words: object) -> int:
    return synthesize(["register", *map(str, words)])


def save(folder: Path, affine: np.ndarray = AFFINE, **volumes: np.ndarray) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, values in volumes.items():
        nib.save(nib.Nifti1Image(values, affine), folder / f"{name}.nii.gz")


@pytest.fixture(scope="module")
def heads() -> dict[str, np.ndarray]:
    return {"mr": volume("mr"), "ct": volume("ct", MOVE)}


@pytest.fixture(scope="module")
def registered(heads, tmp_path_factory) -> Path:
    """Three cases: one that fits, with a mask; one with a CT in the scanner's units; one with a slice."""
    root = tmp_path_factory.mktemp("registered")
    save(root / "data" / "s1_a", **heads, mask=(heads["mr"] > 0).astype(np.uint8))
    save(root / "data" / "s2_a", mr=heads["mr"], ct=heads["ct"] + 1024)
    save(root / "data" / "s3_a", mr=heads["mr"], ct=heads["ct"][..., :1])
    words = ("--dataset_dir", root / "data", "--out", root / "out", "--patient_separator", "_")
    assert run("mr2ct", *words) == 1
    return root / "out"


def test_what_is_written(registered, heads):
    folder = registered / "s1_a"
    names = ["ct.nii.gz", "mask.nii.gz", "mr.nii.gz", "registration.json", "transform.h5"]
    assert sorted(path.name for path in folder.iterdir()) == names
    images = {name: nib.load(folder / f"{name}.nii.gz") for name in ("mr", "ct", "mask")}
    for image in images.values():
        np.testing.assert_array_equal(image.affine, AFFINE)
    np.testing.assert_array_equal(images["mr"].get_fdata(), heads["mr"])
    wanted, inside = volume("ct"), volume("mr") > 0
    before = np.abs(heads["ct"] - wanted)[inside].mean()
    assert np.abs(images["ct"].get_fdata() - wanted)[inside].mean() < 0.4 * before
    assert images["ct"].get_fdata().min() == -1000
    assert errors_mm(itk.ReadTransform(folder / "transform.h5"), MOVE).mean() < 0.5
    record = json.loads((folder / "registration.json").read_text())
    assert (record["result"], record["fault"]) == ("registered", "")
    before, after = record["quality"]["information"]
    assert after > before + 0.1
    assert (registered / "patients.csv").read_text() == "case,patient\ns1_a,s1\n"


def test_a_bad_case_stops_no_other(registered):
    assert sorted(path.name for path in registered.iterdir() if path.is_dir()) == ["s1_a"]
    cases = json.loads((registered / "registration.json").read_text())["cases"]
    assert [case["result"] for case in cases] == ["registered", "left out", "left out"]
    assert cases[1]["fault"].startswith("s2_a (ct.nii.gz): values do not reach below -200 and above 200 HU")
    assert cases[2]["fault"].startswith("s3_a (ct.nii.gz): fewer than 8 voxels along an axis (33 x 36 x 1)")


def test_the_page(registered):
    page = (registered / "registration.html").read_text()
    assert page.count("<figure>") == page.count("data:image/png;base64,") == 1
    assert "not for clinical use" in page
    assert "left out: s2_a (ct.nii.gz): values do not reach" in page


def test_other_commands_take_the_folder(registered, capsys):
    assert synthesize(["check", "mr2ct", "--dataset_dir", str(registered)]) == 0
    assert "1 cases checked: 0 errors" in capsys.readouterr().out
    assert run("mr2ct", "--dataset_dir", registered.parent / "data", "--out", registered) == 2
    assert "out (from --out) is not empty: pass --overwrite" in capsys.readouterr().err


def test_a_datalist_keeps_its_sections_and_a_case_that_fails_the_gate_is_named(heads, tmp_path, capsys, caplog):
    save(tmp_path / "a", **heads)
    item = {"image": "a/mr.nii.gz", "label": "a/ct.nii.gz"}
    content = {"training": [{"case": "one", **item}], "test": [{"case": "two", **item}]}
    (tmp_path / "list.json").write_text(json.dumps(content))
    words = ("--datalist", tmp_path / "list.json", "--out", tmp_path / "out", "--least_dice", 0.999)
    assert run("mr2ct", *words) == 1
    assert "2 of 2 cases failed: one, two (the Dice of the bodies is 0.9" in capsys.readouterr().err
    assert not (tmp_path / "out" / "one").exists()
    assert run("mr2ct", *words, "--overwrite", "--keep_failed") == 0
    assert "2 of 2 cases failed the quality gate and are kept: one, two" in caplog.text
    lists = load_datalist(tmp_path / "out" / "datalist.json")
    assert {key: [item["case"] for item in items] for key, items in lists.items()} == {
        "training": ["one"], "test": ["two"],
    }  # fmt: skip


def test_a_dicom_source_moves_onto_the_target_with_its_mask(heads, tmp_path):
    scanner = Grid(shape=SHAPE, spacing=(6, 6, 6), origin=(-96, -105, -90))
    mr = heads["mr"][:, ::-1]
    write_series(tmp_path / "data" / "a" / "mr", scanner, "MR", slope=1, intercept=0, values=mr)
    save(tmp_path / "data" / "a", scanner.affine, mask=binary_fill_holes(volume("ct") > -500)[:, ::-1].astype(np.uint8))
    save(tmp_path / "data" / "a", ct=heads["ct"][:-3])
    words = ("--dataset_dir", tmp_path / "data", "--out", tmp_path / "out")
    assert run("mr2ct", *words, "--move_source") == 0
    moved, ct, mask = (nib.load(tmp_path / "out" / "a" / f"{name}.nii.gz").get_fdata() for name in ("mr", "ct", "mask"))
    np.testing.assert_array_equal(ct, heads["ct"][:-3])
    head = binary_fill_holes(ct > -500)
    assert 2 * (head & (mask > 0)).sum() / (head.sum() + (mask > 0).sum()) > 0.95
    assert np.corrcoef(moved[head], volume("mr", MOVE)[:-3][head])[0, 1] > 0.9


UNFIT = {
    "no overlap": "source and target do not overlap; correct the affine, or start from the centres",
    "not finite": "voxels are not finite (1 NaN or Inf",
    "constant": "the volume is constant (7 everywhere)",
    "mask elsewhere": "the mask is on neither the source's nor the target's grid",
    "empty mask": "the mask is empty; draw it again",
    "centimetres": "the target covers 1% of the source's body, less than 50%; sharpness",
}


@pytest.mark.parametrize("kind", UNFIT)
def test_bad_input_is_one_line(kind, heads, tmp_path, capsys):
    ct, mr = heads["ct"].copy(), heads["mr"]
    if kind == "not finite":
        ct[3, 3, 3] = np.nan
    save(tmp_path / "data" / "a", mr=np.full_like(mr, 7) if kind == "constant" else mr)
    unit = np.diag([0.1, 0.1, 0.1, 1]) if kind == "centimetres" else np.eye(4)
    save(tmp_path / "data" / "a", AFFINE @ unit + 1000 * np.eye(4, k=3) * (kind == "no overlap"), ct=ct)
    if "mask" in kind:
        shift = 9 * np.eye(4, k=3) * (kind == "mask elsewhere")
        save(tmp_path / "data" / "a", AFFINE + shift, mask=np.full(mr.shape, kind == "mask elsewhere", np.uint8))
    assert run("mr2ct", "--dataset_dir", tmp_path / "data", "--out", tmp_path / "out") == 1
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert UNFIT[kind] in line


def test_only_source_and_target_are_ct(capsys):
    assert run("--dataset_dir", "D", "--out", "O", "--ct", "pet") == 2
    assert "--ct names pet, neither source nor target: choose mr or ct" in capsys.readouterr().err


def test_a_missing_mask_and_another_patients_series_are_refused(heads, tmp_path, capsys):
    save(tmp_path / "data" / "a", **heads, head=(heads["mr"] > 0).astype(np.uint8))
    save(tmp_path / "data" / "b", **heads)
    words = ("--dataset_dir", tmp_path / "data", "--out", tmp_path / "out")
    assert run("mr2ct", *words, "--mask", "head") == 2
    assert "1 file is missing in data (b/head.nii.gz)" in capsys.readouterr().err
    for name, patient in (("mr", "P1"), ("ct", "P2")):
        write_series(
            tmp_path / "series" / "a" / name, Grid(shape=(16, 15, 12)), name.upper(),
            change=lambda header, _, patient=patient: setattr(header, "PatientID", patient),
        )  # fmt: skip
    assert run("--dataset_dir", tmp_path / "series", "--out", tmp_path / "out") == 1
    said = capsys.readouterr().err
    assert "source and target are of different patients by their PatientID" in said
    assert "P1" not in said
