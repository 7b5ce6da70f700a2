"""MR to CT by the 3-D GAN, trained by its overlay: HU and CT everywhere, and nothing of it typed again."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from bundle_commands import TINY, Bundle, ok

from common.metrics import attenuation_scores
from common.weights import checkpoints
from common.weights.shipped import shipped_weights

pytestmark = pytest.mark.slow
BUNDLE = Bundle("pd2t2_dcgan_acm")
EVALUATION = ["train", "evaluate", "mr2ct_3d"]


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """Two stages of four steps each on small phantoms."""
    folder = tmp_path_factory.mktemp("mr2ct_3d")
    small = {**TINY, **BUNDLE.small_patches, "phantoms::cases": 4, "phantoms::spacing": 5}
    ok(BUNDLE.run("training", ["train", "demo", "mr2ct_3d"], output_dir=folder, **small))
    return folder


@pytest.fixture(scope="module")
def file(run) -> Path:
    """The synthetic volume of the run's test case; the command has no other option."""
    ok(BUNDLE.run("inference", ["inference"], output_dir=run))
    (path,) = (run / "predictions").glob("*.nii.gz")
    return path


@pytest.fixture(scope="module")
def rows(run) -> pd.DataFrame:
    ok(BUNDLE.run("evaluating", EVALUATION, output_dir=run))
    return pd.read_csv(run / "evaluation" / "metrics.csv").set_index("method")


def test_the_weights_keep_what_they_synthesise(run):
    content = json.loads((run / "models" / "model.json").read_text())
    assert content["unit"] == "HU"
    assert content["settings"]["output"] == {"modality": "CT", "unit": "HU", "suffix": "synthetic_ct"}
    assert (content["trained_on"]["source"], content["trained_on"]["target"]) == ("mr", "ct")
    assert checkpoints.load(run / "models" / "model.pt")["target_scale"].tolist() == [0, 500]


def test_plain_inference_writes_hu_of_a_ct(run, file):
    assert file.name.endswith("_synthetic_ct.nii.gz")
    about = json.loads(file.with_name(file.name.replace(".nii.gz", ".json")).read_text())
    assert (about["Unit"], about["Source"]) == ("HU", "mr.nii.gz")
    parser = BUNDLE.parser("inference", output_dir=str(run))
    network = parser.get_parsed_content("network_def").eval()
    checkpoints.load_weights(network, run / "models" / "model.pt")
    case = file.name.removesuffix("_synthetic_ct.nii.gz")
    item = {"case": case, "image": str(run / "demo_data" / case / "mr.nii.gz")}
    image = parser.get_parsed_content("preprocessing")(item)["image"]
    units = parser.get_parsed_content("inferer").inferer(image[None], network)
    values, mask = nib.load(file).get_fdata(), nib.load(run / "demo_data" / case / "mask.nii.gz").get_fdata() > 0
    start = np.rint((np.linalg.inv(nib.load(file).affine) @ np.asarray(image.affine))[:3, 3]).astype(int)
    inside = tuple((np.argwhere(mask) - start).T)  # in the box around the head
    np.testing.assert_allclose(values[mask], 500 * np.asarray(units[0, 0])[inside], atol=1e-2)
    assert values[0, 0, 0] == -1000, "air around the head, where the network leaves 0 HU"


def test_the_evaluation_is_that_of_a_ct(run, file, rows):
    assert {"mae", "psnr", "ssim", "ms_ssim", "mae_bone", "bias_air", "bone_dice", "psnr_nie"} <= set(rows.columns)
    case = run / "demo_data" / rows.loc["model", "case"]
    truth, mask = (nib.load(case / f"{name}.nii.gz").get_fdata() for name in ("ct", "mask"))
    error = np.abs(nib.load(file).get_fdata() - truth)
    assert rows.loc["model", "mae"] == pytest.approx(error[mask > 0].mean(), rel=1e-3)
    bone = (mask > 0) & (truth > 250)
    assert rows.loc["model", "mae_bone"] == pytest.approx(error[bone].mean(), rel=1e-3)
    stored = nib.load(file)
    attenuation = attenuation_scores(stored.get_fdata(), truth, mask, stored.affine)
    assert rows.loc["model", list(attenuation)].to_dict() == pytest.approx(attenuation, rel=1e-3)
    assert "HU" in (run / "evaluation" / "report.html").read_text()


@pytest.mark.parametrize(("options", "mode"), [({}, "fast"), ({"mode": "faithful"}, "faithful")])
def test_patches_and_contexts_are_those_of_the_training(run, options, mode):
    """The contexts of the second stage were made in one pass, by a network of patches of 16 voxels."""
    for configs, place in ((["inference"], "inferer::inferer::inferer"), (EVALUATION, "validate::inferer")):
        parser = BUNDLE.parser(*configs, output_dir=str(run), **options)
        cascade = parser.get_parsed_content(place)
        assert (cascade.inferer.mode, cascade.of_contexts.mode) == (mode, "fast")
        assert cascade.inferer.roi_size == cascade.of_contexts.roi_size == (16, 16, 16)


@pytest.mark.parametrize("configs", [["train", "evaluate"], ["train", "mr2ct_3d", "evaluate"]])
def test_an_evaluation_without_the_overlay_or_before_others_is_the_same(run, rows, configs):
    ok(BUNDLE.run("evaluating", configs, output_dir=run))
    again = pd.read_csv(run / "evaluation" / "metrics.csv").set_index("method")
    pd.testing.assert_frame_equal(again, rows)


def test_the_default_still_synthesises_t2(run, tmp_path):
    """PD-weighted weights next to these have no such setting, and what inference says of them holds."""
    told = json.loads((run / "models" / "model.json").read_text())
    parser = BUNDLE.parser("inference", output_dir=str(tmp_path))
    exporter = parser.get_parsed_content("exporter")
    assert (exporter.unit, exporter.suffix) == ("a.u.", "synthetic_t2")
    assert "output" in told["settings"]
    assert "output" not in json.loads(shipped_weights(BUNDLE.folder).with_suffix(".json").read_text())["settings"]
