"""Grading, check and verdicts of every translation bundle; what they refuse is in ``test_quality_of_a_run.py``."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from bundle_commands import ok

from common.data import find_cases
from common.evaluation.cases import load_case, own_window
from common.metrics import mae
from common.trust.verdicts.distortions import FITTED

pytestmark = [pytest.mark.slow, pytest.mark.translation]
EVALUATE = ["train", "evaluate"]
CASES, GRADED = 10, 8
SHRUNK = 0.3
"""Phantoms of 8 mm say that their voxels have 2.4 mm, so that the signs of a case cost little."""
UNITS = {"mri2pet_sketcher_refiner": "DVR", "pd2t2_dcgan_acm": "z", "mri_dagan": "percent of brightness"}
"""Of the error; HU of the others."""


@pytest.fixture(scope="module")
def phantoms_to_grade(bundle, tmp_path_factory) -> list[dict]:
    """Phantoms that no run was trained on, and last one with its voxels in a wrong order, without a target."""
    root = tmp_path_factory.mktemp("quality")
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
    """In the unit of the grading, of an inferred volume in the unit of the targets."""
    case = load_case(item, None, standardise=unit == "z")
    if unit == "z":
        mean, deviation = torch.load(weights, weights_only=True)["target_scale"].tolist()
        volume = (volume - mean) / deviation
    error = mae(volume, case.truth, case.mask)
    return 100 * error / own_window(case)[1] if unit.startswith("percent") else error


def test_verdicts_are_those_that_were_graded_and_volumes_stay_bit_by_bit(bundle, phantoms_to_grade, tiny_run, tmp_path):
    run = shutil.copytree(tiny_run, tmp_path / "run")
    unseen = phantoms_to_grade[GRADED:CASES]
    inferred = datalist(
        tmp_path, "infer", [{"case": each["case"], "image": each["image"]} for each in phantoms_to_grade[GRADED:]]
    )

    def infer(name: str, **options):
        places = {"output_dir": run, "datalist": inferred, "predictions_dir": tmp_path / name}
        done = bundle.run("inference", ["inference"], output_dtype="float32", **places, **options)
        told = json.loads((tmp_path / name / "manifest.json").read_text())
        return done, {entry["case"]: entry for entry in told}

    done, plain = infer("plain")
    ok(done)
    grade = {"output_dir": run, "section": "test"}
    done = ok(
        bundle.run("grading", EVALUATE, datalist=datalist(tmp_path, "grade", phantoms_to_grade[:GRADED]), **grade)
    )
    unit = UNITS.get(bundle.name, "HU")
    record = json.loads((run / "models" / "model_quality.json").read_text())
    assert (record["unit"], len(record["cases"]), record["distortions"]) == (unit, GRADED, list(FITTED))
    assert record["limits"]["mae"]["refuse"] == pytest.approx(
        min(1.5 * record["mae"]["intact"], *(value for name, value in record["mae"].items() if name != "intact"))
    )

    done, told = infer("told", refuse="false")
    ok(done)
    volumes = {}
    for case, entry in told.items():
        before, volumes[case] = (nib.load(tmp_path / name / entry["file"]).get_fdata() for name in ("plain", "told"))
        np.testing.assert_array_equal(volumes[case], before)
        assert "quality" not in plain[case]

    printed = ok(bundle.run("checking_grades", EVALUATE, datalist=datalist(tmp_path, "check", unseen), **grade)).stdout
    words = next(line for line in printed.splitlines() if line.startswith("intact  ")).split()
    verdicts = [told[each["case"]]["quality"] for each in unseen]
    errors = [error_of(each, volumes[each["case"]], unit, run / "models" / "model.pt") for each in unseen]
    assert float(words[2]) == pytest.approx(np.mean(errors), rel=2e-3)
    if all("predicted_mae" in each for each in verdicts):  # one that is refused has none
        assert float(words[3]) == pytest.approx(np.mean([each["predicted_mae"] for each in verdicts]), rel=2e-3)
    counts = Counter(each["verdict"] for each in verdicts)
    assert [int(word) for word in words[4:]] == [counts[verdict] for verdict in ("accept", "look", "refuse")]

    assert told["noise"]["quality"]["verdict"] == "refuse"
    done, strict = infer("strict")
    assert done.returncode == 1
    assert strict["noise"]["status"] == "refused"
    assert f"\nREFUSED noise: {strict['noise']['reason']}\n" in done.stderr
    assert [path.suffix for path in (tmp_path / "strict").glob("noise*")] == [".json"]
