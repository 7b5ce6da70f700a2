"""Evaluation from end to end with a network of one weight, whose scores follow from arithmetic."""

from __future__ import annotations

import json
import re
from functools import partial
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
import torch
from monai.data import DataLoader
from monai.engines import SupervisedEvaluator
from monai.transforms import Compose, Invertd, Orientationd
from scipy.ndimage import gaussian_filter
from toy_networks import Scale

from common.config import RunRecord
from common.errors import ConfigError, DataError, OutputError
from common.evaluation import SourceDataset, output_error
from common.evaluation.evaluation import Evaluation
from common.evaluation.held_out_case import load_case
from common.io import VolumeReader
from common.metrics import score
from common.stitching import PlaneInferer
from common.transforms import LoadVolumed, ScaleWindowd, ToUnitd, WorkingSpacingd
from common.weights import checkpoints
from common.weights.info import described, save

SHAPE = (12, 14, 13)
RAS = np.array([[2.0, 0, 0, -11], [0, 2, 0, -13], [0, 0, 2.5, -20], [0, 0, 0, 1]])


class Shift(torch.nn.Module):
    """Another network, of another weight's name."""

    def __init__(self) -> None:
        super().__init__()
        self.shift = torch.nn.Parameter(torch.tensor(0.0))

    def forward(self, slices: torch.Tensor) -> torch.Tensor:
        return slices + self.shift


def head(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Source in [0, 100], target in [-1000, 1000] with a different law a case, and a mask."""
    rng = np.random.default_rng(seed)
    source = rng.uniform(0, 100, SHAPE)
    target = np.clip(8 * source - 300 + 10 * seed + rng.normal(0, 60, SHAPE), -1000, 1000)
    mask = np.zeros(SHAPE, np.uint8)
    mask[2:-2, 2:-2, 1:-1] = 1
    return source.astype(np.float32), target.astype(np.float32), mask


def write(folder: Path, case: str, seed: int, axcodes: str = "RAS", mask: bool = True) -> dict[str, str]:
    """A case on disk with its axes in the given order."""
    item = {"case": case, "patient": case}
    (folder / case).mkdir(parents=True)
    turn = nib.orientations.axcodes2ornt(axcodes)
    for key, volume in zip(("image", "label", "mask"), head(seed), strict=True):
        if key != "mask" or mask:
            item[key] = str(folder / case / f"{key}.nii.gz")
            nib.save(nib.Nifti1Image(volume, RAS).as_reoriented(_from_ras(turn)), item[key])
    return item


def _from_ras(turn: np.ndarray) -> np.ndarray:
    return nib.orientations.ornt_transform(nib.orientations.axcodes2ornt("RAS"), turn)


def masked_mae(pred: np.ndarray, truth: np.ndarray, mask: np.ndarray) -> dict[str, float]:
    return {"mae": float(np.abs(pred - truth)[mask > 0].mean())}


def mean_error(pred: np.ndarray, truth: np.ndarray, mask: np.ndarray) -> dict[str, float]:
    return {"me": float((pred - truth)[mask > 0].mean())}


def evaluation(folder: Path, cases: dict, network: torch.nn.Module | None = None, **settings) -> Evaluation:
    load = [LoadVolumed("image"), Orientationd("image", axcodes="RAS", labels=None)]
    preprocessing = Compose([*load, WorkingSpacingd("image", spacing=None), ScaleWindowd("image", window=[0, 100])])
    inverse = Invertd("pred", preprocessing, orig_keys="image", nearest_interp=False)
    defaults = {
        "cases": cases, "network": network or Scale(1.0), "preprocessing": preprocessing,
        "inferer": PlaneInferer("sagittal", multiple_of=2), "device": torch.device("cpu"), "bundle": "mr2ct 1.2.3",
        "postprocessing": Compose([inverse, ToUnitd("pred", window=[-1000, 1000])]), "output_dir": str(folder / "run"),
        "metrics": [masked_mae, mean_error], "unit": "HU", "source_unit": "a.u.", "value_range": [-1000, 1000],
        "window": [-1000, 1000], "mask_description": "the head", "head_threshold": -990.0, "panel_cases": 0,
    }  # fmt: skip
    return Evaluation(**{**defaults, **settings})


def save_model(folder: Path, network: torch.nn.Module) -> None:
    checkpoints.save(network.state_dict(), folder / "models" / "model.pt")


@pytest.fixture
def cases(tmp_path):
    """Cases in several orders of axes, and a run with a network that gives its input back."""
    save_model(tmp_path / "run", Scale(1.0))
    return {
        "training": [write(tmp_path, "train_1", 1), write(tmp_path, "train_2", 2, "LPI")],
        "validation": [write(tmp_path, "validation_1", 3)],
        "test": [write(tmp_path, "test_1", 4), write(tmp_path, "test_2", 5, "PSR")],
    }


def table(folder: Path) -> pd.DataFrame:
    return pd.read_csv(folder / "run" / "evaluation" / "metrics.csv").set_index(["case", "method"])


def test_rows_and_summary_by_arithmetic(tmp_path, cases, capsys):
    save_model(tmp_path / "run", Scale(0.5))
    summary = evaluation(tmp_path, cases).run()
    rows = table(tmp_path)
    # [0, 100] -> [-1, 1], halved, [-1, 1] -> [-1000, 1000]: v -> 10 v - 500
    expected = {}
    for case, seed in (("test_1", 4), ("test_2", 5)):
        source, target, mask = head(seed)
        expected[case] = masked_mae(10.0 * source - 500, target, mask)["mae"]
        assert rows.loc[(case, "model"), "mae"] == pytest.approx(expected[case], abs=1e-3)
    assert set(rows.index) == {(case, method) for case in expected for method in ("model", "linear_fit")}
    assert summary["model"]["mae"]["mean"] == pytest.approx(np.mean(list(expected.values())), abs=1e-3)
    assert summary["model"]["mae"]["n"] == 2
    written = json.loads((tmp_path / "run" / "evaluation" / "summary.json").read_text())
    assert written["model"]["mae"]["mean"] == pytest.approx(summary["model"]["mae"]["mean"])
    assert (tmp_path / "run" / "evaluation" / "report.html").is_file()
    printed = "mr2ct 1.2.3, 2 held-out cases, HU, value range -1000 to 1000, inside the mask: the head"
    assert printed in capsys.readouterr().out


def voxel_volume(pred: np.ndarray, affine: np.ndarray) -> dict[str, float]:
    return {"height_mm": float(np.linalg.norm(affine[:3, 2])), "voxel_ml": abs(np.linalg.det(affine[:3, :3])) / 1000}


def of_part(pred: np.ndarray, body_part: str = "none") -> dict[str, float]:
    return {"letters": float(len(body_part))}


def test_centres_have_tables_and_a_metric_may_ask_for_affine_and_body_part(tmp_path, cases, capsys):
    """The grid of the source's file: axes of test_1 are RAS, of test_2 PSR, whose third axis has 2 mm."""
    first, second = cases["test"]
    items = {**cases, "test": [{**first, "centre": "A", "body_part": "thorax"}, {**second, "centre": "B"}]}
    evaluation(tmp_path, items, metrics=[masked_mae, voxel_volume, of_part]).run()
    rows = table(tmp_path)
    assert rows["voxel_ml"].tolist() == pytest.approx([0.01] * 4)
    found = {case: rows.loc[(case, "model"), ["height_mm", "letters"]].tolist() for case in ("test_1", "test_2")}
    assert found == {"test_1": pytest.approx([2.5, 6]), "test_2": pytest.approx([2.0, 4])}
    groups = json.loads((tmp_path / "run" / "evaluation" / "groups.json").read_text())
    assert groups["centre"]["B, model"]["mae"]["mean"] == pytest.approx(rows.loc[("test_2", "model"), "mae"])
    printed = capsys.readouterr().out
    assert "by centre:\nmethod" in printed
    assert "by body part:\nmethod" in printed
    evaluation(tmp_path, cases).run()
    assert not (tmp_path / "run" / "evaluation" / "groups.json").exists()


def test_the_linear_fit_is_the_line_that_polyfit_finds(tmp_path, cases):
    evaluation(tmp_path, cases).run()
    pairs = [(source[mask > 0], target[mask > 0]) for source, target, mask in (head(1), head(2))]
    x, y = (np.concatenate(part).astype(float) for part in zip(*pairs, strict=True))
    slope, intercept = np.polyfit(x, y, 1)
    for case, seed in (("test_1", 4), ("test_2", 5)):
        source, target, mask = head(seed)
        expected = masked_mae(slope * source + intercept, target, mask)["mae"]
        assert table(tmp_path).loc[(case, "linear_fit"), "mae"] == pytest.approx(expected, rel=1e-6)


def test_without_training_cases_the_copy_is_the_source_and_the_log_says_so(tmp_path, cases, caplog):
    evaluation(tmp_path, {**cases, "training": [], "validation": []}).run()
    source, target, mask = head(4)
    assert table(tmp_path).loc[("test_1", "copy_input"), "mae"] == pytest.approx(
        masked_mae(source, target, mask)["mae"]
    )
    assert "no training case to fit the baseline linear_fit: copy_input is the baseline" in caplog.text


@pytest.mark.parametrize(("shift", "worse"), [(200.0, True), (45.0, False)])
def test_a_model_worse_than_the_line_says_so(tmp_path, cases, capsys, shift, worse):
    """The model is 8 x source - 300 HU and a shift; the law of the tested cases is shifted by 40 and 50 HU."""
    network = torch.nn.Conv2d(1, 1, 1)  # of [-1, 1] for [0, 100], to [-1, 1] for [-1000, 1000]
    torch.nn.init.constant_(network.weight, 0.4)
    torch.nn.init.constant_(network.bias, 0.1 + shift / 1000)
    save_model(tmp_path / "run", network)
    summary = evaluation(tmp_path, cases, network).run()
    model, line = (summary[name]["mae"]["mean"] for name in ("model", "linear_fit"))
    assert (model > line) is worse
    sentence = f"worse than the linear-fit baseline (MAE {model:.1f} against {line:.2f} HU)"
    written = json.loads((tmp_path / "run" / "evaluation" / "summary.json").read_text())
    assert written["model"]["mae"].get("warning") == (sentence if worse else None)
    assert (f"warning: model is {sentence}" in capsys.readouterr().out) is worse
    assert (f"<b>model</b>: {sentence}" in (tmp_path / "run" / "evaluation" / "report.html").read_text()) is worse


def test_a_truth_that_is_no_ct_is_not_scored_in_hu(tmp_path, cases):
    path = cases["test"][1]["label"]
    image = nib.load(path)
    nib.save(nib.Nifti1Image(np.abs(image.get_fdata()), image.affine), path)
    with pytest.raises(DataError, match=r"test_2: truth is not a CT in HU \(no value below 0, .*\), but is scored"):
        evaluation(tmp_path, cases).run()
    evaluation(tmp_path, cases, unit="a.u.").run()


def test_a_range_without_a_value_of_the_truth_names_the_case(tmp_path, cases):
    metric = partial(score, value_range=(5000.0, 6000.0))
    with pytest.raises(ConfigError, match="test_1: --value_range is 5000 to 6000, without a value of the truth"):
        evaluation(tmp_path, cases, metrics=[metric]).run()


def test_an_evaluation_that_could_not_be_written_scores_nothing(tmp_path, cases):
    def scored(pred: np.ndarray) -> dict[str, float]:
        raise AssertionError("scored before its folder was tried")

    (tmp_path / "run").mkdir(exist_ok=True)
    (tmp_path / "run" / "evaluation").write_text("a file of another program")
    with pytest.raises(OutputError, match=r"cannot write .*evaluation \(File exists\): free space or choose another"):
        evaluation(tmp_path, cases, metrics=[scored]).run()


def halved_from_below(source: np.ndarray) -> np.ndarray:
    """Half of the source, and 100 more for each slice from the lowest."""
    return source / 2 + 100 * np.arange(source.shape[2])


def test_references_are_functions_of_the_source_in_ras_order(tmp_path, cases, capsys):
    """test_2 has the axes PSR: its slices from below lie along the second one."""
    evaluation(tmp_path, cases, references={"halved": halved_from_below}).run()
    for case, seed in (("test_1", 4), ("test_2", 5)):
        source, target, mask = head(seed)
        expected = masked_mae(halved_from_below(source), target, mask)["mae"]
        assert table(tmp_path).loc[(case, "halved"), "mae"] == pytest.approx(expected, rel=1e-6)
    assert "halved" in capsys.readouterr().out
    assert "halved" in (tmp_path / "run" / "evaluation" / "report.html").read_text()


def test_a_reference_of_another_task_names_the_overlay(tmp_path, cases):
    def of_colours(source):
        raise DataError("no training case has a target in colour", "give RGB pictures")

    with pytest.raises(
        DataError, match=r"^test_1, reference stain: no .*; evaluations of another task take the --over"
    ):
        evaluation(tmp_path, cases, references={"stain": of_colours}).run()


def test_a_reference_gets_all_channels_of_a_source_that_has_several(tmp_path, cases):
    """And a metric by the name ``channels``, with the axes of the file, PSR in test_2."""
    for item in (item for items in cases.values() for item in items):
        image = nib.Nifti1Image.from_filename(item["image"])
        nib.save(nib.Nifti1Image(2 * image.get_fdata(dtype=np.float32), image.affine), tmp_path / f"{item['case']}.nii")
        item["image"] = [item["image"], str(tmp_path / f"{item['case']}.nii")]

    def error_of_the_second(truth, channels):
        return {"second": float(np.abs(channels[..., 1] - truth).mean())}

    summed = {"summed": lambda channels: channels.sum(-1)}
    evaluation(tmp_path, cases, references=summed, metrics=[masked_mae, error_of_the_second]).run()
    for case, seed in (("test_1", 4), ("test_2", 5)):
        source, target, mask = head(seed)
        row = table(tmp_path).loc[(case, "summed")]
        assert row["mae"] == pytest.approx(masked_mae(3 * source, target, mask)["mae"], rel=1e-6)
        assert row["second"] == pytest.approx(np.abs(2 * source - target).mean(), rel=1e-6)


def variant_config() -> dict:
    """A run's configuration with another network and plane than the model's."""
    load = {"_target_": "common.transforms.LoadVolumed", "keys": "image"}
    turn = {"_target_": "Orientationd", "keys": "image", "axcodes": "RAS", "labels": None}
    resample = {"_target_": "common.transforms.WorkingSpacingd", "keys": "image", "spacing": None}
    scale = {"_target_": "common.transforms.ScaleWindowd", "keys": "image", "window": [0, 100]}
    undo = {"_target_": "Invertd", "keys": "pred", "orig_keys": "image", "transform": "@preprocessing"}
    unit = {"_target_": "common.transforms.ToUnitd", "keys": "pred", "window": [-1000, 1000]}
    return {
        "network_def": {"_target_": f"{__name__}.Shift"},
        "preprocessing": {"_target_": "Compose", "transforms": [load, turn, resample, scale]},
        "validate": {"inferer": {"_target_": "common.stitching.PlaneInferer", "plane": "axial", "multiple_of": 4}},
        "restore": {"_target_": "Compose", "transforms": [{**undo, "nearest_interp": False}, unit]},
        "unrelated": "@absent",
    }


@pytest.fixture
def running() -> RunRecord:
    """The evaluation's own configuration, which has what restores grid and unit, and names the user's own class."""
    return RunRecord({name: variant_config()[name] for name in ("restore", "network_def")})


def test_a_variant_is_evaluated_as_its_own_network(tmp_path, cases, running):
    variant = Shift()
    variant.shift.data.fill_(0.25)  # 0.25 of half the target's window: 250 HU
    save_model(tmp_path / "run" / "variants" / "no_adversarial", variant)
    run = tmp_path / "run" / "variants" / "no_adversarial" / "run.json"
    run.write_text(json.dumps({"config": variant_config()}))
    evaluation(tmp_path, cases, record=running).run()
    rows = table(tmp_path)
    assert {method for _, method in rows.index} == {"model", "no_adversarial", "linear_fit"}
    for case in ("test_1", "test_2"):
        difference = rows.loc[(case, "no_adversarial"), "me"] - rows.loc[(case, "model"), "me"]
        assert difference == pytest.approx(250, abs=1e-3)


@pytest.mark.parametrize(("images", "scored"), [("of t2", False), ("of t1", True)])
def test_a_variant_of_other_source_images_is_left_out_with_the_command_for_it(
    tmp_path, cases, running, caplog, images, scored
):
    """Its network would be given what it was not trained on, and its row would look like any other."""
    run, other = tmp_path / "run", tmp_path / "run" / "variants" / "other"
    for folder, network, source, read in ((run, Scale(1.0), "t1", "of t1"), (other, Shift(), "t2", images)):
        about = described(variant_config(), "mr2ct") | {"trained_on": {"source": source, "images_sha256": read}}
        save(network.state_dict(), folder / "models" / "model.pt", about)
    rows = evaluation(tmp_path, cases, record=running).run()
    assert ("other" in rows) == scored
    said = f"variant other is left out: it was trained on t2, the model on t1: evaluate --output_dir {other}"
    assert (said in caplog.text) != scored


@pytest.mark.parametrize("name", ["model", "linear_fit"])
def test_a_variant_by_the_name_of_another_row_is_refused(tmp_path, cases, name):
    """Its scores would be those of the model, or be lost to the baseline."""
    save_model(tmp_path / "run" / "variants" / name, Scale(0.5))
    with pytest.raises(ConfigError, match=f"^variant .*{name} has the name of another row, .*: rename its folder$"):
        evaluation(tmp_path, cases).run()


@pytest.mark.parametrize(("epochs", "row"), [((1, 2), "half (epoch 2 of 6)"), ((1, 2, 3, 4, 5, 6), "half")])
def test_a_variant_that_is_half_trained_says_so(tmp_path, cases, running, epochs, row):
    folder = tmp_path / "run" / "variants" / "half"
    save_model(folder, Shift())
    planned = {"stages": 2, "max_epochs": 3, "train": {"trainer": {"max_epochs": "$@stages * @max_epochs"}}}
    (folder / "run.json").write_text(json.dumps({"config": variant_config() | planned}))
    (folder / "log.csv").write_text("\n".join(["epoch,loss", *(f"{epoch},1" for epoch in epochs)]))
    assert set(evaluation(tmp_path, cases, record=running).run()) == {"model", row, "linear_fit"}


def test_without_a_mask_the_head_is_found_in_any_orientation(tmp_path, cases):
    # A cavity along z, open at both ends, is closed in axial slices alone: it must be filled whichever axis is axial.
    sizes = []
    for number, axes in enumerate(("RAS", "PIR")):
        item = write(tmp_path, f"bare_{number}", 1, axes, mask=False)
        target = np.full(SHAPE, -1000, np.float32)
        target[2:10, 2:10] = 40
        target[5:7, 5:7] = -1000
        image = nib.Nifti1Image(target, RAS).as_reoriented(_from_ras(nib.orientations.axcodes2ornt(axes)))
        nib.save(image, item["label"])
        sizes.append(load_case(item, -990.0).mask.sum())
    assert sizes == [8 * 8 * 13] * 2


def viewer_of(folder: Path) -> dict:
    page = (folder / "run" / "evaluation" / "report.html").read_text()
    return json.loads(re.search(r'id="viewer-data">(.*?)</script>', page, re.DOTALL)[1])


def test_the_report_shows_the_worst_case_first_and_the_errors_by_tissue(tmp_path, cases):
    save_model(tmp_path / "run", Scale(0.5))
    evaluation(tmp_path, cases, panel_cases=12).run()
    mae = {case: table(tmp_path).loc[(case, "model"), "mae"] for case in ("test_1", "test_2")}
    order = sorted(mae, key=mae.get, reverse=True)
    shown = viewer_of(tmp_path)["cases"]
    assert [case["name"] for case in shown] == order
    for case, seed in (("test_1", 4), ("test_2", 5)):
        data = shown[order.index(case)]
        assert data["shape"] == list(SHAPE)  # test_2 is stored with other axes
        np.testing.assert_allclose(data["affine"], RAS, atol=1e-4)
        source, target, mask = head(seed)
        error = gaussian_filter(np.where(mask > 0, np.abs(10.0 * source - 500 - target), 0), (1, 1, 0.8))
        assert data["at"] == list(np.unravel_index(np.argmax(np.where(mask > 0, error, -1)), SHAPE))
    assert "Errors by tissue" in (tmp_path / "run" / "evaluation" / "report.html").read_text()


@pytest.mark.parametrize("key", ["label", "mask"])
@pytest.mark.parametrize("shift", [0.2, 0.05])
def test_another_grid_than_the_source(tmp_path, cases, key, shift):
    path = cases["test"][0][key]
    image = nib.load(path)
    moved = image.affine.copy()
    moved[1, 3] += shift
    nib.save(nib.Nifti1Image(np.asarray(image.dataobj), moved), path)
    if shift > 0.1:  # the tolerance of the data check, in mm
        with pytest.raises(DataError, match=rf"test_1: {key} has shape .*, the source shape \(12, 14, 13\)"):
            evaluation(tmp_path, cases).run()
    else:
        assert load_case(cases["test"][0], -990.0).truth.shape == SHAPE


def test_truth_and_mask_of_the_same_world_in_another_order_of_axes(cases):
    plain = load_case(cases["test"][0], -990.0)
    for key in ("label", "mask"):
        image = nib.load(path := cases["test"][0][key])
        nib.save(image.as_reoriented(nib.orientations.axcodes2ornt("SLA")), path)
        assert nib.load(path).shape != SHAPE
    turned = load_case(cases["test"][0], -990.0)
    assert np.array_equal(turned.truth, plain.truth)
    assert np.array_equal(turned.mask, plain.mask)


def test_a_prediction_that_was_not_inverted(tmp_path, cases):
    cases["test"] = [write(tmp_path, "flipped", 4, "LPS")]  # the same shape as in RAS
    forgetful = Compose([ToUnitd("pred", window=[-1000, 1000])])
    with pytest.raises(DataError, match="flipped: prediction has shape .*, the source shape"):
        evaluation(tmp_path, cases, postprocessing=forgetful).run()


def test_a_metric_gets_what_it_asks_for_by_name_and_rests_where_a_case_lacks_it(tmp_path, cases):
    del cases["test"][0]["label"]

    def copied(pred, source):
        return {"copied": float(np.abs(pred - source).mean())}

    evaluation(tmp_path, cases, metrics=[masked_mae, copied], linear_fit=False).run()
    rows = table(tmp_path)
    assert np.isnan(rows.loc[("test_1", "copy_input"), "mae"])
    source, target, mask = head(5)
    assert rows.loc[("test_2", "copy_input"), "mae"] == pytest.approx(masked_mae(source, target, mask)["mae"], rel=1e-6)
    assert list(rows.xs("copy_input", level="method")["copied"]) == [0, 0]


def test_a_metric_of_what_no_case_has_is_refused_before_anything_is_computed(tmp_path, cases):
    fault = r"metrics::1 has the argument prediction, which no case has: choose pred, truth, mask"
    with pytest.raises(ConfigError, match=fault):
        evaluation(tmp_path, cases, metrics=[masked_mae, lambda prediction: {}]).run()
    assert not (tmp_path / "evaluation").exists()


def test_channels_of_one_file_and_a_truth_on_another_grid_are_read_as_in_training(tmp_path):
    ramp = np.broadcast_to(np.arange(12.0, dtype=np.float32)[:, None, None], SHAPE)
    nib.save(nib.Nifti1Image(np.stack([ramp, 9 * ramp], axis=-1), RAS), tmp_path / "maps.nii.gz")
    coarse = RAS @ np.diag([2, 1, 1, 1])  # every second voxel along x
    nib.save(nib.Nifti1Image(np.ascontiguousarray(ramp[::2]), coarse), tmp_path / "truth.nii.gz")
    item = {"case": "c", "image": str(tmp_path / "maps.nii.gz"), "label": str(tmp_path / "truth.nii.gz")}
    reader = VolumeReader(channels=2, resample=True)
    case = load_case(item, 0.5, reader)
    assert np.array_equal(case.source, ramp)
    assert np.array_equal(case.channels, np.stack([ramp, 9 * ramp], axis=-1))
    assert case.truth[:11] == pytest.approx(ramp[:11], abs=1e-5)
    with pytest.raises(DataError, match=r"c: label has shape .*, the source shape \(12, 14, 13\)"):
        load_case(item, 0.5, VolumeReader(channels=2))


def test_a_label_map_keeps_its_values_and_is_the_head_above_a_threshold(tmp_path):
    labels = np.zeros(SHAPE, np.float32)
    labels[2:8, 2:8, 2:8], labels[8:10, 2:8, 2:8] = 1, 40
    nib.save(nib.Nifti1Image(labels, RAS), tmp_path / "labels.nii.gz")
    nib.save(nib.Nifti1Image(labels * 10 + 3, RAS), tmp_path / "truth.nii.gz")
    item = {"case": "c", "image": str(tmp_path / "labels.nii.gz"), "label": str(tmp_path / "truth.nii.gz")}
    case = load_case(item, 0, standardise=True, labelled=True)
    assert np.array_equal(case.source, labels)
    assert np.array_equal(case.mask, labels > 0)
    assert case.truth[case.mask].mean() == pytest.approx(0, abs=1e-5)


def test_standardised_source_and_truth_have_mean_zero_and_deviation_one_in_the_head_of_the_source(tmp_path):
    item = write(tmp_path, "z", 3, mask=False)
    case = load_case(item, None, standardise=True)
    for volume in (case.source, case.truth):
        assert volume[case.mask].mean() == pytest.approx(0, abs=1e-5)
        assert volume[case.mask].std(ddof=1) == pytest.approx(1, abs=1e-5)


AFFINE = np.diag([-2.0, 2, 2, 1])
"""Left-anterior-superior: preprocessing turns it."""


def validated(tmp_path, postprocessing=None):
    """Metrics of a validation of 20 x source, where half of the target is 1000 HU, beyond the window of 480 HU."""
    source = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    target = np.where(source < 12, 20 * source, 1000)
    volumes = {"image": source, "label": target, "mask": np.ones(source.shape)}
    for name, values in volumes.items():
        nib.save(nib.Nifti1Image(values.astype(np.float32), AFFINE), tmp_path / f"{name}.nii.gz")
    item = {"case": "a", **{name: str(tmp_path / f"{name}.nii.gz") for name in volumes}}
    keys = ["image", "label", "mask"]
    prepare = Compose(
        [LoadVolumed(keys), Orientationd(keys, "RAS", allow_missing_keys=True, labels=None),
         ScaleWindowd("image", [0, 24]), ScaleWindowd("label", [0, 480])]
    )  # fmt: skip
    undo = Compose([Invertd("pred", prepare, "image", nearest_interp=False), ToUnitd("pred", [0, 480])])
    dataset = SourceDataset([item], prepare)
    evaluator = SupervisedEvaluator(
        device=torch.device("cpu"), val_data_loader=DataLoader(dataset, batch_size=1),
        network=torch.nn.Identity(), postprocessing=postprocessing or undo, key_val_metric=output_error(dataset, "HU"),
    )  # fmt: skip
    evaluator.run()
    return evaluator.state.metrics


def test_the_error_is_against_the_unclipped_target_in_its_unit(tmp_path):
    """Of 20 x source, the lower half is right; the upper is 1000 - 20 (12 + ... + 23) / 12 = 650 HU away."""
    assert validated(tmp_path) == {"mae_HU": pytest.approx(650 / 2, rel=1e-5)}


def test_an_output_on_another_grid_is_refused(tmp_path):
    with pytest.raises(DataError, match="a: prediction .*check that restore inverts preprocessing"):
        validated(tmp_path, Compose([ToUnitd("pred", [0, 480])]))
