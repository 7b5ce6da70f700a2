"""The residual-encoder U-Net and the flow next to the published method: train, fold, evaluate, infer."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from bundle_commands import Bundle, ok
from monai.bundle import ConfigParser

from common.evaluation.methods import variant_config
from common.stitching import FlowInferer

pytestmark = pytest.mark.slow
OTHERS = [pytest.param(name, marks=pytest.mark.longest) for name in ("mri2pet_sketcher_refiner", "pd2t2_dcgan_acm")]
SMALL = {"max_epochs": 1, "constant_epochs": 1, "decay_epochs": 0, "val_interval": 1, "batch_size": 2}
SMALL |= {"samples_per_epoch": 8}


@pytest.fixture(scope="module", params=["mr2ct_pix2pix", *OTHERS])
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Bundle, Path, Path]:
    """The demo, two folds of ``resenc`` and a flow, where there is one, after a few steps on eight phantoms of 6 mm."""
    bundle = Bundle(request.param)
    folder = tmp_path_factory.mktemp(bundle.name)
    data, out = folder / "data", folder / "out"
    settings = {"phantoms::cases": 8, "phantoms::spacing": 6}
    bundle.parser("train", **settings).get_parsed_content("phantoms")(data)
    sizes = {"pad_size": 48, "crop_size": 32} if "crop_size" in bundle.raw("train") else bundle.small_patches
    own: dict[str, Any] = {**SMALL, **sizes, "dataset_dir": data, "output_dir": out}
    flow = [(["flow"], None)] if bundle.name == "mr2ct_pix2pix" else []
    for configs, fold in ((["train", "demo"], None), (["resenc"], 0), (["resenc"], 1), *flow):
        names = configs if configs[0] == "train" else ["train", "demo", *configs]
        ok(bundle.run("training", names, **own, **({} if fold is None else {"fold": fold})))
    if "crop_size" in bundle.raw("train"):
        ok(bundle.run("training", ["train", "demo", "resenc_3d"], **SMALL, dataset_dir=data, output_dir=out))
    else:
        slabs = {"variant": "resenc_slabs", "neighbours": 3, "patch_size": [16, 16, 8]}
        ok(bundle.run("training", ["train", "demo", "resenc"], **(own | slabs)))
    return bundle, data, out


def infer(trained: tuple[Bundle, Path, Path], folder: Path, **options: Any) -> dict[str, np.ndarray]:
    bundle, data, out = trained
    places = {"dataset_dir": data, "output_dir": out, "exporter::predictions_dir": folder}
    ok(bundle.run("inference", ["inference"], **places, **options))
    return {path.name: np.asarray(nib.load(path).dataobj, float) for path in sorted(folder.glob("*.nii.gz"))}


def test_all_are_rows_of_one_table(trained: tuple[Bundle, Path, Path]) -> None:
    bundle, data, out = trained
    ok(bundle.run("evaluating", ["train", "evaluate"], dataset_dir=data, output_dir=out))
    summary = json.loads((out / "evaluation" / "summary.json").read_text())
    other = "resenc_3d" if "crop_size" in bundle.raw("train") else "resenc_slabs"
    flow = {"flow"} & {path.stem for path in bundle.overlays}
    assert {"model", "resenc", "resenc_fold_1", other, bundle.baseline} | flow == set(summary)
    assert all(np.isfinite(row["mae"]["mean"]) for row in summary.values())


def test_folds_differ_in_what_they_validate_and_keep_the_test(trained: tuple[Bundle, Path, Path]) -> None:
    out = trained[2]
    runs = [out / "variants" / name for name in ("resenc", "resenc_fold_1")]
    splits = [json.loads((run / "datalist.json").read_text()) for run in runs]
    tests, validated = ([{item["case"] for item in split[key]} for split in splits] for key in ("test", "validation"))
    assert tests[0] == tests[1]
    assert validated[0].isdisjoint(validated[1])


def part(out: Path, name: str, component: str) -> Any:
    """A component of a variant as its weights describe it."""
    return ConfigParser(variant_config(out / "variants" / name / "models" / "model.pt")).get_parsed_content(component)


def test_plain_inference_takes_the_steps_of_the_training(trained: tuple[Bundle, Path, Path], tmp_path: Path) -> None:
    """The flow's inferer is put around that of ``inference.yaml``; another number of steps is another image."""
    out = trained[2]
    if not (out / "variants" / "flow").exists():
        pytest.skip("no flow")
    flow = part(out, "flow", "validate::inferer")
    assert isinstance(flow, FlowInferer)
    assert flow.steps == 3
    made = {steps: infer(trained, tmp_path / str(steps), variant="flow", steps=steps) for steps in (1, 3)}
    plain = infer(trained, tmp_path / "plain", variant="flow")
    assert plain
    assert all(np.array_equal(plain[name], made[3][name]) for name in plain)
    assert any(not np.array_equal(plain[name], made[1][name]) for name in plain)


def test_steps_of_weights_that_take_none_are_refused(trained: tuple[Bundle, Path, Path], tmp_path: Path) -> None:
    bundle, data, out = trained
    if not (out / "variants" / "flow").exists():
        pytest.skip("no flow")
    places = {"dataset_dir": data, "output_dir": out, "exporter::predictions_dir": tmp_path / "made"}
    done = bundle.run("inference", ["inference"], **places, variant="resenc", steps=1)
    line = "^error: --steps needs --overlay flow: pass it, or add flow.yaml to --config_file$"
    assert re.search(line, done.stderr, re.MULTILINE), done.stderr[-1000:]
    assert done.returncode == 2
    assert not (tmp_path / "made").exists()


def test_mirrored_inference_of_a_mirrored_source_is_mirrored(
    trained: tuple[Bundle, Path, Path], tmp_path: Path
) -> None:
    """With a mirror at test time, left and right are treated alike, whatever the network has learnt."""
    bundle, data, out = trained
    sources = bundle.parser("train", dataset_dir=data).get_parsed_content("data::source").split(",")
    split = json.loads((out / "variants" / "resenc" / "datalist.json").read_text())
    case = split["test"][0]["case"]
    for kind, turn in (("as_is", False), ("turned", True)):
        (tmp_path / kind / case).mkdir(parents=True)
        for source in sources:
            image = nib.load(data / case / f"{source}.nii.gz")
            values = np.asarray(image.dataobj)
            nib.save(
                nib.Nifti1Image(values[::-1] if turn else values, image.affine, image.header),
                tmp_path / kind / case / f"{source}.nii.gz",
            )
    made = {}
    for kind in ("as_is", "turned"):
        (made[kind],) = infer(
            (bundle, tmp_path / kind, out), tmp_path / f"out_{kind}", variant="resenc", mirrored=[0]
        ).values()
    spread = made["as_is"].std()
    assert np.abs(made["turned"][::-1] - made["as_is"]).max() < 0.02 * spread
