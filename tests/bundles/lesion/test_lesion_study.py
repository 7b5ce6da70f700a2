from __future__ import annotations

import json
import math
import re
import shutil

import nibabel as nib
import numpy as np
import pytest
import torch
from bundle_commands import Bundle, refused
from lesion_dcgan_aug.data.class_patches import load_patches
from lesion_dcgan_aug.data.selection import patient_folds
from lesion_dcgan_aug.phantoms import write_liver_lesions
from lesion_dcgan_aug.study.fold_results import Arm, FoldResult, read_result, result_path
from lesion_dcgan_aug.study.report import classification_scores, confidence_interval, gains, markdown, scored

from common.data.datalist import load_datalist
from common.errors import ConfigError, DataError
from common.weights import checkpoints

BUNDLE = Bundle("lesion_dcgan_aug")
CLASSES = ["cyst", "metastasis", "hemangioma"]
TINY = {
    "folds": 2, "seeds": [0], "classic_sizes": [0, 12], "gan_sizes": [6], "max_epochs": 1, "samples_per_epoch": 8,
    "batch_size": 4, "width": 2, "classifier": {"width": 2, "steps": 3, "batch_size": 8}, "device": torch.device("cpu"),
}  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    root = tmp_path_factory.mktemp("study") / "data"
    write_liver_lesions(root, 6, 5.0, seed=1)
    return root


def study(data, out, **settings):
    """The study as its config builds it."""
    places = {"dataset_dir": str(data), "output_dir": str(out)}
    return BUNDLE.parser("study", **{**TINY, **places, **settings}).get_parsed_content("crossvalidation")


@pytest.fixture(scope="module")
def finished(data, tmp_path_factory):
    """A study that ran to its end, its folder and its cells."""
    out = tmp_path_factory.mktemp("finished")
    return out / "study", study(data, out).run()


def contents(folder):
    """Every cell without the seconds that it took."""
    cells = [json.loads(path.read_text()) for path in sorted(folder.glob("cells/*.json"))]
    return [{key: value for key, value in cell.items() if key != "seconds"} for cell in cells]


# ---- no leakage -----------------------------------------------------------------------------------------------------


def test_each_patch_is_tested_once_by_every_arm(data, finished):
    folder, cells = finished
    items = [item for section in load_datalist(data / "datalist.json").values() for item in section]
    arms = [Arm(0, 0), Arm(12, 0), Arm(12, 6)]
    assert sorted((cell.fold, cell.arm) for cell in cells) == [(fold, arm) for fold in (0, 1) for arm in arms]
    for arm in arms:
        tested = [case for cell in cells if cell.arm == arm for case in cell.predictions]
        assert sorted(tested) == sorted(item["case"] for item in items)
        counts = sum(np.array(cell.confusion) for cell in cells if cell.arm == arm)
        assert counts.sum(axis=1).tolist() == [sum(item["class"] == name for item in items) for name in CLASSES]


def test_the_gan_of_a_fold_is_listed_no_test_patient(data, finished):
    folder, cells = finished
    patients = {item["case"]: item["patient"] for own in load_datalist(data / "datalist.json").values() for item in own}
    for fold in (0, 1):
        seen = {
            item["patient"]
            for own in load_datalist(folder / f"gans/fold{fold}_seed0/datalist.json").values()
            for item in own
        }
        tested = {patients[case] for cell in cells if cell.fold == fold for case in cell.predictions}
        assert seen
        assert tested
        assert seen.isdisjoint(tested)
        assert seen | tested == set(patients.values())


def test_the_gan_of_a_fold_is_the_same_whatever_its_test_patients_look_like(data, finished, tmp_path):
    """All patches of fold 0's test patients are replaced by noise: its GAN keeps every bit, that of fold 1 does not."""
    folder, cells = finished
    spoilt = shutil.copytree(data, tmp_path / "data")
    cases = next(cell.predictions for cell in cells if cell.fold == 0)
    for number, path in enumerate(sorted(spoilt.glob("patches/*/*.nii.gz"))):
        if path.name.removesuffix(".nii.gz") in cases:
            noise = np.random.default_rng(number).normal(0, 100, (64, 64, 1)).astype(np.float32)
            nib.save(nib.Nifti1Image(noise, np.eye(4)), path)
    study(spoilt, tmp_path / "out").run()
    weights = [
        [
            checkpoints.load(root / f"gans/fold{fold}_seed0/models/model.pt")
            for root in (folder, tmp_path / "out" / "study")
        ]
        for fold in (0, 1)
    ]
    (own, again), (one, other) = weights
    assert all(torch.equal(own[name], again[name]) for name in own)
    assert any(not torch.equal(one[name], other[name]) for name in one)


def test_a_patient_planted_in_two_folds_is_refused(data, tmp_path, monkeypatch):
    """Folds that were dealt wrongly, one lesion of a test patient among the training cases, end the study."""

    def wrong(*arguments):
        first, second = patient_folds(*arguments)
        return [first[1:], [*second, first[0]]]

    monkeypatch.setattr("lesion_dcgan_aug.study.study.patient_folds", wrong)
    with pytest.raises(DataError, match=r"a fold trains and tests on patient .* \(leak\): assign folds by patient"):
        study(data, tmp_path).run()
    assert not list(tmp_path.rglob("fold*.json"))


def test_a_classifier_of_no_epoch_is_refused(data, tmp_path):
    done = BUNDLE.run("study", ["study"], dataset_dir=data, output_dir=tmp_path, **{"classifier::epochs": 0})
    refused(done, "--classifier::epochs is 0, not above zero: give a positive number")


def test_a_class_with_fewer_patients_than_folds_is_named(data, tmp_path):
    with pytest.raises(DataError, match="class cyst has 6 patients for 7 folds: add patients, lower --folds"):
        study(data, tmp_path, folds=7).run()


def test_a_variant_s_study_trains_the_variant(data, tmp_path):
    places = {"dataset_dir": str(data), "output_dir": str(tmp_path)}
    BUNDLE.parser("study", "acgan", **{**TINY, **places}).get_parsed_content("crossvalidation").run()
    weights = checkpoints.load(
        tmp_path / "variants" / "acgan" / "study" / "gans" / "fold0_seed0" / "models" / "model.pt"
    )
    assert {name.split(".")[0] for name in weights} == {"generator"}, "one generator, not one for each class"


# ---- training sets ---------------------------------------------------------------------------------------------------


def test_sizes_are_views_of_each_fold_and_samples_of_each_class_and_fold(data, finished, tmp_path):
    """Two folds of three trained on: 2 * 30 views of 45 lesions or so, and 2 * 4 samples of each class."""
    shutil.copytree(finished[0] / "gans" / "fold0_seed0", tmp_path / "study" / "gans" / "fold0_seed0")
    made = study(data, tmp_path, folds=3)
    dealt = patient_folds(made.items, 3, 0, CLASSES)
    made.patches = load_patches(made.items, made.preprocessing)
    made._settings()
    training = [item for part in dealt[1:] for item in part]
    counts = np.array([sum(item["class"] == name for item in training) for name in CLASSES])

    patches, labels = made._training_set(dealt, Arm(30), 0, 0)
    assert len(patches) == len(training) + 2 * 30
    largest, smallest = max(map(len, dealt[1:])), min(map(len, dealt[1:]))
    views = np.bincount(labels, minlength=3) - counts
    assert (views >= counts * (30 // largest)).all(), "equal shares of each lesion"
    assert (views <= counts * -(-30 // smallest)).all()
    fewer, _ = made._training_set(dealt, Arm(10), 0, 0)
    found = {patch.numpy().tobytes() for patch in patches}
    assert all(patch.numpy().tobytes() in found for patch in fewer), "the larger set contains the smaller"

    patches, labels = made._training_set(dealt, Arm(30, 4), 0, 0)
    assert (np.bincount(labels[-24:]) == [8, 8, 8]).all()
    assert len(patches) == len(training) + 2 * (30 + 3 * 4)


def test_more_views_than_the_grid_has_are_refused_before_anything_is_written(data, tmp_path):
    with pytest.raises(ConfigError) as caught:
        study(data, tmp_path, classic_sizes=[0, 100_000]).run()
    fewest = min(map(len, patient_folds(study(data, tmp_path).items, 2, 0, CLASSES)))
    fault = f"--classic_sizes has 100000, over 480 views of each of the smallest fold's {fewest} lesions"
    assert str(caught.value) == f"{fault}: remove sizes above {480 * fewest}"
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == [".lock"]


# ---- resume ---------------------------------------------------------------------------------------------------------


def test_finished_cells_and_gans_are_kept_and_a_gan_that_was_interrupted_goes_on(data, finished, tmp_path):
    """Two cells are lost, and the note that the GAN of one of them is done; its last checkpoint is kept."""
    folder, _ = finished
    root = shutil.copytree(folder, tmp_path / "study")
    lost = [result_path(root, fold, 0, Arm(12, 6)) for fold in (0, 1)]
    for path in (*lost, root / "gans" / "fold0_seed0" / "done.json"):
        path.unlink()
    kept = [*root.glob("cells/*.json"), *root.glob("gans/fold1_seed0/models/*.*")]
    before = {path: path.stat().st_mtime_ns for path in kept}
    assert len(before) > 6
    study(data, tmp_path).run()
    assert [path for path, written in before.items() if path.stat().st_mtime_ns != written] == []
    assert contents(root) == contents(folder)


def test_cells_of_another_study_and_of_other_gans_are_refused(data, finished, tmp_path):
    """GANs differ by an overlay of their training, by a component given to the study, and by the weights they keep."""
    shutil.copytree(finished[0], tmp_path / "study")
    augmentation = {"_target_": "lesion_dcgan_aug.augment.ClassicAugmentation", "rotation": 5}
    (tmp_path / "still.yaml").write_text(f"augmentation: {json.dumps(augmentation)}\n")
    configs = [str(BUNDLE.configs / "train.yaml"), str(tmp_path / "still.yaml")]
    others = {"classifier": {"classifier": {**TINY["classifier"], "steps": 4}}, "gan": {"train_config": configs}}
    for name, settings in [*others.items(), ("gan", {"augmentation": augmentation}), ("gan", {"keep": "last"})]:
        rule = rf"was computed with other settings \({name}\): remove .*or pass another --output_dir"
        with pytest.raises(ConfigError, match=rule):
            study(data, tmp_path, **settings).run()


def test_a_damaged_cell_is_named(tmp_path):
    path = result_path(tmp_path, 0, 1, Arm(5))
    path.parent.mkdir()
    path.write_text('{"fold": 0')
    with pytest.raises(DataError, match=re.escape(f"{path} is damaged (JSONDecodeError: ")):
        read_result(tmp_path, 0, 1, Arm(5), {})


# ---- tables ---------------------------------------------------------------------------------------------------------


def cell(fold, arm, right):
    """Two classes of ten cases, so many of each right."""
    return FoldResult(fold, 0, arm, [[right, 10 - right], [10 - right, right]], {}, 0.0)


def test_interval_by_hand():
    found = confidence_interval([0.6, 0.7, 0.8], folds=3)
    half = 4.302652729911275 * np.sqrt(0.01 * (1 / 3 + 1 / 2))  # t of 2 degrees of freedom; corrected variance
    assert tuple(found) == pytest.approx((0.7, 0.7 - half, 0.7 + half))
    assert np.isnan(confidence_interval([0.5], 3).low)
    assert confidence_interval([0.6, float("nan"), 0.8], 3).mean == pytest.approx(0.7)


def test_tables_have_the_means_and_the_paired_gain():
    none, classic, mixed = Arm(), Arm(100), Arm(100, 50)
    cells = [cell(fold, arm, right) for arm, rights in ((none, (5, 6)), (classic, (7, 8)), (mixed, (8, 9)))
             for fold, right in enumerate(rights)]  # fmt: skip
    rows = scored(cells, ["a", "b"])
    assert [row["sensitivity_a"] for row in rows] == pytest.approx([0.5, 0.6, 0.7, 0.8, 0.8, 0.9])
    gained = gains(cells, rows, 2)
    assert gained.keys() == {"classic 100 + GAN 50 against classic 100"}
    assert tuple(gained["classic 100 + GAN 50 against classic 100"]) == pytest.approx((0.1, 0.1, 0.1))
    text = markdown(rows, gained, 2)
    assert all(
        f"| {arm.label} | {mean} [" in text for arm, mean in ((none, "0.550"), (classic, "0.750"), (mixed, "0.850"))
    )
    assert "Balanced accuracy, classic 100 + GAN 50 against classic 100: +0.100 [+0.100, +0.100], better" in text


def items(**patients):
    """Lesions of each patient, by class."""
    return [
        {"case": f"{patient}_{number}", "patient": patient, "class": name}
        for patient, names in patients.items()
        for number, name in enumerate(names)
    ]


MIXED = items(
    **{f"c{i}": ["cyst"] * (1 + i % 3) for i in range(6)},
    **{f"m{i}": ["metastasis"] * 2 for i in range(5)},
    **{f"h{i}": ["hemangioma"] for i in range(3)},
    both=["cyst", "metastasis"],
)


@pytest.mark.parametrize("seed", range(20))
def test_every_fold_tests_every_class_evenly(seed):
    for name in CLASSES:
        counts = [
            len({item["patient"] for item in fold if item["class"] == name})
            for fold in patient_folds(MIXED, 3, seed, CLASSES)
        ]
        assert max(counts) - min(counts) <= 1
        assert min(counts) >= 1


def test_the_seed_decides_and_the_order_of_items_does_not():
    first = patient_folds(MIXED, 3, 0, CLASSES)
    again = patient_folds(MIXED[::-1], 3, 0, CLASSES)
    other = patient_folds(MIXED, 3, 1, CLASSES)
    sets = [[{item["case"] for item in fold} for fold in dealt] for dealt in (first, again, other)]
    assert sets[0] == sets[1] != sets[2]


MATRIX = [[8, 1, 1], [2, 3, 0], [0, 1, 4]]
"""Ten cases of the first class, five of each other."""


def test_overall_scores_by_hand():
    scores = classification_scores(MATRIX, ["a", "b", "c"])
    assert scores["sensitivity"] == pytest.approx(15 / 20), "weighted by cases it is the accuracy"
    assert scores["specificity"] == pytest.approx((10 * 0.8 + 5 * 13 / 15 + 5 * 14 / 15) / 20)
    assert scores["balanced_accuracy"] == pytest.approx((0.8 + 0.6 + 0.8) / 3)
    assert [scores[f"sensitivity_{name}"] for name in "abc"] == pytest.approx([8 / 10, 3 / 5, 4 / 5])
    assert [scores[f"specificity_{name}"] for name in "abc"] == pytest.approx([8 / 10, 13 / 15, 14 / 15])


def test_a_class_without_cases_is_undefined_and_left_out():
    scores = classification_scores([[3, 1, 0], [0, 4, 0], [0, 0, 0]], ["a", "b", "c"])
    assert math.isnan(scores["sensitivity_c"])
    assert scores["specificity_c"] == 1.0
    assert scores["balanced_accuracy"] == pytest.approx((0.75 + 1) / 2)
    assert scores["sensitivity"] == pytest.approx(7 / 8)
