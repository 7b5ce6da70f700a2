"""Datalists: the schema, patients in one list only, splits, and paths that move with the file."""

from __future__ import annotations

import json
import logging
import random
from pathlib import Path

import pytest
from empty_files import make

from common.data.datalist import Item, check_leaks, load_datalist, split_by_patient, with_fold, write_datalist
from common.errors import ConfigError, DataError


def case(folder: Path, name: str, **more: object) -> Item:
    """A case whose files exist (empty: a datalist is not concerned with their content)."""
    make(folder, f"{name}/mr.nii.gz", f"{name}/ct.nii.gz")
    return {"case": name, "image": f"{name}/mr.nii.gz", "label": f"{name}/ct.nii.gz", **more}


def written(folder: Path, content: object) -> Path:
    """A datalist of this content; none of None."""
    path = folder / "datalist.json"
    if content is not None:
        path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def patients(count: int, cases: int = 1) -> list[Item]:
    return [{"case": f"p{p:02d}_{c}", "patient": f"p{p:02d}", "image": "x"} for p in range(count) for c in range(cases)]


def test_paths_become_absolute_and_the_patient_is_always_set(tmp_path: Path) -> None:
    absolute = str(tmp_path / "b" / "mr.nii.gz")
    first, second = case(tmp_path, "a", patient="P1"), case(tmp_path, "b") | {"image": [absolute, "a/mr.nii.gz"]}
    first |= {"mask": "a/ct.nii.gz", "vessel": "a/ct.nii.gz"}
    lists = load_datalist(written(tmp_path, {"seed": 3, "training": [first], "test": [second]}))
    assert list(lists) == ["training", "test"]
    assert lists["training"][0]["image"] == str(tmp_path / "a" / "mr.nii.gz")
    assert lists["training"][0]["mask"] == lists["training"][0]["vessel"] == str(tmp_path / "a" / "ct.nii.gz")
    assert lists["training"][0]["patient"] == "P1"
    assert lists["test"][0]["image"] == [absolute, str(tmp_path / "a" / "mr.nii.gz")]
    assert lists["test"][0]["patient"] == "b"


def test_a_byte_order_mark_is_no_fault(tmp_path: Path) -> None:
    path = tmp_path / "datalist.json"
    path.write_text(json.dumps({"training": [case(tmp_path, "a")]}), encoding="utf-8-sig")  # as by PowerShell
    assert [item["case"] for item in load_datalist(path)["training"]] == ["a"]


def test_a_datalist_of_the_medical_segmentation_decathlon(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    make(tmp_path, "imagesTr/BRATS_1.nii.gz", "labelsTr/BRATS_1.nii.gz", "imagesTs/BRATS_2.nii.gz")
    pair = {"image": "./imagesTr/BRATS_1.nii.gz", "label": "./labelsTr/BRATS_1.nii.gz"}
    about = {"name": "BRATS", "modality": {"0": "FLAIR"}, "labels": {"0": "background"}, "numTraining": 1}
    path = written(tmp_path, {**about, "seed": 0, "training": [pair], "test": ["./imagesTs/BRATS_2.nii.gz"]})
    with caplog.at_level(logging.INFO):
        lists = load_datalist(path)
    place = {name: str(tmp_path / name / "BRATS_1.nii.gz") for name in ("imagesTr", "labelsTr")}
    assert lists["training"] == [
        {"patient": "BRATS_1", "case": "BRATS_1", "image": place["imagesTr"], "label": place["labelsTr"]}
    ]
    test = str(tmp_path / "imagesTs" / "BRATS_2.nii.gz")
    assert lists["test"] == [{"patient": "BRATS_2", "case": "BRATS_2", "image": test}]
    assert caplog.messages == ["data: metadata of datalist.json are not used: name, modality, labels, numTraining"]


@pytest.mark.parametrize(
    ("images", "names"),
    [
        (["a/one.NII.gz", "a/two.mha", "three"], ["one", "two", "three"]),
        (["sub-2/mr.nii.gz", "sub-1/mr.nii.gz"], ["sub-2", "sub-1"]),
        (["sub-1/mr.nii.gz", "sub-2/mr.nii.gz"], ["sub-1", "sub-2"]),
        (["Tr/1.nii", "Tr/2.nii", "Ts/1.nii"], ["Tr_1", "Tr_2", "Ts_1"]),
        (["1.nii", "a/1.mha"], ["1", "a_1"]),
        ([["x/t1.nii", "x/t2.nii"], ["y/t1.nii", "y/t2.nii"]], ["x", "y"]),
    ],
)
def test_cases_without_a_name_are_named_by_their_paths(tmp_path: Path, images: list, names: list[str]) -> None:
    path = written(tmp_path, {"training": [{"image": each} for each in images]})
    assert [item["case"] for item in load_datalist(path, must_exist=False)["training"]] == names


def without(item: Item, key: str) -> Item:
    return {k: v for k, v in item.items() if k != key}


FAULTS = {
    "missing": (lambda p: None, r"cannot read the datalist .*datalist.json \(.*No such file"),
    "not JSON": (lambda p: "{training: }", r"cannot read the datalist .* \(Expecting property name"),
    "not an object": (lambda p: [], "is a list, not a JSON object: wrap it"),
    "no cases": (lambda p: {"training": []}, "has no cases: fill training, validation, test"),
    "misspelt list": (lambda p: {"trainning": [case(p, "a")]}, "list of cases 'trainning': did you mean 'training'?"),
    "list given twice": (
        lambda p: '{"training": [], "test": [], "training": []}',
        r"cannot read the datalist .* \(training more than once in one object",
    ),
    "list of the wrong type": (lambda p: {"training": {"a": 1}}, "training is a dict, not a list of cases: write"),
    "nested too deeply": (lambda p: "[" * 100_000 + "]" * 100_000, r"cannot read the datalist .* \(nested too deeply"),
    "case of the wrong type": (lambda p: {"training": ["a.nii"]}, r"training\[0\] is 'a.nii', not a JSON object"),
    "misspelt key": (lambda p: {"training": [case(p, "a", lable="x")]}, r"\[0\]: .*key 'lable': did you mean 'label'"),
    "strange key": (lambda p: {"training": [case(p, "a", zzz="x")]}, "unknown key 'zzz': choose case, patient"),
    "images of one file and folder name": (
        lambda p: {"training": [{"image": "a/mr/1.nii"}, {"image": "b/mr/1.nii.gz"}, {"image": "b/2/1.nii"}]},
        "give a/mr/1.nii and b/mr/1.nii.gz the same name 'mr_1': give these cases a 'case'",
    ),
    "neither case nor a path": (lambda p: {"training": [{"image": 7}]}, r"training\[0\]: 'image' is 7: write a path"),
    "no image": (lambda p: {"test": [without(case(p, "a"), "image")]}, r"test\[0\] has no 'image'.*add"),
    "case of the wrong kind": (lambda p: {"training": [case(p, "a") | {"case": 7}]}, "'case' is 7: write a text"),
    "case outside": (
        lambda p: {"test": [case(p, "a") | {"case": "../a"}]},
        r"test\[0\]: case '../a' cannot name a file: give a name without /",
    ),
    "missing file": (
        lambda p: {"training": [case(p, "a"), case(p, "b") | {"label": "b/pet.nii.gz"}]},
        r"training\[1\], case 'b': no file at b/pet.nii.gz \(from 'label'\): .*start at",
    ),
    "list of labels": (lambda p: {"training": [case(p, "a") | {"label": ["a/ct.nii.gz"]}]}, r"'label' is \['a/ct"),
    "case in two lists": (
        lambda p: {"training": [case(p, "a", patient="1")], "test": [case(p, "a", patient="2")]},
        "case 'a' is in training and again in test: remove or rename",
    ),
    "control character": (
        lambda p: {"training": [case(p, "a", patient="P\n1")]},
        r"datalist.json: patient id 'P\\n1' has a control character",
    ),
    "leak into validation": (
        lambda p: {"training": [case(p, "a", patient="P1")], "validation": [case(p, "b", patient="P1")]},
        r"patient 'P1' is in training and validation \(leak\): split by patient",
    ),
    "leak from a pool into test": (
        lambda p: {"training_B": [case(p, "a", patient="P1")], "test": [case(p, "b", patient="P1")]},
        "patient 'P1' is in training_B and test",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_faults_of_a_datalist(name: str, tmp_path: Path) -> None:
    build, message = FAULTS[name]
    with pytest.raises(DataError, match=message):
        load_datalist(written(tmp_path, build(tmp_path)))


def test_unpaired_pools_may_share_patients_and_cases(tmp_path: Path) -> None:
    item = without(case(tmp_path, "a"), "label")
    lists = load_datalist(written(tmp_path, {"training_A": [item], "training_B": [item]}))
    assert [items[0]["case"] for items in lists.values()] == ["a", "a"]
    with pytest.raises(DataError, match="case 'a' is in training_B and again in training_B"):
        load_datalist(written(tmp_path, {"training_B": [item, item]}))


@pytest.mark.parametrize(
    ("count", "fractions", "expected"),
    [
        (1, (0.7, 0.15, 0.15), [1, 0, 0]),
        (3, (0.7, 0.15, 0.15), [1, 1, 1]),
        (4, (0.98, 0.01, 0.01), [2, 1, 1]),
        (10, (0.7, 0.15, 0.15), [7, 2, 1]),
        (10, (0.8, 0.2, 0.0), [8, 2, 0]),
        (5, (0.0, 0.0, 1.0), [0, 0, 5]),
        (0, (0.7, 0.15, 0.15), [0, 0, 0]),
    ],
)
def test_numbers_of_patients(count: int, fractions: tuple[float, ...], expected: list[int]) -> None:
    lists = split_by_patient(patients(count), fractions)
    assert list(lists) == ["training", "validation", "test"]
    assert [len(items) for items in lists.values()] == expected


def test_a_split_keeps_patients_together_and_depends_on_the_seed_and_not_on_the_order() -> None:
    items = patients(9, cases=3)
    lists = split_by_patient(items, seed=5)
    check_leaks(lists)
    assert sorted(i["case"] for key in lists for i in lists[key]) == sorted(i["case"] for i in items)
    assert all(len(part) % 3 == 0 for part in lists.values())
    for trial in range(5):
        assert split_by_patient(random.Random(trial).sample(items, len(items)), seed=5) == lists
    assert split_by_patient(items, seed=2) != lists
    more = split_by_patient([*items, {"case": "p03_new", "patient": "p03", "image": "x"}], seed=5)
    one, other = ({item["patient"]: key for key in each for item in each[key]} for each in (lists, more))
    assert one == other, "a new case of a known patient moves nobody"


def test_ids_that_differ_by_case_or_space_are_one_patient(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    items = [{"case": str(n), "patient": name, "image": "x"} for n, name in enumerate(["P1", "P1 ", "p1", "P2", "P3"])]
    parts = split_by_patient(items, fractions=(0.4, 0.3, 0.3))
    assert sorted(len(part) for part in parts.values()) == [1, 1, 3]
    assert "'P1', 'P1 ', 'p1' are read as one patient" in caplog.text
    one, other = case(tmp_path, "a", patient="Zoë"), case(tmp_path, "b", patient="zoe\u0308")
    with pytest.raises(DataError, match=r"\(leak\): split by patient"):
        load_datalist(written(tmp_path, {"training": [one], "test": [other]}))
    alike = load_datalist(written(tmp_path, {"training": [one, other]}))["training"]
    assert alike[0]["patient"] == alike[1]["patient"]


@pytest.mark.parametrize(
    "fractions", [(0.7, 0.3), (0.7, 0.2, 0.2), (1.2, -0.1, -0.1), (float("nan"), 0.5, 0.5), (1, 0, float("nan"))]
)
def test_fractions_must_be_three_with_sum_1(fractions: tuple[float, ...]) -> None:
    with pytest.raises(ConfigError, match="--fractions is .*: pass three numbers from 0 to 1 with sum 1"):
        split_by_patient(patients(3), fractions)


def test_counts_of_patients_and_the_rest_left_out(caplog: pytest.LogCaptureFixture) -> None:
    items = patients(10, cases=2)
    with caplog.at_level(logging.WARNING):
        lists = split_by_patient(items, seed=3, counts=(4, 1, 3))
    assert [len(part) for part in lists.values()] == [8, 2, 6]
    assert [len({item["patient"] for item in part}) for part in lists.values()] == [4, 1, 3]
    check_leaks(lists)
    assert "2 of 10 patients are not used with counts [4, 1, 3]" in caplog.text
    assert split_by_patient(items[::-1], seed=3, counts=(4, 1, 3)) == lists
    expected = r"10 patients are fewer than 4 \+ 1 \+ 6 = 11 for training, validation and test: lower"
    with pytest.raises(DataError, match=expected):
        split_by_patient(items, counts=(4, 1, 6))
    assert [len(part) for part in split_by_patient(items, counts=(10, 0, 0)).values()] == [20, 0, 0]


@pytest.mark.parametrize("counts", [(60, 29), (60, -3, 26), (0, 0, 0), (0.7, 0.15, 0.15)])
def test_counts_that_cannot_be(counts: tuple) -> None:
    with pytest.raises(ConfigError, match="--counts is .*: pass the patients .* whole numbers and not all 0"):
        split_by_patient(patients(100), counts=counts)


def test_a_written_datalist_moves_with_its_folder(tmp_path: Path) -> None:
    here = tmp_path / "here"
    outside = make(tmp_path, "outside/mask.nii.gz") / "outside" / "mask.nii.gz"
    item = case(here, "a", patient="P1") | {"mask": str(outside)}
    item |= {"image": [str(here / "a/mr.nii.gz"), str(here / "a/ct.nii.gz")], "label": str(here / "a/ct.nii.gz")}
    write_datalist({"training": [item]}, here / "datalist.json", seed=4, layout="folders")
    content = json.loads((here / "datalist.json").read_text())
    assert (content["seed"], content["layout"]) == (4, "folders")
    assert content["training"][0]["image"] == ["a/mr.nii.gz", "a/ct.nii.gz"]
    assert content["training"][0]["mask"] == str(outside)
    assert load_datalist(here / "datalist.json") == {"training": [item]}
    there = here.rename(tmp_path / "there")
    assert load_datalist(there / "datalist.json")["training"][0]["label"] == str(there / "a" / "ct.nii.gz")


def test_every_patient_is_validated_once_and_the_test_stays() -> None:
    lists = split_by_patient(patients(20, 2))
    folds = [with_fold(lists, fold) for fold in range(5)]
    assert all(fold["test"] == lists["test"] for fold in folds)
    validated = [item["case"] for fold in folds for item in fold["validation"]]
    assert sorted(validated) == sorted(item["case"] for key in ("training", "validation") for item in lists[key])
    for fold in folds:
        check_leaks(fold)
        assert len(fold["training"]) + len(fold["validation"]) == 34
        assert {len(fold["validation"])} <= {6, 8}, "17 patients in five folds"
    turned = {key: items[::-1] for key, items in lists.items()}
    assert with_fold(turned, 2)["validation"] == folds[2]["validation"]
    assert with_fold(lists, 2, seed=1) != folds[2]


def test_folds_that_there_are_not() -> None:
    for fold in (-1, 5, 1.0, True):
        with pytest.raises(ConfigError, match="--fold .* is none of 5 folds: give a whole number from 0 to 4"):
            with_fold(split_by_patient(patients(12, 2)), fold)
    with pytest.raises(DataError, match="training and validation have . patients for 5 folds"):
        with_fold(split_by_patient(patients(4, 2)), 0)
