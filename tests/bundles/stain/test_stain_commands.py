"""Pictures go the way of volumes: trained, synthesised, marked, scored by the commands of a user."""

from __future__ import annotations

import json
import re
from pathlib import Path

import in_process
import numpy as np
import pytest
import tifffile
from bundle_commands import Bundle, ok, voxels
from PIL import Image

STAIN = Bundle("stain_gan")
SHORT = {"max_epochs": 1, "val_interval": 1, "samples_per_epoch": 8, "width": 4, "crop_size": 64, "pad_size": 64}


@pytest.fixture(scope="module")
def data(once) -> Path:
    phantoms = STAIN.parser("train", **{"phantoms::cases": 4, "phantoms::spacing": 2}).get_parsed_content("phantoms")
    return once("stain_pictures", phantoms)


@pytest.fixture(scope="module")
def run(once, data: Path) -> Path:
    """A training of two steps, of which one is enough for whatever is not about quality."""
    return once(
        "stain_run",
        lambda folder: ok(STAIN.run("training", ["train", "demo"], dataset_dir=data, output_dir=folder, **SHORT)),
    )


@pytest.fixture(scope="module")
def weights(run: Path) -> Path:
    return run / "models" / "model.pt"


def test_a_picture_becomes_a_marked_picture_of_the_same_size(data: Path, weights: Path, tmp_path: Path) -> None:
    source = data / "phantom_000" / "source.png"
    for name in ("a.png", "a.tif", "a.ome.tif"):
        out = tmp_path / name
        done = ok(in_process.synthesize("stain", source, "-o", out, "--weights", weights, "--overwrite"))
        assert done.stdout == f"{out}\n"
    assert voxels(tmp_path / "a.png").shape == (64, 64, 3)
    assert np.array_equal(tifffile.imread(tmp_path / "a.tif"), voxels(tmp_path / "a.png"))
    assert np.array_equal(tifffile.imread(tmp_path / "a.ome.tif"), voxels(tmp_path / "a.png"))
    mark = Image.open(tmp_path / "a.png").text["Description"]
    assert mark == "SYNTHETIC stain_gan 0.1.0, not for clinical use"
    about = json.loads((tmp_path / "a.json").read_text())
    assert (about["SyntheticData"], about["Unit"], about["Source"]) == (True, "levels", "source.png")


def test_tiles_cover_a_picture_of_any_size(data: Path, weights: Path, tmp_path: Path) -> None:
    """A picture of one tile is that tile, and of sides of no multiple no pixel is left out."""
    source = voxels(data / "phantom_001" / "source.png")
    Image.fromarray(source).save(tmp_path / "small.png")
    Image.fromarray(np.tile(source, (2, 3, 1))[:101, :149]).save(tmp_path / "large.png")
    made = {}
    for name in ("small", "large"):
        for tile in ("null", 64):
            out = tmp_path / f"{name}_{tile}.tif"
            words = ("stain", tmp_path / f"{name}.png", "-o", out, "--weights", weights, "--tile", tile)
            ok(in_process.synthesize(*words))
            made[name, tile] = tifffile.imread(out).astype(int)
    assert np.array_equal(made["small", "null"], made["small", 64])
    whole, tiles = made["large", "null"], made["large", 64]
    assert whole.shape == tiles.shape == (101, 149, 3)
    assert 0 < np.abs(whole - tiles).max() < 20  # 128 where no tile lies


def test_score_prints_what_the_evaluation_reports(data: Path, run: Path, weights: Path, tmp_path: Path) -> None:
    done = ok(in_process.synthesize("evaluate", "stain", "--dataset_dir", data, "--output_dir", run))
    assert re.search(r"^copy_input +1 ", done.stdout, re.MULTILINE)
    rows = json.loads((run / "evaluation" / "summary.json").read_text())
    assert set(rows) == {"model", "copy_input", "reinhard", "macenko"}
    assert {"mae", "psnr", "ssim", "delta_e"} <= rows["model"].keys()
    (item,) = json.loads((run / "datalist.json").read_text())["test"]
    scored = json.loads(ok(in_process.synthesize("score", item["image"], item["label"])).stdout)
    for name in ("mae", "psnr", "ssim", "delta_e"):
        assert scored[name] == pytest.approx(rows["copy_input"][name]["mean"], rel=1e-6)
    assert scored["unit"] == "levels"
    ok(in_process.synthesize("stain", item["image"], "-o", tmp_path / "a.png", "--weights", weights))
    made = json.loads(ok(in_process.synthesize("score", tmp_path / "a.png", item["label"])).stdout)
    assert made["mae"] == pytest.approx(rows["model"]["mae"]["mean"], abs=0.5)  # rounded to levels
    assert "data:image/png" in (run / "evaluation" / "report.html").read_text()


def refused(done, rule: str) -> None:
    assert done.returncode in (1, 2)
    assert re.search(rule, done.stderr.strip().splitlines()[-1]), done.stderr[-500:]


def test_each_mistake_is_one_sentence(data: Path, weights: Path, tmp_path: Path) -> None:
    source = data / "phantom_000" / "source.png"
    volume = tmp_path / "a.nii.gz"
    volume.touch()
    use = ("--weights", weights)
    refused(in_process.synthesize("stain", volume, "-o", tmp_path / "b.png", *use),
            r"SOURCE .*a.nii.gz is not a folder and does not end in .png, .*: pass a picture or a folder")  # fmt: skip
    refused(in_process.synthesize("mr2ct", source, "-o", tmp_path / "b.nii.gz"), r"SOURCE .*source.png is not a folder")
    refused(in_process.synthesize("stain", source, "-o", tmp_path / "b.nii.gz", *use),
            r"--output_format nifti is not for pictures: choose png, tiff or ome-tiff")  # fmt: skip
    refused(in_process.synthesize("stain", source, "-o", tmp_path / "b.jpg", *use), r".tif: pass NAME.png$")
    refused(in_process.synthesize("stain", source, "-o", tmp_path / "b.png", "--output_dtype", "int16", *use),
            r"^error: a picture stores no int16: pass --output_dtype uint8 or uint16$")  # fmt: skip
    Image.fromarray(voxels(source)[:-1]).save(tmp_path / "cut.png")
    refused(in_process.synthesize("score", tmp_path / "cut.png", source),
            r"pred has shape \(64, 63, 1\), .* the truth shape \(64, 64, 1\), .*: resample it")  # fmt: skip
    refused(in_process.synthesize("score", source, source, "--unit", "HU"), r"--unit and --value_range are for volumes")
    refused(in_process.synthesize("score", volume, volume), r"--mask is missing, without which the background")


def test_a_network_makes_as_many_channels_as_its_targets_have(data: Path, tmp_path: Path) -> None:
    settings = {"dataset_dir": data, "output_dir": tmp_path / "out", "network_def::out_channels": 1, **SHORT}
    refused(STAIN.run("training", ["train", "demo", "no_adversarial"], **settings),
            r"the network makes 1 channels, but the targets have 3: give targets of so many")  # fmt: skip
