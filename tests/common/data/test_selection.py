"""Which cases a run works on, and that invented data never stand in for missing data."""

from __future__ import annotations

import json
import logging
import zlib
from functools import partial
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from common.config import RunRecord
from common.data.datalist import SPLITS
from common.data.selection import training_cases
from common.data.sources import inference_cases
from common.data.split_record import write_split
from common.errors import ConfigError, DataError
from common.simulation.mr_ct_pairs import write_mr2ct

NAMES = ("mr", "ct", "mask")


def volumes(folder: Path, names: tuple[str, ...] = NAMES) -> Path:
    """Three files of a case on one grid, other images for each name of a case."""
    folder.mkdir(parents=True)
    for name in names:
        random = np.random.default_rng(zlib.crc32(f"{folder.name}/{name}".encode()))
        values = random.permutation(np.arange(64, dtype=np.float32)).reshape(4, 4, 4)
        voxels = (values > 20).astype(np.uint8) if name == "mask" else values
        nib.save(nib.Nifti1Image(voxels, np.eye(4)), folder / f"{name}.nii.gz")
    return folder


def write_cases(root: Path, count: int = 10) -> None:
    for number in range(count):
        volumes(root / f"case_{number:02d}")


def forbidden(root: Path) -> None:
    raise AssertionError(f"phantoms were generated in {root}")


def listed(folder: Path, **sections: list[dict]) -> str:
    """A datalist in a folder, whose paths it may have relative to it."""
    (folder / "datalist.json").write_text(json.dumps(sections))
    return str(folder / "datalist.json")


def place(name: str, folder: str = "data") -> dict:
    return {"case": name, "image": f"{folder}/{name}/mr.nii.gz", "label": f"{folder}/{name}/ct.nii.gz"}


@pytest.fixture
def call(tmp_path):
    """``training_cases`` with folders of this test."""
    places = {"demo_data": str(tmp_path / "demo"), "run_dir": str(tmp_path / "run"), "phantoms": forbidden}
    return lambda **given: training_cases(**{**places, "data_check": False, **given})


def sizes(lists: dict[str, list[dict]]) -> dict[str, int]:
    return {section: len(lists[section]) for section in SPLITS}


def names(items: list[dict]) -> list[str]:
    return [item["case"] for item in items]


class TestTraining:
    def test_split_of_a_folder_is_complete_announced_and_recorded(self, tmp_path, call, caplog):
        write_cases(tmp_path / "data")
        with caplog.at_level(logging.INFO):
            lists = call(dataset_dir=str(tmp_path / "data"))
        assert f"data: {tmp_path / 'data'}" in caplog.text
        assert "PHANTOMS" not in caplog.text
        # one patient each first; of 10 the fractions then lack 6, 0.5, 0.5, so that training fills up before the others
        assert sizes(lists) == {"training": 7, "validation": 2, "test": 1}
        assert sorted(sum((names(lists[section]) for section in SPLITS), [])) == [f"case_{n:02d}" for n in range(10)]
        item = lists["training"][0]
        for key, name in (("image", "mr"), ("label", "ct"), ("mask", "mask")):
            assert Path(item[key]) == tmp_path / "data" / item["case"] / f"{name}.nii.gz"
        assert not (tmp_path / "run").exists(), "nothing is written before the run has its folder"
        write_split(lists, tmp_path / "run")
        written = json.loads((tmp_path / "run" / "datalist.json").read_text())
        assert {section: names(written[section]) for section in SPLITS} == {s: names(lists[s]) for s in SPLITS}
        assert written["seed"] == 0

    @pytest.mark.parametrize("task", ["keep_split", "held_out"])
    def test_a_kept_split_does_not_move_cases(self, tmp_path, call, caplog, task):
        write_cases(tmp_path / "data")
        lists = call(dataset_dir=str(tmp_path / "data"))
        write_split(lists, tmp_path / "run")
        for number in range(10, 16):
            volumes(tmp_path / "data" / f"case_{number:02d}")
        written = (tmp_path / "run" / "datalist.json").read_text()
        again = call(dataset_dir=str(tmp_path / "data"), **{task: True})
        assert again == lists
        assert again.record is None
        assert f"data: 6 cases are not in the split of {tmp_path / 'run'} and are not used" in caplog.text
        assert (tmp_path / "run" / "datalist.json").read_text() == written
        assert sum(sizes(call(dataset_dir=str(tmp_path / "data"))).values()) == 16

    def test_a_run_without_a_record_is_split_again_with_a_warning(self, tmp_path, call, caplog):
        write_cases(tmp_path / "data", 5)
        lists = call(dataset_dir=str(tmp_path / "data"))
        assert call(dataset_dir=str(tmp_path / "data"), held_out=True) == lists
        assert f"{tmp_path / 'run'} has no datalist.json: its training cases are not known" in caplog.text

    def test_the_record_of_the_run_itself_is_no_input_of_a_new_run(self, tmp_path, call):
        write_cases(tmp_path / "run")
        listed = str(tmp_path / "run" / "datalist.json")
        write_split(call(dataset_dir=str(tmp_path / "run")), tmp_path / "run")
        rule = "the datalist .* is the file that the run would write: copy it"
        for given in ({"dataset_dir": str(tmp_path / "run")}, {"dataset_dir": "unused", "datalist": listed}):
            with pytest.raises(ConfigError, match=rule):
                call(**given)
            assert sizes(call(**given, keep_split=True)) == {"training": 7, "validation": 2, "test": 1}

    def test_names_and_channels(self, tmp_path, call):
        for number in range(3):
            volumes(tmp_path / "data" / f"case_{number}", ("t1", "t2", "pet"))
        lists = call(dataset_dir=str(tmp_path / "data"), source="t1, t2", target="pet")
        item = lists["training"][0]
        assert [Path(path).name for path in item["image"]] == ["t1.nii.gz", "t2.nii.gz"]
        assert Path(item["label"]).name == "pet.nii.gz"
        assert "mask" not in item

    def test_a_given_folder_that_does_not_exist_is_an_error_though_phantoms_are_there(self, tmp_path, call, infer):
        write_cases(tmp_path / "demo", 3)
        for cases in (call, infer):
            with pytest.raises(DataError, match=r"no folder at .*data \(from --dataset_dir\): correct the path"):
                cases(dataset_dir=str(tmp_path / "data"))
        assert not (tmp_path / "run").exists()

    def test_phantoms_that_another_command_makes_meanwhile_are_used(self, tmp_path, call, caplog):
        caplog.set_level(logging.INFO)

        def phantoms(root: Path) -> None:
            write_cases(root, 2)
            write_mr2ct(root, cases=4, spacing=6.0, seed=0)

        lists = call(dataset_dir=str(tmp_path / "demo"), phantoms=phantoms)
        assert {item["case"] for items in lists.values() for item in items} == {"case_00", "case_01"}
        assert "phantoms: those that another command has put there meanwhile" in caplog.text

    def test_phantoms_for_the_default_folder_alone_and_announced(self, tmp_path, call, caplog):
        generated = []

        def phantoms(root: Path) -> None:
            generated.append(root)
            write_cases(root, 4)

        with caplog.at_level(logging.INFO):
            lists = call(dataset_dir=f"{tmp_path}/./demo", phantoms=phantoms)
        assert generated == [tmp_path / "demo"]
        assert sum(sizes(lists).values()) == 4
        first = caplog.records[0]
        assert first.levelno == logging.WARNING
        assert "GENERATED PHANTOMS are used (no patient, no scanner)" in first.message
        assert "--dataset_dir DIR" in first.message
        assert f"generating phantoms in {tmp_path / 'demo'}" in caplog.text
        assert "no --dataset_dir or --datalist was given" in first.message
        caplog.clear()
        named = RunRecord({}, {"dataset_dir": str(tmp_path / "demo")})
        call(dataset_dir=str(tmp_path / "demo"), record=named)  # they are there: none are generated again
        assert "GENERATED PHANTOMS are used" in caplog.text
        assert "was given" not in caplog.text
        assert generated == [tmp_path / "demo"]

    def test_a_datalist_wins_over_the_folder(self, tmp_path, call):
        write_cases(tmp_path / "data", 4)
        given = listed(tmp_path, training=[place("case_03")], validation=[place("case_01")])
        lists = call(dataset_dir=str(tmp_path / "demo"), datalist=given)
        assert [names(lists[section]) for section in SPLITS] == [["case_03"], ["case_01"], []]

    def test_no_validation_cases(self, tmp_path, call, caplog):
        write_cases(tmp_path / "data", 1)
        with caplog.at_level(logging.WARNING):
            assert sizes(call(dataset_dir=str(tmp_path / "data"))) == {"training": 1, "validation": 0, "test": 0}
        assert "no validation cases, so that the last epoch is kept rather than the best" in caplog.text

    def test_validation_cases_without_a_label(self, tmp_path, call, caplog):
        write_cases(tmp_path / "data", 2)
        listed(tmp_path, training=[place("case_00")], validation=[{"image": place("case_01")["image"]}])
        with caplog.at_level(logging.WARNING):
            assert call(dataset_dir=str(tmp_path))["scored"] == []
        assert "data: no validation cases with a label, so that the last epoch is kept" in caplog.text

    def test_a_bad_case_is_named_before_anything_is_written(self, tmp_path, call):
        write_cases(tmp_path / "data", 4)
        (tmp_path / "data" / "case_02" / "ct.nii.gz").write_bytes(b"")
        with pytest.raises(DataError, match="case_02.*the file is empty"):
            call(dataset_dir=str(tmp_path / "data"), data_check=True)
        assert not (tmp_path / "run" / "datalist.json").exists()


@pytest.fixture
def infer(tmp_path):
    places = {"demo_data": str(tmp_path / "demo"), "phantoms": forbidden}
    return lambda **given: inference_cases(**{**places, **given})


class TestInference:
    def test_a_list_of_more_images_than_the_network_has_channels(self, tmp_path, infer):
        path = str(volumes(tmp_path / "data") / "mr.nii.gz")
        given = {"dataset_dir": "unused", "datalist": listed(tmp_path, test=[{"case": "a", "image": [path, path]}])}
        rule = r"^a has 2 images in a list, --source names 1 \(mr\): give the network's channels$"
        with pytest.raises(DataError, match=rule):
            infer(**given)
        assert infer(**given, source="t1,t2") == [{"case": "a", "patient": "a", "image": [path, path]}]

    def test_a_flat_folder_and_a_single_file(self, tmp_path, infer):
        folder = volumes(tmp_path / "data", ("b", "a.v2"))
        (folder / "notes.txt").touch()
        items = infer(dataset_dir=str(folder))
        assert items == [
            {"case": "a.v2", "image": str(folder / "a.v2.nii.gz")},
            {"case": "b", "image": str(folder / "b.nii.gz")},
        ]
        assert infer(dataset_dir=items[1]["image"]) == items[1:]

    def test_one_name_twice(self, tmp_path, infer):
        folder = volumes(tmp_path / "data", ("a",))
        (folder / "a.nii").touch()
        (folder / "b.nii.gz").touch()
        (folder / "c.mnc").touch()
        one, sound, other = infer(dataset_dir=str(folder))
        assert one["fault"] == "a (a.nii, a.nii.gz): several files of one case; keep one of them"
        assert sound == {"case": "b", "image": str(folder / "b.nii.gz")}
        assert (other["case"], other["fault"][:31]) == ("c.mnc", "c.mnc (c.mnc): not one of .nii.")

    def test_of_case_folders_all_are_selected_and_nothing_but_the_source_is_handed_on(self, tmp_path, infer):
        write_cases(tmp_path / "data", 2)
        volumes(tmp_path / "data" / "case_02", ("mr",))
        assert infer(dataset_dir=str(tmp_path / "data")) == [
            {"case": name, "patient": name, "image": str(tmp_path / "data" / name / "mr.nii.gz")}
            for name in ("case_00", "case_01", "case_02")
        ]

    def test_of_a_datalist_the_test_section(self, tmp_path, infer):
        write_cases(tmp_path / "data", 3)
        first, second, third = ([place(f"case_0{number}")] for number in range(3))
        given = {"dataset_dir": "unused", "datalist": listed(tmp_path, training=first, validation=second, test=third)}
        assert names(infer(**given)) == ["case_02"]
        listed(tmp_path, training=first, validation=second, test=[])
        fault = r"section test of .* has no cases to infer \(validation 1, training 1\)"
        with pytest.raises(DataError, match=f"{fault}: .* pass --data::section validation"):
            infer(**given)
        assert names(infer(**given, section="validation")) == ["case_01"]
        with pytest.raises(ConfigError, match="--data::section is 'valid': choose training, validation or test"):
            infer(**given, section="valid")


def test_phantoms_of_inference_are_those_that_training_leaves_for_the_test(tmp_path):
    phantoms = partial(write_mr2ct, cases=4, spacing=6.0, seed=0)
    places = {"dataset_dir": str(tmp_path / "demo"), "demo_data": str(tmp_path / "demo"), "phantoms": phantoms}
    lists = training_cases(**places, run_dir=str(tmp_path / "run"))
    assert sizes(lists) == {"training": 2, "validation": 1, "test": 1}
    inferred = inference_cases(**places)
    assert [item["image"] for item in inferred] == [item["image"] for item in lists["test"]]


def pool(folder, name, cases, value):
    for case in cases:
        (folder / case).mkdir(parents=True)
        volume = np.full((6, 6, 6), value, np.float32)
        volume[0] = -1000
        volume[1] = 1000
        nib.save(nib.Nifti1Image(volume, np.eye(4)), folder / case / f"{name}.nii.gz")
    return str(folder)


def test_two_folders_are_two_pools_without_pairs(tmp_path):
    sources, targets = pool(tmp_path / "a", "cect", ["x", "y"], 300), pool(tmp_path / "b", "ct", ["z"], 40)
    lists = training_cases(
        sources, "", forbidden, str(tmp_path / "run"), source="cect", target="ct", target_dir=targets
    )
    assert [item["case"] for item in lists["training_A"]] == ["x", "y"]
    assert [(item["case"], Path(item["label"]).name) for item in lists["training_B"]] == [("z", "ct.nii.gz")]
    assert "image" not in lists["training_B"][0]
    assert lists["training"] == lists["validation"] == lists["test"] == []


def test_pairs_give_both_pools_from_their_training_cases(tmp_path, call):
    write_cases(tmp_path / "data", 3)
    lists = call(dataset_dir=str(tmp_path / "data"))
    assert lists["training_A"] == lists["training_B"] == lists["training"]
    assert len(lists["training"]) == 1


def test_an_empty_pool_is_named(tmp_path):
    sources = pool(tmp_path / "a", "cect", ["x"], 300)
    listed(tmp_path / "a", training_A=[{"case": "x", "image": "x/cect.nii.gz"}])
    with pytest.raises(DataError, match=r"section training_B has no cases \(.*training_A 1, training_B 0"):
        training_cases(sources, "", forbidden, str(tmp_path / "run"))


def test_a_training_case_without_a_label_among_others_is_named(tmp_path, call):
    write_cases(tmp_path / "data", 4)
    first, second, *others = (place(f"case_0{number}") for number in range(4))
    del second["label"]
    listed(tmp_path, training=[first, second], validation=others)
    with pytest.raises(DataError, match=r"1 of \d+ training cases have no label \(case_01\): add"):
        call(dataset_dir=str(tmp_path))


def test_a_pool_of_another_modality_is_refused(tmp_path):
    sources = pool(tmp_path / "a", "cect", ["x"], 300)
    mr = tmp_path / "b" / "m" / "ct.nii.gz"
    mr.parent.mkdir(parents=True)
    nib.save(nib.Nifti1Image(np.linspace(0, 3000, 216, dtype=np.float32).reshape(6, 6, 6), np.eye(4)), mr)
    windows = {"source_range": [-200, 600], "target_range": [-200, 600]}
    with pytest.raises(
        DataError, match="m .ct.nii.gz.: values do not reach below -200 and above 200 HU, .* .0 to 3000"
    ):
        training_cases(
            sources, "", forbidden, str(tmp_path / "run"), source="cect", target_dir=str(tmp_path / "b"), **windows
        )


def test_a_folder_with_a_datalist_is_read_through_it(tmp_path, infer):
    write_cases(tmp_path, 2)
    listed(tmp_path, test=[{"case": "only", "image": "case_01/mr.nii.gz"}])
    assert names(infer(dataset_dir=str(tmp_path))) == ["only"]


def test_validation_scores_what_has_a_target(tmp_path, call):
    write_cases(tmp_path, 3)
    first, second, third = (place(f"case_0{number}", ".") for number in range(3))
    del third["label"]
    listed(tmp_path, training=[first], validation=[second, third], test=[])
    lists = call(dataset_dir=str(tmp_path))
    assert (names(lists["validation"]), names(lists["scored"])) == (["case_01", "case_02"], ["case_01"])


def test_the_other_direction_takes_the_other_scan_of_a_datalist(tmp_path, infer):
    write_cases(tmp_path / "data", 1)
    item = place("case_00")
    listed(tmp_path, test=[item])
    [found] = infer(dataset_dir=str(tmp_path), key="label")
    assert found["image"] == str(tmp_path / "data" / "case_00" / "ct.nii.gz")
    del item["label"]
    listed(tmp_path, test=[item])
    with pytest.raises(DataError, match="case_00 has no scan to translate under label, only case, image"):
        infer(dataset_dir=str(tmp_path), key="label")


class TestInferenceWithoutData:
    def test_the_test_cases_of_the_run_are_selected_unless_data_are_given(self, tmp_path, call, infer, caplog):
        write_cases(tmp_path / "data")
        lists = call(dataset_dir=str(tmp_path / "data"))
        write_split(lists, tmp_path / "run")
        default = {"dataset_dir": str(tmp_path / "demo"), "run_dir": str(tmp_path / "run")}
        with caplog.at_level(logging.INFO):
            found = infer(**default)
        assert [item["image"] for item in found] == [item["image"] for item in lists["test"]]
        assert f"data: the 1 test cases of the split of {tmp_path / 'run'}" in caplog.text
        assert "PHANTOMS" not in caplog.text
        backward = infer(**default, key="label")
        assert [item["image"] for item in backward] == [item["label"] for item in lists["test"]]
        assert len(infer(**{**default, "dataset_dir": str(tmp_path / "data")})) == 10
        (tmp_path / "data").rename(tmp_path / "moved")
        rule = r"^3 files of the split of .* are gone \(.*mr.nii.gz, .*\): pass --dataset_dir"
        with pytest.raises(DataError, match=rule):
            infer(**default)

    def test_a_run_without_test_cases_leaves_the_phantoms(self, tmp_path, call, infer):
        write_cases(tmp_path / "data", 1)
        write_split(call(dataset_dir=str(tmp_path / "data")), tmp_path / "run")
        generated = lambda root: write_cases(root, 10)  # noqa: E731
        found = infer(dataset_dir=str(tmp_path / "demo"), run_dir=str(tmp_path / "run"), phantoms=generated)
        assert [Path(item["image"]).parents[1] for item in found] == [tmp_path / "demo"]
