"""Calibration, check, maps and verdicts of every translation bundle, by the commands of a user."""

from __future__ import annotations

import json
import re
import shutil
from collections import Counter
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from bundle_commands import ok

from common.data.layouts.data_sets import find_cases
from common.evaluation.held_out_case import load_case, own_window
from common.metrics import mae
from common.simulation.corruptions.graded import CORRUPTIONS

pytestmark = [pytest.mark.slow, pytest.mark.translation, pytest.mark.volumes]
EVALUATE = ["train", "evaluate"]
CASES, CALIBRATED = 10, 8
SHRUNK = 0.3
"""Phantoms of 8 mm say that their voxels have 2.4 mm, so that the features of a case cost little."""
UNITS = {"mri2pet_sketcher_refiner": "DVR", "pd2t2_dcgan_acm": "z", "mri_dagan": "percent of brightness"}
"""Of the error; HU of the others."""


@pytest.fixture(scope="module")
def phantoms(bundle, tmp_path_factory) -> list[dict]:
    """Phantoms that no run was trained on, and last one with its voxels in a wrong order, without a target."""
    root = tmp_path_factory.mktemp("calibration")
    settings = {"phantoms::cases": CASES, "phantoms::spacing": 8, "phantoms::seed": 7}
    bundle.parser("train", **settings).get_parsed_content("phantoms")(root / "cases")
    data = bundle.raw("train")
    listed = find_cases(root / "cases", "folders", data["source"], data["target"])
    for path in (root / "cases").rglob("*.nii.gz"):
        image = nib.load(path)
        affine = image.affine @ np.diag([SHRUNK, SHRUNK, SHRUNK, 1])
        path.write_bytes(nib.Nifti1Image(np.asanyarray(image.dataobj), affine).to_bytes())
        path.rename(path.with_suffix(""))
    listed = json.loads(json.dumps(listed).replace(".nii.gz", ".nii"))
    sources = listed[-1]["image"]
    noise = []
    for path in [sources] if isinstance(sources, str) else sources:
        image = nib.load(path)
        values = np.random.default_rng(0).permutation(image.get_fdata(dtype=np.float32).ravel())
        noise.append(str(root / Path(path).name))
        nib.save(nib.Nifti1Image(values.reshape(image.shape), image.affine), noise[-1])
    return [*listed, {"case": "noise", "image": noise[0] if isinstance(sources, str) else noise}]


def datalist(folder: Path, name: str, items: list[dict]) -> Path:
    path = folder / f"{name}.json"
    path.write_text(json.dumps({"test": items}))
    return path


def error_of(item: dict, volume: np.ndarray, unit: str, weights: Path) -> float:
    """In the unit of the calibration, of an inferred volume in the unit of the targets."""
    case = load_case(item, None, standardise=unit == "z")
    if unit == "z":
        mean, deviation = torch.load(weights, weights_only=True)["target_scale"].tolist()
        volume = (volume - mean) / deviation
    error = mae(volume, case.truth, case.mask)
    return 100 * error / own_window(case)[1] if unit.startswith("percent") else error


def test_maps_and_verdicts_are_those_that_are_checked_and_volumes_stay_bit_by_bit(bundle, phantoms, tiny_run, tmp_path):
    run = shutil.copytree(tiny_run, tmp_path / "run")
    unseen, weights, unit = phantoms[CALIBRATED:CASES], run / "models" / "model.pt", UNITS.get(bundle.name, "HU")
    sources = [{"case": each["case"], "image": each["image"]} for each in phantoms[CALIBRATED:]]

    def infer(name: str, **options):
        places = {
            "output_dir": run,
            "datalist": datalist(tmp_path, "infer", sources),
            "predictions_dir": tmp_path / name,
        }
        done = bundle.run("inference", ["inference"], output_dtype="float32", **places, **options)
        return done, {each["case"]: each for each in json.loads((tmp_path / name / "manifest.json").read_text())}

    def voxels(name: str, file: str) -> np.ndarray:
        return nib.load(tmp_path / name / file).get_fdata()

    done, plain = infer("plain")
    ok(done)
    given = {"output_dir": run, "section": "test", "case_level": 0.8}
    cases = datalist(tmp_path, "calibrate", phantoms[:CALIBRATED])
    printed = ok(bundle.run("calibrating", EVALUATE, datalist=cases, **given)).stdout
    assert "calibrated on 8 cases; intervals hold 90% of voxels in 80% of cases" in printed
    record = json.loads((run / "models" / "model_trust.json").read_text())
    assert (record["unit"], len(record["cases"]), record["case_level"]) == (unit, CALIBRATED, 0.8)

    done, entries = infer("all", refuse="false", uncertainty="true")
    ok(done)
    for case, entry in entries.items():
        np.testing.assert_array_equal(voxels("all", entry["file"]), voxels("plain", entry["file"]))
        assert "quality" not in plain[case]

    printed = ok(bundle.run("checking", EVALUATE, datalist=datalist(tmp_path, "check", unseen), **given)).stdout
    # weights of z-scores are checked in these, and infer in the unit of the targets
    scale = float(torch.load(weights, weights_only=True)["target_scale"][1]) if unit == "z" else 1.0
    errors = []
    for each in unseen:
        entry = entries[each["case"]]
        volume, widths = (voxels("all", entry[name]) for name in ("file", "uncertainty"))
        errors.append(error_of(each, volume, unit, weights))
        if unit.startswith("percent"):
            scale = np.percentile(volume[volume > volume.mean()], 99.5) / 100
        line = re.search(rf"{each['case']} +all +([\d.]+) +([\d.e+]+)", printed)
        case = load_case(each, None, standardise=unit == "z")
        assert float(line[2]) * scale == pytest.approx(widths[case.mask].mean(), rel=0.002)
        if unit == "HU":
            covered = np.abs(volume - case.truth) <= widths
            assert float(line[1]) == pytest.approx(covered[case.mask].mean(), abs=0.005)
    assert [line for line in printed.splitlines() if line.startswith(tuple(CORRUPTIONS))]
    words = next(line for line in printed.splitlines() if line.startswith("intact  ")).split()
    assert float(words[2]) == pytest.approx(np.mean(errors), rel=2e-3)
    counts = Counter(entries[each["case"]]["quality"]["verdict"] for each in unseen)
    assert [int(word) for word in words[3:]] == [counts[verdict] for verdict in ("accept", "review", "refuse")]

    assert entries["noise"]["quality"]["verdict"] == "refuse"
    done, strict = infer("strict")
    assert done.returncode == 1
    assert strict["noise"]["status"] == "refused"
    assert f"REFUSED noise: {strict['noise']['reason']}" in done.stderr.splitlines()
    assert [path.suffix for path in (tmp_path / "strict").glob("noise*")] == [".json"]


@pytest.mark.parametrize("bundle", ["mr2ct_pix2pix"], indirect=True)
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "section test has 1 cases with a target, and a calibration with --case_level 0.9 needs 9: pass"),
        ({"calibration::unit": "a.u."}, "--calibration::unit is a.u., whose scale differs between scans: give z"),
    ],
)
def test_too_few_cases_and_arbitrary_units_are_refused(bundle, tiny_run, tiny_data, options, message):
    done = bundle.run("calibrating", EVALUATE, output_dir=tiny_run, dataset_dir=tiny_data, section="test", **options)
    assert done.returncode == 2
    assert message in done.stderr
