"""The page of an inference without truth: images and measures of the files, warnings, failed cases."""

import json
import re

import nibabel as nib
import numpy as np
import pytest

from common.evaluation.inference_report import InferenceReport, quality
from common.evaluation.report import Panel
from common.io.export import VolumeExporter

SHAPE = (18, 20, 22)
PERMUTED = np.array([[0, -2.0, 0, 90], [0, 0, 1.5, -80], [-3.0, 0, 0, 70], [0, 0, 0, 1]])


@pytest.fixture
def exporter(tmp_path):
    """Three cases with their synthetic volumes: 10 v - 500 HU of sources v from 0 to 100."""
    exporter = VolumeExporter(str(tmp_path / "out"), "ct", "CT", "HU", "bundle 1", str(tmp_path / "model.pt"))
    (tmp_path / "model.pt").write_bytes(b"weights")
    exporter.output_dir.mkdir()
    for number in range(3):
        source = np.random.default_rng(number).uniform(0, 100, SHAPE).astype(np.float32)
        nib.save(nib.Nifti1Image(source, PERMUTED), tmp_path / f"case_{number}.nii.gz")
        nib.save(nib.Nifti1Image(10 * source - 500, PERMUTED), exporter.path(f"case_{number}"))
    return exporter


def page_of(folder, exporter, outcomes, settings=None):
    items = [{"case": f"case_{number}", "image": str(folder / f"case_{number}.nii.gz")} for number in range(3)]
    InferenceReport(exporter, settings or {}).write(items, outcomes)
    page = (folder / "out" / "report.html").read_text(encoding="utf-8")
    return page, json.loads(re.search(r'id="viewer-data">(.*?)</script>', page, re.DOTALL)[1])


def done(number):
    return {"case": f"case_{number}", "status": "done", "file": f"case_{number}_ct.nii.gz"}


def test_images_of_every_case_in_the_patients_space(tmp_path, exporter):
    page, viewer = page_of(tmp_path, exporter, [done(0), done(1), {**done(2), "status": "kept"}])
    assert [case["name"] for case in viewer["cases"]] == ["case_0", "case_1", "case_2"]
    assert viewer["limit"] is None
    case = viewer["cases"][0]
    assert [image["name"] for image in case["images"]] == ["Source", "Synthetic"]
    turned = nib.as_closest_canonical(nib.load(exporter.path("case_0")))
    assert case["shape"] == list(turned.shape)
    assert case["spacing"] == pytest.approx([2.0, 1.5, 3.0])
    assert np.allclose(case["affine"], turned.affine)
    assert "Head volume" in page
    assert "Paired tests" not in page
    assert "At the lower end" not in page  # no window is known


def test_the_window_of_the_network_gives_the_shares_at_its_ends(tmp_path, exporter):
    settings = {"source_window": [-500, 500], "target_window": "@source_window"}
    page, _ = page_of(tmp_path, exporter, [done(0)], settings)
    assert "At the lower end" in page
    assert "-500.0 to 500.0 HU" in page


def test_warned_cases_come_first_and_failures_are_named(tmp_path, exporter):
    failed = {"case": "case_1", "status": "failed", "reason": "NaN <in> it"}
    warned = {**done(2), "warnings": ["unlike the training data: voxels of 8.0 mm"]}
    page, viewer = page_of(tmp_path, exporter, [done(0), failed, warned])
    assert [case["name"] for case in viewer["cases"]] == ["case_2", "case_0"]
    assert viewer["cases"][0]["warnings"] == ["unlike the training data: voxels of 8.0 mm"]
    assert "<b>case_2</b>: unlike the training data: voxels of 8.0 mm" in page
    assert "<b>case_1</b>: failed: NaN &lt;in&gt; it" in page


@pytest.mark.parametrize("status", ["failed", "refused"])
def test_no_page_where_no_case_has_a_volume(tmp_path, exporter, status):
    InferenceReport(exporter, {}).write([], [{"case": "case_1", "status": status, "reason": "NaN"}])
    assert not (tmp_path / "out" / "report.html").exists()


def test_measures_by_hand():
    synthetic = np.array([-1000.0, -990, 0, 20, 40, 500, 700, 1000]).reshape(2, 2, 2)
    mask = np.array([0, 1, 1, 1, 1, 1, 1, 1], np.uint8).reshape(2, 2, 2)
    panel = Panel(
        case="a", method="synthetic", source=synthetic, synthetic=synthetic, truth=None, mask=mask,
        spacing=(10.0, 10.0, 10.0), source_unit="a.u.", unit="HU", window=(-1000, 1000),
    )  # fmt: skip
    found = quality(panel, (-1000, 1000))
    assert found["head_volume"] == 7
    assert (found["mean_air"], found["mean_soft"]) == (-990, 20)
    assert found["mean_bone"] == pytest.approx((500 + 700 + 1000) / 3)
    assert (found["at_low_end"], found["at_high_end"]) == (0, pytest.approx(100 / 7))
    assert "at_low_end" not in quality(panel, None)
