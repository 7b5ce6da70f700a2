"""A batch of cases: the good ones are written, the bad ones are listed, and nothing is computed in vain."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from bundle_commands import snapshot
from monai.data import ThreadDataLoader
from monai.transforms import Compose, Invertd, Orientationd
from toy_networks import Scale

from common import devices
from common.config import RunRecord
from common.errors import CasesFailedError, ConfigError, OutputError
from common.inference import CaseDataset, CaseEvaluator
from common.io import VolumeReader
from common.io.export import VolumeExporter
from common.runs import WeightsLoader
from common.stitching import PlaneInferer
from common.transforms import LoadVolumed, ScaleWindowd, ToUnitd
from common.weights import checkpoints

SHAPE = (4, 5, 6)
PERMUTED = np.array([[0, -2.0, 0, 90], [0, 0, 1.5, -80], [-3.0, 0, 0, 70], [0, 0, 0, 1]])


def values(number: int) -> np.ndarray:
    return np.random.default_rng(number).uniform(0, 100, SHAPE).astype(np.float32)


@pytest.fixture
def cases(tmp_path):
    """Three cases; a test spoils the second."""
    items = []
    for number in range(3):
        path = tmp_path / f"case_{number}.nii.gz"
        nib.save(nib.Nifti1Image(values(number), PERMUTED), path)
        items.append({"case": f"case_{number}", "image": str(path)})
    return items


@pytest.fixture
def network(tmp_path):
    network = Scale(0.5)
    checkpoints.save(network.state_dict(), tmp_path / "model.pt")
    return network


def build(
    folder: Path,
    cases: list,
    network: torch.nn.Module,
    inferer=None,
    num_workers: int = 0,
    device: str = "cpu",
    output_format: str = "nifti",
    overwrite: bool = False,
    **settings,
) -> CaseEvaluator:
    load = [LoadVolumed("image"), Orientationd("image", axcodes="RAS", labels=None)]
    preprocessing = Compose([*load, ScaleWindowd("image", window=[0, 100])])
    inverse = Invertd("pred", preprocessing, orig_keys="image", nearest_interp=False)
    dataset = CaseDataset(cases, preprocessing)
    weights = str(folder / "model.pt")
    return CaseEvaluator(
        VolumeExporter(str(folder / "out"), "ct", "CT", "HU", "bundle 1", weights, output_format, overwrite=overwrite),
        device=torch.device(device),
        val_data_loader=ThreadDataLoader(dataset, batch_size=1, num_workers=num_workers),
        network=network,
        inferer=inferer or PlaneInferer("axial", multiple_of=1),
        postprocessing=Compose([inverse, ToUnitd("pred", window=[-1000, 1000])]),
        val_handlers=[WeightsLoader(network, weights)],
        **settings,
    )


@pytest.mark.parametrize("device", sorted({"cpu", devices.single_device().type}))
def test_values_and_grid_by_hand(tmp_path, cases, network, device):
    # [0, 100] -> [-1, 1], halved, [-1, 1] -> [-1000, 1000]: v -> 10 v - 500
    build(tmp_path, cases, network.to(device), device=device).run()
    for number in range(3):
        image = nib.load(tmp_path / "out" / f"case_{number}_ct.nii.gz")
        np.testing.assert_allclose(image.get_fdata(), 10 * values(number) - 500, atol=0.51)
        np.testing.assert_array_equal(image.affine, PERMUTED)
    assert json.loads((tmp_path / "out" / "manifest.json").read_text()) == [
        {"case": f"case_{number}", "status": "done", "file": f"case_{number}_ct.nii.gz"} for number in range(3)
    ]


@pytest.mark.parametrize("num_workers", [0, 1])
def test_an_unreadable_case_does_not_stop_the_others(tmp_path, cases, network, num_workers):
    Path(cases[1]["image"]).write_bytes(b"<html>log in first</html>")
    with pytest.raises(CasesFailedError, match=r"^1 of 3 cases failed: case_1 \(a web page \(HTML or XML\), not a"):
        build(tmp_path, cases, network, num_workers=num_workers).run()
    written = sorted(path.name for path in (tmp_path / "out").glob("*.nii.gz"))
    assert written == ["case_0_ct.nii.gz", "case_2_ct.nii.gz"]
    outcomes = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert [outcome["status"] for outcome in outcomes] == ["done", "failed", "done"]
    assert "a web page (HTML or XML)" in outcomes[1]["reason"]
    assert "case_1" in outcomes[1]["reason"]


@pytest.mark.parametrize(
    ("factor", "fault"),
    [
        (float("nan"), "case_1_ct.nii.gz: the synthetic volume has 120 voxels of NaN or infinity"),
        (1e-6, "case_1: the synthetic volume varies by less than 0.0001 as the network sees it, "),
    ],
)
def test_nan_or_one_value_of_the_network_fails_its_case_alone(tmp_path, cases, network, factor, fault):
    calls = iter([1.0, factor, 1.0])
    plain = PlaneInferer("axial", multiple_of=1)
    with pytest.raises(CasesFailedError, match=r"^1 of 3 cases failed: case_1 \("):
        build(tmp_path, cases, network, lambda inputs, model: plain(inputs, model) * next(calls)).run()
    statuses = {case: each["status"] for case, each in outcomes(tmp_path).items()}
    assert list(statuses.items()) == [("case_0", "done"), ("case_1", "failed"), ("case_2", "done")]
    assert outcomes(tmp_path)["case_1"]["reason"].startswith(fault)
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == [*(f"case_{n}_ct.{kind}" for n in (0, 2) for kind in ("json", "nii.gz")), "manifest.json"]


def test_an_error_of_no_user_is_named_with_its_type(tmp_path, cases, network):
    def broken(inputs, model):
        raise RuntimeError("out of memory")

    with pytest.raises(CasesFailedError, match=r"^3 of 3 cases failed: case_0, case_1, case_2 \("):
        build(tmp_path, cases, network, broken).run()
    (reason,) = {outcome["reason"] for outcome in json.loads((tmp_path / "out" / "manifest.json").read_text())}
    assert reason == "the inference fails (RuntimeError: out of memory): check the case and the settings"


def test_cases_without_names_are_numbered(tmp_path, cases, network):
    build(tmp_path, [{"image": item["image"]} for item in cases[:2]], network).run()
    assert list(outcomes(tmp_path)) == ["0", "1"]


def test_nothing_is_computed_when_an_output_exists(tmp_path, cases, network):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "case_2_ct.nii.gz").write_bytes(b"earlier")
    with pytest.raises(OutputError, match="case_2_ct.nii.gz already exists"):
        build(tmp_path, cases, network).run()
    assert network.given == []
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["case_2_ct.nii.gz"]
    assert (tmp_path / "out" / "case_2_ct.nii.gz").read_bytes() == b"earlier"


def test_nothing_is_computed_for_an_option_of_series_that_no_case_has(tmp_path, cases, network):
    before = snapshot(tmp_path)
    evaluator = build(tmp_path, cases, network)
    evaluator.exporter.reader = VolumeReader(series="1.2.3")
    with pytest.raises(
        ConfigError, match="--series chooses among DICOM series, the inputs are files: omit it, or give"
    ):
        evaluator.run()
    assert network.given == []
    assert snapshot(tmp_path) == before


def test_the_cases_of_other_processes_count(tmp_path, cases, network, monkeypatch):
    """This process writes case_0 and case_2, whose output is the input of the case that another one has."""
    cases[1]["image"] = str(tmp_path / "out" / "case_2_ct.nii.gz")
    monkeypatch.setattr(devices, "deal", lambda items: list(items[::2]))
    monkeypatch.setattr(devices, "gather", lambda items: [items[0], cases[1], *items[1:]])
    with pytest.raises(OutputError, match="case_2_ct.nii.gz would replace .*, an input of the same run"):
        build(tmp_path, cases, network).run()
    assert network.given == []
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("given", "refused"), [("{out}/manifest.json", True), ("@other", False), (None, False)])
def test_the_datalist_of_the_run_is_no_output(tmp_path, cases, network, given, refused):
    config = {"datalist": given and given.format(out=tmp_path / "out"), "other": "a.json"}
    evaluator = build(tmp_path, cases, network, record=RunRecord(config))
    evaluator.exporter.overwrite = True
    if refused:
        with pytest.raises(OutputError, match="manifest.json would replace .*, an input of the same run"):
            evaluator.run()
    else:
        evaluator.run()
    assert (tmp_path / "out").exists() is not refused


@pytest.mark.parametrize(
    "error",
    [
        MemoryError("Unable to allocate 3.00 GiB for an array"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 12884901888 bytes."),
    ],
)
def test_memory_that_ends_in_one_case_is_named(tmp_path, cases, network, error):
    def end(item):
        if item["case"] == "case_1":
            raise RuntimeError("applying transform <object at 0x7f>") from error
        return item

    evaluator = build(tmp_path, cases, network)
    inner = evaluator.data_loader.dataset.transform
    evaluator.data_loader.dataset.transform = lambda item: inner(end(item))
    with pytest.raises(CasesFailedError, match=r"^1 of 3 cases failed: case_1 \("):
        evaluator.run()
    reason = outcomes(tmp_path)["case_1"]["reason"]
    assert reason == f"out of memory: {error}; lower --inference_batch, or pass a coarser --spacing"


def test_a_resumed_run_writes_the_rest_and_keeps_what_is_there(tmp_path, cases, network):
    build(tmp_path, cases, network).run()
    (tmp_path / "out" / "case_1_ct.nii.gz").unlink()
    kept = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("*_[02]_ct.nii.gz")}
    (tmp_path / "out" / ".unfinished-abc").mkdir()  # as a killed writer of a series leaves behind
    network.given.clear()
    build(tmp_path, cases, network, resume=True).run()
    assert not list((tmp_path / "out").glob(".unfinished-*"))
    assert [each["status"] for each in outcomes(tmp_path).values()] == ["kept", "done", "kept"]
    assert {name: (tmp_path / "out" / name).stat().st_mtime_ns for name in kept} == kept
    assert network.given
    build(tmp_path, cases, network, resume=True).run()  # nothing is left to do
    assert [each["status"] for each in outcomes(tmp_path).values()] == ["kept"] * 3


def test_the_manifest_says_what_the_weights_saw_and_keeps_warnings(tmp_path, cases, network, monkeypatch):
    monkeypatch.setattr("common.io.export.exporter.origin", lambda weights: "simulated heads, no patient")
    evaluator = build(tmp_path, cases, network)
    evaluator.warnings["case_1"] = ["unlike the training data: voxels of 8 mm"]
    evaluator.run()
    first = outcomes(tmp_path)
    assert {each["weights_trained_on"] for each in first.values()} == {"simulated heads, no patient"}
    build(tmp_path, cases, network, resume=True).run()
    assert outcomes(tmp_path) == {case: {**each, "status": "kept"} for case, each in first.items()}
    assert outcomes(tmp_path)["case_1"]["warnings"] == ["unlike the training data: voxels of 8 mm"]


def test_a_case_is_read_and_computed_while_the_one_before_is_written(tmp_path, cases, network):
    plain, written, seen = PlaneInferer("axial", multiple_of=1), [], []

    def watched(inputs, model):
        seen.append(list(written))
        return plain(inputs, model)

    evaluator = build(tmp_path, cases, network, watched)
    write, gate = evaluator.exporter.write, threading.Event()

    def slow(item, values):
        if item["case"] == "case_0":
            assert gate.wait(600), "only computing the next case opens it"
        path = write(item, values)
        written.append(item["case"])
        return path

    def opening(inputs, model):
        done = watched(inputs, model)
        if len(seen) == 2:
            gate.set()
        return done

    evaluator.exporter.write = slow
    evaluator.inferer.inferer = opening
    evaluator.run()
    assert seen[1] == []
    assert written == ["case_0", "case_1", "case_2"]


@pytest.mark.parametrize(("precision", "least", "most"), [("bf16", 1e-6, 12.0), ("fp16", 0.0, 2.0)])
def test_half_precision_is_near_and_gives_32_bits(tmp_path, cases, precision, least, most):
    torch.manual_seed(0)
    network = torch.nn.Conv2d(1, 1, 1)  # autocast reaches convolutions
    checkpoints.save(network.state_dict(), tmp_path / "model.pt")
    made = {}
    for bits in ("fp32", precision):
        evaluator = build(tmp_path, cases[:1], network, precision=bits)
        evaluator.exporter.overwrite = True
        evaluator.exporter.format.dtype = "float32"
        evaluator.run()
        image = nib.load(tmp_path / "out" / "case_0_ct.nii.gz")
        assert image.get_data_dtype() == np.float32
        made[bits] = image.get_fdata()
    difference = np.abs(made[precision] - made["fp32"]).max()
    assert least <= difference < most  # of 2000 HU; bfloat16 has 8 bits


def as_cases(folder, **volumes):
    items = []
    for name, values in volumes.items():
        nib.save(nib.Nifti1Image(values.astype(np.float32), PERMUTED), folder / f"{name}.nii.gz")
        items.append({"case": name, "image": str(folder / f"{name}.nii.gz")})
    return items


def outcomes(folder):
    return {each["case"]: each for each in json.loads((folder / "out" / "manifest.json").read_text())}


def test_names_links_and_pipes_that_cannot_be_used_fail_alone(tmp_path, network):
    items = as_cases(tmp_path, good=values(0))
    (tmp_path / "loop.nii.gz").symlink_to("loop.nii.gz")
    os.mkfifo(tmp_path / "pipe.nii.gz")
    items += [{"case": name, "image": str(tmp_path / f"{name}.nii.gz")} for name in ("loop", "pipe")]
    items += [{"case": "a\udcff", "image": items[0]["image"]}]
    with pytest.raises(CasesFailedError, match="^3 of 4 cases failed: "):
        build(tmp_path, items, network).run()
    found = outcomes(tmp_path)
    assert found["good"]["status"] == "done"
    assert found["'a\\udcff'"]["reason"].startswith("the name of the file, 'a\\udcff', is not UTF-8: rename it")
    assert "a pipe, socket or device" in found["pipe"]["reason"]
    assert found["loop"]["status"] == "failed"


def test_a_source_outside_its_window_fails(tmp_path, network):
    items = as_cases(tmp_path, unit=values(0) / 100)  # a window of [0, 100]
    evaluator = build(tmp_path, items, network)
    fault = "unit: the source varies by less than 0.1 as the network sees it, -0.99"
    with pytest.raises(CasesFailedError, match=f"^{fault}.*: check"):  # the reason of the only case
        evaluator.run()
    assert outcomes(tmp_path)["unit"]["reason"].startswith(fault)


def test_warnings_of_files_and_handlers_are_written_with_their_case(tmp_path, network, caplog):
    items = as_cases(tmp_path, plain=values(0), doubtful=values(1))
    image = nib.load(items[1]["image"])
    image.set_qform(np.diag([1.0, 1, 1, 1]), 1)  # another grid than the sform's
    nib.save(image, items[1]["image"])
    evaluator = build(tmp_path, items, network)
    evaluator.warnings["doubtful"] = ["unlike the training data: another contrast"]
    evaluator.run()
    written = {name: json.loads((tmp_path / "out" / f"{name}_ct.json").read_text()) for name in ("plain", "doubtful")}
    assert written["plain"]["Warnings"] == []
    assert "warnings" not in outcomes(tmp_path)["plain"]
    assert written["doubtful"]["Warnings"] == outcomes(tmp_path)["doubtful"]["warnings"]
    of_file, of_handler = written["doubtful"]["Warnings"]
    assert of_file.startswith("sform and qform differ (sform ")
    assert of_handler == "unlike the training data: another contrast"
    assert of_file in caplog.text


def test_a_page_is_written_on_demand_and_never_replaced_unasked(tmp_path, cases, network):
    build(tmp_path, cases[:1], network).run()
    assert not (tmp_path / "out" / "report.html").exists()
    (tmp_path / "out" / "report.html").write_text("mine")
    evaluator = build(tmp_path, cases[1:2], network, report=True)
    with pytest.raises(OutputError, match=r"report.html already exists: pass --overwrite true"):
        evaluator.run()
    assert (tmp_path / "out" / "report.html").read_text() == "mine"
    evaluator = build(tmp_path, cases[1:2], network, report=True)
    evaluator.exporter.overwrite = True
    evaluator.run()
    assert "bundle: synthetic volumes" in (tmp_path / "out" / "report.html").read_text()
