"""Which cases an evaluation or a resume takes, wherever the data are and whatever their files are called."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from common.data import identity
from common.data.selection import training_cases
from common.data.split_record import Cases, write_split
from common.errors import DataError

CASES = [f"case_{number}" for number in range(10)]
Call = Callable[..., Cases]


def write(root: Path, names: Sequence[str], first: int = 0, suffix: str = ".nii.gz") -> Path:
    """Pairs of noise; the seed of a case follows from its number."""
    for number, name in enumerate(names, first):
        (root / name).mkdir(parents=True)
        for key, file in enumerate(("mr", "ct")):
            values = np.random.default_rng([number, key]).integers(0, 1000, (4, 4, 4)).astype(np.int16)
            nib.save(nib.Nifti1Image(values, np.eye(4)), root / name / f"{file}{suffix}")
    return root


def forbidden(root: Path) -> None:
    raise AssertionError(f"phantoms were generated in {root}")


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Call:
    """The cases of a command that is started for it; by default no data are given."""
    monkeypatch.setattr(identity, "_known", {})
    own = {"demo_data": str(tmp_path / "demo"), "run_dir": str(tmp_path / "run"), "phantoms": forbidden}

    def cases(dataset_dir: Path | None = None, **given: Any) -> Cases:
        identity._known.clear()
        folder = str(tmp_path / "demo" if dataset_dir is None else dataset_dir)
        return training_cases(folder, **{**own, "data_check": False, **given})

    return cases


@pytest.fixture
def run(tmp_path: Path, call: Call) -> Cases:
    """A run that was trained on ``data``: 7 cases, 2 to validate and 1 to test, but for another order 3."""
    cases = call(write(tmp_path / "data", CASES), seed=11)
    write_split(cases, tmp_path / "run")
    return cases


def names(items: Sequence[dict]) -> list[str]:
    return [item["case"] for item in items]


def sections(cases: Cases) -> dict[str, list[str]]:
    return {section: names(cases[section]) for section in ("training", "validation", "test")}


def listed(tmp_path: Path, **lists: Sequence[dict]) -> str:
    (tmp_path / "mine.json").write_text(json.dumps(lists))
    return str(tmp_path / "mine.json")


def without_identities(tmp_path: Path) -> None:
    """The record as an earlier version wrote it."""
    path = tmp_path / "run" / "datalist.json"
    content = json.loads(path.read_text())
    del content["files"]
    path.write_text(json.dumps(content))


class TestEvaluation:
    def test_without_data_the_split_is_taken_as_it_is_and_read_no_more(self, tmp_path, call, run, caplog, monkeypatch):
        monkeypatch.setattr("common.io.VolumeReader.check", forbidden)
        with caplog.at_level(logging.INFO):
            assert call(held_out=True) == run
        line = f"evaluation: 1 test cases of the split of {tmp_path / 'run'}; none of them was trained on"
        assert line in caplog.text
        assert "PHANTOMS" not in caplog.text

    @pytest.mark.parametrize("how", ["link", "relative", "uncompressed copy", "copy under other names"])
    def test_the_data_by_another_path_are_the_same_data(self, tmp_path, call, run, caplog, monkeypatch, how):
        place = tmp_path / "place"
        if how == "link":
            place.symlink_to(tmp_path / "data")
        elif how == "relative":
            monkeypatch.chdir(tmp_path)
            place = Path("run/../data")
        elif how == "uncompressed copy":
            write(place, CASES, suffix=".nii")
        else:
            write(place, [f"patient {9 - number}" for number in range(10)])
        with caplog.at_level(logging.INFO):
            found = call(place, held_out=True, seed=5)
        assert sections(found) == sections(run)
        used = Path(found["test"][0]["image"])
        assert used.parents[1] == (tmp_path / "data" if how == "relative" else place)
        truth, image = (np.asarray(nib.load(path).dataobj) for path in (run["test"][0]["image"], used))
        assert np.array_equal(truth, image)
        source = f"1 test cases of the split of {tmp_path / 'run'}, by content in {place}; none of them was trained on"
        assert source in caplog.text

    def test_a_folder_after_a_training_by_datalist(self, tmp_path, call):
        """The datalist has the first two cases for training and the others to test."""
        write(tmp_path / "data", CASES)
        items = [{"case": f"my_{name}", "image": f"data/{name}/mr.nii.gz"} for name in CASES]
        parts = {"training": items[:2], "test": items[2:]}
        write_split(call(datalist=listed(tmp_path, **parts)), tmp_path / "run")
        found = call(tmp_path / "data", held_out=True)
        assert sections(found) == {
            "training": ["my_case_0", "my_case_1"], "validation": [], "test": [f"my_{name}" for name in CASES[2:]],
        }  # fmt: skip
        assert "label" in found["test"][0], "what the folder has besides is used"

    def test_cases_that_are_not_in_the_folder_keep_their_place_or_are_excluded(self, tmp_path, call, run, caplog):
        (test,) = names(run["test"])
        part = shutil.copytree(tmp_path / "data" / test, tmp_path / "part" / test).parent
        found = call(part, held_out=True)
        assert sections(found) == sections(run)
        assert Path(found["test"][0]["image"]).parents[1] == part
        assert {Path(item["image"]).parents[1] for item in found["training"]} == {tmp_path / "data"}
        shutil.rmtree(tmp_path / "data")
        assert sections(call(part, held_out=True)) == {"training": [], "validation": [], "test": [test]}
        assert f"training: 7 of 7 cases of {tmp_path / 'run'} are missing and excluded" in caplog.text

    def test_data_of_which_no_case_was_trained_on_are_all_tested_whatever_their_names(
        self, tmp_path, call, run, caplog
    ):
        place = write(tmp_path / "hospital_b", CASES, first=30)
        with caplog.at_level(logging.INFO):
            found = call(place, held_out=True)
        assert sections(found) == {**sections(run), "test": CASES}
        assert f"evaluation: 10 test cases of {place}; none of them was trained on" in caplog.text

    def test_a_folder_with_trained_cases_alone_is_refused(self, tmp_path, call, run):
        for item in run["training"][:4]:
            shutil.copytree(Path(item["image"]).parent, tmp_path / "part" / item["case"])
        shutil.rmtree(tmp_path / "data")
        rule = f"part has no test case of {tmp_path / 'run'}, but 4 cases that it was trained on: "
        with pytest.raises(DataError, match=rule):
            call(tmp_path / "part", held_out=True)

    def test_a_datalist_that_tests_trained_cases_is_refused_with_their_number(self, tmp_path, call, run):
        write(tmp_path / "new", ["x", "y"], first=40)
        test = [*run["training"][:2], *run["validation"][:1]]
        test += [{"case": name, "image": str(tmp_path / "new" / name / "mr.nii.gz")} for name in ("x", "y")]
        test[0] = {"case": "renamed", "image": test[0]["image"]}
        rule = r"was trained on 3 of 5 test cases \(renamed, .*\): give cases"
        with pytest.raises(DataError, match=rule):
            call(datalist=listed(tmp_path, test=test), held_out=True)

    def test_another_datalist_is_taken_as_it_is(self, tmp_path, call, run):
        write(tmp_path / "new", ["x"], first=40)
        test = [{"case": "x", "image": str(tmp_path / "new" / "x" / "mr.nii.gz")}, *run["test"]]
        found = call(datalist=listed(tmp_path, test=test), held_out=True)
        assert sections(found) == {**sections(run), "test": ["x", *names(run["test"])]}

    def test_files_that_are_gone_are_counted_and_the_remedy_is_named(self, tmp_path, call, run):
        (tmp_path / "data").rename(tmp_path / "moved")
        rule = r"^20 files of the split of .* are gone \(.* and 14 more\): pass --dataset_dir with where"
        with pytest.raises(DataError, match=rule):
            call(held_out=True)
        assert sections(call(tmp_path / "moved", held_out=True)) == sections(run)

    def test_a_trained_image_that_was_put_in_the_place_of_a_test_case_is_noticed(self, call, run):
        shutil.copy(run["training"][0]["image"], run["test"][0]["image"])
        with pytest.raises(DataError, match=r"was trained on 1 of 1 test cases \(case_\d\)"):
            call(held_out=True)

    def test_a_variant_that_was_trained_on_a_test_case_is_refused(self, tmp_path, call, run):
        folder = tmp_path / "run" / "variants" / "unpaired"
        write_split(call(tmp_path / "data", seed=11), folder)
        assert call(held_out=True) == run
        (test,) = run["test"]
        write_split(call(datalist=listed(tmp_path, training=[test])), folder)
        rule = f"unpaired was trained on 1 of 1 test cases .{test['case']}.: move this"
        with pytest.raises(DataError, match=rule):
            call(held_out=True)
        with pytest.raises(DataError, match="was trained on 1 of 1 test cases"):
            call(held_out=True, run_dir=str(tmp_path / "run"), datalist=listed(tmp_path, test=[test]))


class TestRunsOfEarlierVersions:
    def test_their_files_are_hashed_where_they_are(self, tmp_path, call, run):
        without_identities(tmp_path)
        assert sections(call(write(tmp_path / "copy", CASES, suffix=".nii"), held_out=True)) == sections(run)
        assert call(held_out=True) == run

    def test_without_the_files_the_run_is_refused(self, tmp_path, call, run):
        without_identities(tmp_path)
        (tmp_path / "data").rename(tmp_path / "moved")
        rule = r", of an earlier version, does not identify 9 missing cases \(.*\): restore their files, or train again"
        for task in ("held_out", "keep_split"):
            with pytest.raises(DataError, match=rule):
                call(tmp_path / "moved", **{task: True})


class TestResume:
    def test_the_same_cases_in_the_same_order(self, tmp_path, call, run):
        assert call(keep_split=True) == run
        assert call(tmp_path / "data", keep_split=True) == run
        copy = write(tmp_path / "copy", CASES, suffix=".nii")
        found = call(copy, keep_split=True)
        assert sections(found) == sections(run)
        assert {Path(item["image"]).parents[1] for item in found["training"]} == {copy}

    @pytest.mark.parametrize("given", [False, True])
    def test_lost_and_changed_cases_are_counted_unless_they_are_of_the_test(self, tmp_path, call, run, given):
        first, second = run["training"][:2]
        shutil.copy(run["test"][0]["label"], tmp_path / "other.nii.gz")
        shutil.rmtree(Path(run["test"][0]["image"]).parent)
        assert sections(call(keep_split=True)) == {**sections(run), "test": []}
        shutil.rmtree(Path(first["image"]).parent)
        shutil.copy(tmp_path / "other.nii.gz", second["label"])
        rule = rf"cannot resume, 2 of 9 training and .* missing or changed \({first['case']}, {second['case']}\): pass"
        with pytest.raises(DataError, match=rule):
            call(tmp_path / "data" if given else None, keep_split=True)

    def test_pools_are_found_in_their_two_folders(self, tmp_path, call):
        write(tmp_path / "a", CASES[:4])
        write(tmp_path / "b", CASES[4:6], first=4)
        run = call(tmp_path / "a", target_dir=str(tmp_path / "b"))
        write_split(run, tmp_path / "run")
        (tmp_path / "a").rename(tmp_path / "sources")
        (tmp_path / "b").rename(tmp_path / "targets")
        found = call(tmp_path / "sources", target_dir=str(tmp_path / "targets"), keep_split=True)
        assert [item["image"] for item in found["training_A"]] == [
            str(tmp_path / "sources" / name / "mr.nii.gz") for name in CASES[:4]
        ]
        assert [item["label"] for item in found["training_B"]] == [
            str(tmp_path / "targets" / name / "ct.nii.gz") for name in CASES[4:6]
        ]


def test_the_same_image_in_two_sections_of_a_new_run_is_refused_and_twice_in_one_warned_of(tmp_path, call, caplog):
    write(tmp_path / "data", CASES[:3])
    shutil.copytree(tmp_path / "data" / "case_0", tmp_path / "data" / "again")
    zero, one, two, again = (
        {"case": name, "image": f"data/{name}/mr.nii.gz"} for name in ("case_0", "case_1", "case_2", "again")
    )
    rule = r"again \(mr.nii.gz\): .*, a leak \(voxels of case_0, mr.nii.gz, in training; here in test\); "
    with pytest.raises(DataError, match=rule):
        call(datalist=listed(tmp_path, training=[zero, one], validation=[two], test=[again]))
    assert names(call(datalist=listed(tmp_path, training=[zero, again]))["training"]) == ["case_0", "again"]
    assert "again (mr.nii.gz): the same image twice (voxels of case_0, mr.nii.gz, in training; here in" in caplog.text


def test_a_resume_on_other_data_is_refused(tmp_path, run, call):
    """Its own files are still there, but the user asked for others."""
    others = write(tmp_path / "others", ["x", "y", "z"], first=50)
    with pytest.raises(
        DataError, match=rf"none of the 3 cases of .* in the split of {tmp_path / 'run'}: omit it, or start a new"
    ):
        call(others, keep_split=True)
    assert sections(call(keep_split=True)) == sections(run)


def test_a_resume_with_another_mask_is_refused(tmp_path, call):
    """The validation would be compared with that of the run, and is of other voxels."""
    root = write(tmp_path / "data", CASES)
    for number, name in enumerate(CASES):
        mask = np.zeros((4, 4, 4), np.uint8)
        mask[number % 4] = 1
        nib.save(nib.Nifti1Image(mask, np.eye(4)), root / name / "mask.nii.gz")
    cases = call(root, seed=11)
    write_split(cases, tmp_path / "run")
    assert sections(call(root, keep_split=True)) == sections(cases)
    (one, *_) = cases["validation"]
    nib.save(nib.Nifti1Image(np.ones((4, 4, 4), np.uint8), np.eye(4)), one["mask"])
    with pytest.raises(DataError, match=rf"cannot resume, 1 of .* missing or changed \({one['case']}\)"):
        call(root, keep_split=True)
