"""A lesion in a CT: where it lies, what stays as it was, what is refused."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch
from bundle_commands import Bundle
from lesion_dcgan_aug.drawing import Drawing, DrawingExporter
from lesion_dcgan_aug.networks import ClassGenerators, Inpainter
from scipy import ndimage

from common.errors import CheckpointError, ConfigError, DataError, OutputError
from medical_image_synthesis.command import main as synthesize

CLASSES = ["cyst", "metastasis", "hemangioma"]
AFFINE = np.array([[-2.0, 0, 0, 80], [0, -2, 0, 60], [0, 0, 3, -30], [0, 0, 0, 1]])
"""As DICOM orders voxels: to the left and to the back; slices of 3 mm."""
SETTINGS = {
    "at": [20, 10, 6], "name": "cyst", "classes": CLASSES, "diameter": 16, "margin": 0.4, "liver": 100,
    "window": [-60, 200],
}  # fmt: skip


@pytest.fixture
def ct(tmp_path):
    """A liver of 100 HU with noise in air, 30 voxels of air along each side of x."""
    values = np.full((80, 60, 20), -1000, np.int16)
    values[15:65, 5:55] = 100 + np.random.default_rng(0).normal(0, 5, (50, 50, 20)).round()
    path = tmp_path / "ct.nii.gz"
    nib.save(nib.Nifti1Image(values, AFFINE), path)
    return path


def drawing(ct, **settings) -> Drawing:
    return Drawing(ct, **{**SETTINGS, **settings})


def test_the_lesion_lies_at_the_place_in_mm_and_the_rest_stays(ct):
    made = drawing(ct)
    volume, mask = made.drawn([np.full((64, 64), 10.0)] * len(made.rois))
    before = np.asarray(nib.load(ct).dataobj)
    middle = nib.affines.apply_affine(AFFINE, np.argwhere(mask).mean(0))
    assert middle == pytest.approx([20, 10, 6], abs=1.5)
    assert mask.sum() * 12 == pytest.approx(4 / 3 * np.pi * 8**3, rel=0.5), "about that of a ball of 16 mm"
    assert volume[mask > 0] == pytest.approx(10 / made.scale, abs=1e-3)
    steps = np.array([2, 2, 1e9])  # within a slice
    away = ndimage.distance_transform_edt(mask == 0, sampling=steps)
    assert (volume[away > 8] == before[away > 8]).all(), "a rim of 6 of 64 pixels, of a patch of up to 40 mm"
    assert (volume != before)[mask > 0].all()
    assert np.flatnonzero(mask.any((0, 1))).tolist() == [roi.slice for roi in made.rois]


def test_a_liver_without_contrast_agent_is_scaled_to_that_of_training(ct):
    made = drawing(ct, liver=200)  # this one has 100 HU
    assert made.scale == pytest.approx(2, rel=0.01)
    outside = [item["image"][0][item["image"][1] == 0] for item in made.data]
    assert float(torch.cat(outside).mean()) == pytest.approx((200 + 60) / 260 * 2 - 1, abs=0.06), "some clipped at 200"
    volume, mask = made.drawn([np.full((64, 64), 30.0)] * len(made.rois))
    assert volume[mask > 0] == pytest.approx(30 / made.scale, abs=1e-3)


def test_what_is_drawn_does_not_depend_on_the_order_of_the_voxels(ct, tmp_path):
    turned = nib.load(ct).as_reoriented(nib.orientations.axcodes2ornt("SRA"))
    nib.save(turned, tmp_path / "turned.nii.gz")
    results = []
    for path in (ct, tmp_path / "turned.nii.gz"):
        made = drawing(path)
        patches = [item["image"][0].numpy() for item in made.data]
        results.append([nib.Nifti1Image(each, nib.load(path).affine) for each in made.drawn(patches)])
    for one, other in zip(*results, strict=True):
        back = other.as_reoriented(nib.orientations.io_orientation(other.affine))
        same = one.as_reoriented(nib.orientations.io_orientation(one.affine))
        assert np.asarray(same.dataobj) == pytest.approx(np.asarray(back.dataobj), abs=1e-3)
        assert same.affine == pytest.approx(back.affine)


def test_slices_have_one_shape_and_each_its_section(ct):
    made = drawing(ct, diameter=24)
    sections = [int(made.lesion[:, :, roi.slice].sum()) for roi in made.rois]
    largest = sections.index(max(sections))
    assert 0 < largest < len(sections) - 1
    assert sections[:largest] == sorted(sections[:largest])
    assert sections[largest:] == sorted(sections[largest:], reverse=True)
    for item in made.data:
        assert item["image"].shape == (5, 64, 64)
        extent = max(int(item["image"][2].any(axis).sum()) for axis in (0, 1))
        assert extent == pytest.approx(64 / 1.8, abs=4), "the section fills the patch but for its margins"


@pytest.mark.parametrize(
    ("settings", "kind", "message"),
    [
        ({"at": [200, 10, 6]}, DataError, "--at 200,10,6 is outside ct.nii.gz, which covers x -78 to 80, y -58 to 60"),
        ({"at": [20, 10, 26]}, DataError, "a lesion of 16 mm at 20,10,26 reaches outside ct.nii.gz: move --at, or"),
        ({"at": [65, 10, 6]}, DataError, "at 65,10,6 reaches into air, lung or gas, or out of the body: move --at"),
        ({"at": [1, 2]}, ConfigError, r"--at is \[1, 2\], not x,y,z: give three numbers in mm"),
        ({"at": "middle"}, ConfigError, "--at is 'middle', not x,y,z"),
        ({"at": [1, 2, float("nan")]}, ConfigError, "not x,y,z"),
        ({"at": None}, ConfigError, "no CT, position or class to draw a lesion: pass --into CT --at x,y,z --class"),
        ({"name": "cist"}, ConfigError, "--class is 'cist': choose cyst, metastasis or hemangioma"),
        ({"diameter": 2}, ConfigError, "a lesion of 2 mm at 20,10,6 has fewer than 4 voxels in each slice .*: raise"),
        ({"diameter": -3}, ConfigError, "--diameter is -3: give a number above 0"),
        ({"liver": 0}, ConfigError, "--liver is 0: give a number above 0"),
    ],
)
def test_what_cannot_be_drawn_is_refused(ct, settings, kind, message):
    with pytest.raises(kind, match=message):
        drawing(ct, **settings)


def test_another_tissue_is_refused(ct):
    image = nib.load(ct)
    nib.save(nib.Nifti1Image(np.full(image.shape, -90, np.int16), image.affine), ct)
    with pytest.raises(DataError, match="the tissue at 20,10,6 has -90 HU, which is no liver: move --at"):
        drawing(ct)


def test_a_ct_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"no file or folder .*nothing.nii.gz \(from --into\): check the path"):
        drawing(tmp_path / "nothing.nii.gz")


def exported(ct, tmp_path, network, **settings):
    """A run of the exporter whose patches are 10 HU."""
    weights = tmp_path / "model.pt"
    weights.write_bytes(b"weights")
    exporter = DrawingExporter(str(tmp_path / "out"), drawing(ct), "lesion 1", str(weights), **settings)
    engine: Any = SimpleNamespace(state=SimpleNamespace(), network=network)
    exporter.require_ready(engine)
    engine.state.output = [{"pred": torch.full((1, 64, 64), 10.0)}] * len(exporter.drawing)
    exporter(engine)
    exporter.write(engine)


def test_volume_and_mask_are_on_the_grid_of_the_source_and_say_that_they_are_synthetic(ct, tmp_path):
    exported(ct, tmp_path, Inpainter(3, 2))
    out = tmp_path / "out"
    source = nib.load(ct)
    for name, dtype in (("ct_cyst.nii.gz", np.int16), ("ct_cyst_mask.nii.gz", np.uint8)):
        image = nib.load(out / name)
        assert (image.affine == source.affine).all()
        assert image.shape == source.shape
        assert image.get_data_dtype() == dtype
        assert image.header["descrip"].tobytes().startswith(b"SYNTHETIC cyst by lesion 1, not for clinical use")
    inside = np.asarray(nib.load(out / "ct_cyst_mask.nii.gz").dataobj)
    assert set(np.unique(inside)) == {0, 1}
    about = json.loads((out / "ct_cyst.json").read_text())
    assert about["SyntheticData"] is about["NotForClinicalUse"] is True
    assert (about["Class"], about["PositionRasMm"], about["DiameterMm"]) == ("cyst", [20, 10, 6], 16)
    assert about["Slices"] == np.count_nonzero(inside.any((0, 1)))
    assert [each["file"] for each in json.loads((out / "manifest.json").read_text())] == [
        "ct_cyst.nii.gz", "ct_cyst_mask.nii.gz"
    ]  # fmt: skip
    with pytest.raises(OutputError, match="ct_cyst.nii.gz already exists"):
        exported(ct, tmp_path, Inpainter(3, 2))
    exported(ct, tmp_path, Inpainter(3, 2), overwrite=True)


def test_a_ct_with_fractions_of_hu_keeps_them(ct, tmp_path):
    image = nib.load(ct)
    nib.save(nib.Nifti1Image(image.get_fdata(dtype=np.float32) + np.float32(0.25), image.affine), ct)
    exported(ct, tmp_path, Inpainter(3, 2))
    made = nib.load(tmp_path / "out" / "ct_cyst.nii.gz")
    assert made.get_data_dtype() == np.float32
    assert made.get_fdata()[0, 0, 0] == -999.75


def test_weights_of_the_dcgan_are_refused(ct, tmp_path):
    with pytest.raises(CheckpointError, match="model.pt draw patches from noise alone: pass --weights of a train"):
        exported(ct, tmp_path, ClassGenerators(3, 100, 1))
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_train_evaluate_and_draw_by_command(ct, tmp_path, capfd):
    bundle, out = Bundle("lesion_dcgan_aug"), tmp_path / "run"
    small = {"output_dir": out, "width": 2, "max_epochs": 1, "samples_per_epoch": 16, "phantoms::cases": 8,
             "phantoms::spacing": 4.0}  # fmt: skip
    done = bundle.run("training", ["train", "inpaint", "demo"], **small)
    assert done.returncode == 0, done.stderr[-2000:]
    done = bundle.run("evaluating", ["train", "evaluate", "inpaint", "demo"], output_dir=out, samples=6, width=2)
    assert done.returncode == 0, done.stderr[-2000:]
    summary = json.loads((out / "evaluation" / "summary.json").read_text())
    assert list(summary) == ["model", "blend", "real_floor", "noise"]
    assert summary["blend"]["seam"]["mean"] > 0
    weights = ["--weights", str(out / "models" / "model.pt")]
    place = ["--into", str(ct), "--at", "20,10,6"]
    assert synthesize(["lesion", *place, "--class", "cyst", *weights, "-o", str(tmp_path / "drawn")]) == 0
    assert capfd.readouterr().out.splitlines()[-2:] == [
        str(tmp_path / "drawn" / f"ct_cyst{end}") for end in (".nii.gz", "_mask.nii.gz")
    ]
    assert synthesize(["lesion", *weights, "-o", str(tmp_path / "patches")]) == 2
    assert "an inpainting network draws into a CT: pass --into CT" in capfd.readouterr().err
