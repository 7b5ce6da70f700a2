import json
import re

import nibabel as nib
import numpy as np
import pytest
from bundle_commands import snapshot
from lesion_dcgan_aug.data import rois
from lesion_dcgan_aug.data.rois import cut_cases, cut_rois

from common.errors import ConfigError, DataError, OutputError
from common.io import VolumeReader
from medical_image_synthesis.command import main as synthesize

AFFINE = np.diag([2.0, 2.0, 5.0, 1.0])


def ramp(shape=(40, 40, 6)):
    """Values that grow by 1 a voxel along x and by 100 along y: cubic splines reproduce them exactly."""
    x, y, z = np.meshgrid(*map(np.arange, shape), indexing="ij")
    return (x + 100.0 * y + 0 * z).astype(np.float32)


def box(shape, *corners):
    mask = np.zeros(shape, np.uint8)
    for (x0, x1), (y0, y1), (z0, z1) in corners:
        mask[x0:x1, y0:y1, z0:z1] = 1
    return mask


def side_mm(roi):
    return float(np.linalg.norm(roi.affine[:3, 0])) * len(roi.values)


def write(path, values, affine=AFFINE):
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(values, affine), path)


def test_the_square_has_the_extent_and_the_margin_and_values_are_interpolated(monkeypatch):
    monkeypatch.setattr(rois, "SIZE", 28)
    mask = box((40, 40, 6), ((10, 20), (14, 18), (2, 3)))
    (roi,) = cut_rois(ramp(), AFFINE, mask, margin=0.2)
    assert side_mm(roi) == pytest.approx(10 * 2 * 1.4), "ten voxels of 2 mm and a fifth of them on each side"
    assert roi.affine[2, 3] == 2 * 5
    # 28 pixels over 14 voxels: half a voxel a pixel, around the middle (14.5, 15.5) of the lesion
    places = (np.arange(28) - 13.5) / 2
    expected = (14.5 + places)[:, None] + 100 * (15.5 + places)[None, :]
    assert roi.values == pytest.approx(expected, abs=1e-2)
    assert (roi.affine @ [13.5, 13.5, 0, 1])[:3] == pytest.approx([29, 31, 10]), "mm of the lesion's middle"
    assert np.linalg.norm(roi.affine[:3, :2], axis=0) == pytest.approx([1, 1])


def test_the_mask_of_the_lesion_is_cut_with_it(monkeypatch):
    monkeypatch.setattr(rois, "SIZE", 28)
    mask = box((40, 40, 6), ((10, 20), (14, 18), (2, 3)), ((10, 13), (20, 24), (2, 3)))
    roi, other = cut_rois(ramp(), AFFINE, mask, margin=0.2)
    expected = np.zeros((28, 28), bool)
    expected[4:24, 10:18] = True  # two pixels a voxel, around the middle; the neighbour is another lesion
    assert (roi.lesion == expected).all()
    assert other.lesion.sum() == pytest.approx(12 * (28 / 5.6) ** 2, rel=0.1), "12 voxels of a square of 5.6"


def test_each_lesion_is_cut_in_its_largest_slice():
    mask = box((40, 40, 6), ((5, 8), (5, 8), (0, 1)), ((4, 9), (4, 9), (1, 2)), ((25, 31), (25, 31), (3, 5)))
    places = sorted((roi.affine[2, 3], side_mm(roi)) for roi in cut_rois(ramp(), AFFINE, mask, margin=0))
    assert places == [(5, pytest.approx(10)), (15, pytest.approx(12))]


def test_a_large_ragged_lesion_is_cut_as_often_as_a_small_one():
    large = ((5, 15), (5, 15), (1, 4)), ((15, 18), (15, 18), (1, 3))  # the second block touches the first at an edge
    mask = box((40, 40, 6), *large, ((30, 33), (30, 32), (2, 3)))
    assert sorted(side_mm(roi) for roi in cut_rois(ramp(), AFFINE, mask, margin=0)) == pytest.approx([6, 26])


def test_a_slip_of_the_brush_is_no_lesion():
    assert list(cut_rois(ramp(), AFFINE, box((40, 40, 6), ((5, 6), (5, 8), (0, 1))))) == []


@pytest.mark.parametrize("axes", ["LPS", "ASR", "PIL"])
def test_the_stored_orientation_does_not_matter(axes):
    values, mask = ramp(), box((40, 40, 6), ((10, 20), (14, 18), (2, 3)))
    images = [nib.Nifti1Image(array, AFFINE) for array in (values, mask)]
    turned = [image.as_reoriented(nib.orientations.axcodes2ornt(tuple(axes))) for image in images]
    stored = [np.asarray(image.dataobj) for image in turned]
    (expected,) = cut_rois(values, AFFINE, mask)
    (found,) = cut_rois(stored[0], turned[0].affine, stored[1])
    if axes == "LPS":
        assert np.allclose(found.affine, expected.affine)
        assert np.allclose(found.values, expected.values, atol=1e-3)
    assert side_mm(found) == pytest.approx(side_mm(expected))


def test_a_large_lesion_is_smoothed_before_it_is_sampled_coarsely(monkeypatch):
    monkeypatch.setattr(rois, "SIZE", 16)
    stripes = np.zeros((200, 200, 1), np.float32)
    stripes[::2] = 100
    (roi,) = cut_rois(stripes, np.eye(4), box((200, 200, 1), ((20, 180), (20, 180), (0, 1))), margin=0)
    assert roi.values == pytest.approx(50, abs=5), "not the stripes that happen to be hit"


# ---- folders -----------------------------------------------------------------------------------------------------


@pytest.fixture
def root(tmp_path):
    for number in range(6):
        shift = 2 * number
        write(tmp_path / "in" / f"case{number}" / "ct.nii.gz", ramp() + number)
        write(tmp_path / "in" / f"case{number}" / "cyst.nii.gz",
              box((40, 40, 6), ((5, 9), (5 + shift, 10 + shift), (1, 2)), ((20, 26), (20, 28), (4, 5))))  # fmt: skip
        write(tmp_path / "in" / f"case{number}" / "met.nii.gz", box((40, 40, 6), ((30, 36), (3, 8), (2, 4))))
    return tmp_path / "in"


def command(root, out, *more):
    words = f"datalist --layout rois --dataset_dir {root} --classes cyst,met --out {out / 'datalist.json'}".split()
    return synthesize([*words, *more])


def test_the_command_cuts_lists_and_records(root, tmp_path, capsys):
    assert command(root, tmp_path / "out", "--one_patient_per_file", "--margin", "0.1") == 0
    written = json.loads((tmp_path / "out" / "datalist.json").read_text())
    assert {name: written[name] for name in ("margin", "interpolation", "classes", "layout")} == {
        "margin": 0.1, "interpolation": "cubic spline", "classes": ["cyst", "met"], "layout": "rois",
    }  # fmt: skip
    assert "patches keep the volume's unit" in written["window"]
    items = [item for key in ("training", "validation", "test") for item in written[key]]
    assert len(items) == 6 * 3
    assert all(len([item for item in written[key] if item["class"] == name]) for key in written if key in
               ("training", "validation", "test") for name in ("cyst", "met"))  # fmt: skip
    values = VolumeReader().check(tmp_path / "out" / items[0]["image"], "patch").values
    assert values.shape == (64, 64, 1)
    assert "training: 12 patches of 4 patients (cyst 8, met 4)" in capsys.readouterr().out


def test_patients_must_be_known(root, tmp_path, capsys):
    assert command(root, tmp_path / "out") == 2
    said = capsys.readouterr().err
    assert re.search(r"error: no patients.csv \(case,patient\) in .*: add it, or pass", said)
    (root / "patients.csv").write_text("case,patient\n" + "".join(f"case{i},P{i // 2}\n" for i in range(6)))
    assert command(root, tmp_path / "out") == 0
    written = json.loads((tmp_path / "out" / "datalist.json").read_text())
    owners = [{item["patient"] for item in written[key]} for key in ("training", "validation", "test")]
    assert sorted(map(len, owners)) == [1, 1, 1]
    assert set.union(*owners) == {"P0", "P1", "P2"}


def test_a_mask_on_another_grid_is_refused_and_no_patches_stay(root, tmp_path):
    write(root / "case3" / "met.nii.gz", box((40, 40, 5), ((30, 36), (3, 8), (2, 4))))
    with pytest.raises(DataError, match=r"case3: met has shape \(40, 40, 5\), affine .*, ct shape \(40, 40, 6\)"):
        cut_cases(root, tmp_path / "out", ["cyst", "met"], one_patient_per_file=True)
    (root / "case3" / "met.nii.gz").unlink()
    assert len(cut_cases(root, tmp_path / "out", ["cyst", "met"], one_patient_per_file=True)) == 6 * 3 - 1


def test_a_folder_without_a_volume_is_named(root, tmp_path, caplog):
    (root / "case2" / "ct.nii.gz").rename(root / "case2" / "CT.NII.GZ")
    assert command(root, tmp_path / "out", "--one_patient_per_file") == 0
    assert caplog.messages == ["in: folders without ct are skipped: case2"]


@pytest.mark.parametrize("name", ["../cyst", "/tmp/cyst", ".", ""])
def test_a_class_that_is_no_folder_of_out_is_refused(root, tmp_path, name):
    before = snapshot(tmp_path)
    with pytest.raises(ConfigError, match=f"^--classes '{name}' cannot name a file: give a name without / "):
        cut_cases(root, tmp_path / "deep" / "out", ["cyst", name], one_patient_per_file=True)
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize("margin", [-0.1, 11, np.inf, np.nan])
def test_a_margin_that_no_patch_has_is_refused(root, tmp_path, margin):
    with pytest.raises(ConfigError, match=f"^--margin is {margin}, not from 0 to 10: give a number such as 0.2"):
        cut_cases(root, tmp_path / "out", ["cyst"], margin=margin, one_patient_per_file=True)


def test_patches_are_not_written_over(root, tmp_path):
    cut_cases(root, tmp_path / "out", ["cyst"], one_patient_per_file=True)
    with pytest.raises(OutputError, match="already has cyst: remove them"):
        cut_cases(root, tmp_path / "out", ["cyst", "met"], one_patient_per_file=True)
