import json
import re

import nibabel as nib
import numpy as np
import pytest
from lesion_dcgan_aug.data.selection import check_patches, find_patches, lesion_cases, split_lesions

from common.data.split_record import write_split
from common.errors import DataError

CLASSES = ["cyst", "met"]


def patch(seed, shape=(64, 64, 1)):
    return np.random.default_rng(seed).normal(50, 30, shape).astype(np.float32)


def save(path, values):
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(values, np.eye(4)), path)


@pytest.fixture
def root(tmp_path):
    """Ten patches of each class, two of each patient."""
    for k, name in enumerate(CLASSES):
        for number in range(10):
            save(tmp_path / "data" / name / f"p{number}.nii.gz", patch(100 * k + number))
    return tmp_path / "data"


@pytest.fixture
def patients(root):
    rows = [f"{name}_p{number},{name}{number // 2}" for name in CLASSES for number in range(10)]
    (root / "patients.csv").write_text("case,patient\n" + "\n".join(rows) + "\n")
    return root


def cases(root, tmp_path, **settings):
    own = {"demo_data": str(tmp_path / "demo"), "phantoms": None, "run_dir": str(tmp_path / "run"), "classes": CLASSES}
    return lesion_cases(str(root), **{**own, **settings})


def listed(root, tmp_path, **changes):
    """A datalist of all patches, item 3 of the training changed."""
    items = find_patches(root, CLASSES, True)
    lists = {"training": items[:6] + items[10:16], "validation": items[6:8] + items[16:18], "test": []}
    item = {**lists["training"][3], **changes}
    lists["training"][3] = {key: value for key, value in item.items() if value is not None}
    (tmp_path / "mine.json").write_text(json.dumps(lists))
    return {"datalist": str(tmp_path / "mine.json")}


def test_a_folder_a_class_with_patients(patients, tmp_path):
    lists = cases(patients, tmp_path)
    owners = {key: {item["patient"] for item in items} for key, items in lists.items()}
    assert {key: len(own) for key, own in owners.items()} == {"training": 6, "validation": 2, "test": 2}
    assert len(set.union(*owners.values())) == 10
    for items in lists.values():
        assert {item["class"] for item in items} == set(CLASSES)
        assert len(items) == 2 * len({item["patient"] for item in items})


def test_every_file_of_a_patch_counts_once_and_hidden_ones_do_not(root, tmp_path):
    (root / "cyst" / "p1.nii.gz").rename(root / "cyst" / "p1.NII.GZ")
    (root / "cyst" / "._p2.nii.gz").write_bytes(b"of macOS")
    lists = cases(root, tmp_path, one_patient_per_file=True)
    found = sorted(item["case"] for items in lists.values() for item in items)
    assert found == sorted(f"{name}_p{number}" for name in CLASSES for number in range(10))
    save(root / "cyst" / "p3.nii", patch(555))
    with pytest.raises(DataError, match=r"has several patches named cyst_p3: rename or remove all but one"):
        cases(root, tmp_path, one_patient_per_file=True)


def test_the_split_is_recorded_and_kept(patients, tmp_path, caplog):
    first = cases(patients, tmp_path)
    assert not (tmp_path / "run").exists()
    write_split(first, tmp_path / "run")
    save(patients / "cyst" / "late.nii.gz", patch(999))
    (patients / "patients.csv").open("a").write("cyst_late,someone\n")
    for task in ("keep_split", "held_out"):
        caplog.clear()
        assert {key: items for key, items in cases(patients, tmp_path, **{task: True}).items() if items} == first
        assert f"data: 1 cases are not in the split of {tmp_path / 'run'} and are not used" in caplog.text
    assert sum(map(len, cases(patients, tmp_path).values())) == 21


def test_a_copied_folder_is_evaluated_on_the_test_patches_of_the_run(patients, tmp_path):
    first = cases(patients, tmp_path, seed=3)
    write_split(first, tmp_path / "run")
    for path in sorted(patients.glob("*/*.nii.gz")):
        copy = tmp_path / "copy" / path.parent.name / f"renamed_{path.name.removesuffix('.gz')}"
        copy.parent.mkdir(parents=True, exist_ok=True)
        nib.save(nib.load(path), copy)
    found = cases(tmp_path / "copy", tmp_path, held_out=True, one_patient_per_file=True)
    assert [item["case"] for item in found["test"]] == [item["case"] for item in first["test"]]
    assert {item["image"].split("/")[-3] for item in found["test"]} == {"copy"}
    listed = tmp_path / "mine.json"
    listed.write_text(json.dumps({"test": first["training"][:2] + first["test"]}))
    with pytest.raises(DataError, match=r"was trained on 2 of 6 test cases \("):
        cases(patients, tmp_path, held_out=True, datalist=str(listed))


def test_missing_patients_are_refused_unless_each_file_is_declared_one(root, tmp_path):
    fault = "no patients.csv in .*, so that a patient could be on both sides of a split"
    with pytest.raises(DataError, match=f"{fault}: add .*or pass --one_patient_per_file true"):
        cases(root, tmp_path)
    lists = cases(root, tmp_path, one_patient_per_file=True)
    assert sum(len({item["patient"] for item in items}) for items in lists.values()) == 20


def test_a_datalist_without_patients_is_refused_too(root, tmp_path):
    with pytest.raises(DataError, match=r"mine.json: 1 patches have no patient, first cyst_p3, so that "):
        cases(root, tmp_path, **listed(root, tmp_path, patient=None))
    lists = cases(root, tmp_path, one_patient_per_file=True, **listed(root, tmp_path, patient=None))
    assert lists["training"][3]["patient"] == "cyst_p3"


def test_an_unknown_class_is_named(root, tmp_path):
    with pytest.raises(
        DataError, match="cyst_p3 has class 'abscess', which --classes does not list: choose cyst or met"
    ):
        cases(root, tmp_path, **listed(root, tmp_path, **{"class": "abscess"}))


def test_a_class_without_patches_is_named(patients, tmp_path):
    with pytest.raises(DataError, match=r"class abscess has fewer than two patches in a section \(training 0"):
        cases(patients, tmp_path, classes=[*CLASSES, "abscess"])


def test_patches_of_mixed_size_or_depth_and_constant_ones_are_all_named(patients, tmp_path):
    save(patients / "cyst" / "p1.nii.gz", patch(1, (64, 48, 1)))
    save(patients / "cyst" / "p2.nii.gz", patch(1, (64, 64, 3)))
    save(patients / "met" / "p3.nii.gz", np.full((64, 64, 1), 7.0, np.float32))
    with pytest.raises(DataError) as caught:
        cases(patients, tmp_path)
    said = str(caught.value)
    assert "3 errors in 3 cases" in said
    assert re.search(r"cyst_p1 \(p1.nii.gz\): not 64 x 64 x 1 voxels\W.*64 x 48 x 1\b", said)
    assert re.search(r"cyst_p2 \(p2.nii.gz\): not 64 x 64 x 1 voxels\W.*64 x 64 x 3\b", said)
    assert re.search(r"met_p3 \(p3.nii.gz\): the patch is constant\W.*7 everywhere.*; exclude it", said)


def test_copies_across_patients_are_errors_and_within_one_warnings(patients, tmp_path, caplog):
    save(patients / "met" / "p9.nii.gz", patch(0))  # cyst_p0 of patient cyst0
    save(patients / "cyst" / "p3.nii.gz", patch(2))  # cyst_p2, of the same patient cyst1
    [found] = check_patches(find_patches(patients, CLASSES))
    assert (found.case, found.severity) == ("met_p9", "error")
    assert re.search("the same patch of two patients.*that of cyst_p0 of patient cyst0.*; remove", str(found))
    save(patients / "met" / "p9.nii.gz", patch(109))
    cases(patients, tmp_path)
    assert caplog.text.count("cyst_p3 (p3.nii.gz): the same image twice (voxels of cyst_p2, p2.nii.gz, in ") == 1


def test_patients_with_equal_classes_are_split_among_themselves():
    items = [{"case": f"{name}{n}", "patient": f"{name}{n}", "class": name} for name in CLASSES for n in range(4)]
    for seed in range(10):
        lists = split_lesions(items, (0.5, 0.25, 0.25), seed)
        for key, count in {"training": 2, "validation": 1, "test": 1}.items():
            assert [sum(item["class"] == name for item in lists[key]) for name in CLASSES] == [count, count]
