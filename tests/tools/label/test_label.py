"""What the test of MONAI Label sends, and how it checks an answer; the server itself is for ``make label-test``."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import requests
import SimpleITK as sitk  # noqa: N813

from common.transforms import LoadVolumed
from tools.label import documented
from tools.label.inputs import TURN, series
from tools.label.requests import compared

AFFINE = np.array([[0, 3.0, 0, -20], [-2.0, 0, 0, 7], [0, 0, 4.0, 100], [0, 0, 0, 1]])


def saved(path: Path, values: np.ndarray, affine: np.ndarray = AFFINE) -> Path:
    nib.save(nib.Nifti1Image(values, affine), path)
    return path


@pytest.fixture
def own(tmp_path) -> Path:
    return saved(tmp_path / "own.nii.gz", np.arange(24, dtype=np.float32).reshape(2, 3, 4) - 10)


def answer(own: Path, values: np.ndarray, affine: np.ndarray = AFFINE) -> tuple[str, bool]:
    return compared(saved(own.with_name("answer.nii.gz"), values, affine), own)


def test_the_same_values_on_the_same_grid_are_right(own):
    says, holds = answer(own, nib.load(own).get_fdata().astype(np.float32))
    assert says == "200, (2, 3, 4) float32, largest difference 0 of values -10 to 13, places 0 mm apart"
    assert holds


def test_values_may_differ_by_a_thousandth(own):
    values = nib.load(own).get_fdata().astype(np.float32)
    assert answer(own, values + np.float32(0.0009))[1]
    says, holds = answer(own, values + np.float32(0.002))
    assert "largest difference 0.002 " in says
    assert not holds


def test_a_label_map_another_shape_and_another_grid_are_wrong(own):
    values = nib.load(own).get_fdata().astype(np.float32)
    assert answer(own, np.clip(values, 0, 255).astype(np.uint8))[0].startswith("200, (2, 3, 4) uint8, largest diff")
    assert not answer(own, values.astype(np.int16))[1], "right numbers of the wrong type"
    assert answer(own, values[:, :2]) == ("200, (2, 2, 4) float32, but shape (2, 3, 4) is right", False)
    mirrored = AFFINE @ np.diag([-1.0, 1, 1, 1])
    says, holds = answer(own, values, mirrored)
    assert "places 4 mm apart" in says, "the last voxel along the first axis lies 2 mm one way or the other"
    assert not holds


def test_the_series_is_the_volume_that_it_was_made_from(tmp_path):
    values = np.random.default_rng(0).normal(300, 200, (5, 6, 7)).astype(np.float32)
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = TURN @ np.diag([2.0, 1.5, -3.0]), [11, -12, 13]
    files = series(saved(tmp_path / "scan.nii.gz", values, affine), tmp_path / "series")
    assert len(files) == 7
    assert [path.name for path in files] != sorted(path.name for path in files), "names must not give the order away"
    read = LoadVolumed("image")({"image": str(tmp_path / "series")})["image"]
    # slices may come in either direction along the normal; places and values belong together
    voxels = np.stack(np.meshgrid(*map(np.arange, read.shape[1:]), indexing="ij"), axis=-1).reshape(-1, 3)
    places = voxels @ read.affine.numpy()[:3, :3].T + read.affine.numpy()[:3, 3]
    back = np.rint((places - affine[:3, 3]) @ np.linalg.inv(affine[:3, :3]).T).astype(int)
    np.testing.assert_allclose(back @ affine[:3, :3].T + affine[:3, 3], places, atol=1e-4)
    assert np.array_equal(read.numpy()[0][tuple(voxels.T)], np.rint(values)[tuple(back.T)])


def test_an_answer_in_nrrd_is_checked_by_its_places_too(own):
    answer = own.with_name("answer.nrrd")
    image = sitk.ReadImage(own)
    sitk.WriteImage(image, answer)
    assert compared(answer, own)[1]
    image.SetOrigin([place + 1 for place in image.GetOrigin()])
    sitk.WriteImage(image, answer)
    assert "places 2 mm apart" in compared(answer, own)[0]


def test_the_calls_of_the_page_are_run_against_the_server(own, tmp_path, monkeypatch):
    """A shell that notes its commands, and a server that sends back what it gets."""
    ran, sent = [], []

    def shell(words, cwd, **_):
        ran.append(words[-1])
        assert (cwd / "mr.nii.gz").read_bytes() == own.read_bytes()

    def post(url, params, files):
        sent.append((url, params))
        answer = requests.Response()
        answer.status_code, answer._content = 200, files["file"].read()
        return answer

    monkeypatch.setattr(documented.subprocess, "run", shell)
    monkeypatch.setattr(requests, "post", post)
    files = documented.run_documented("http://here:1", own, tmp_path / "documented")
    assert list(files) == ["ct.nii.gz", "ct.nrrd", "Slicer"]
    assert ran[0].startswith("SERVER=http://here:1\n")
    assert sent == [("http://here:1/infer/mr2ct_pix2pix", {"output": "image"})]
    assert files["Slicer"].suffix == ".nrrd"
    says, holds = compared(files["Slicer"], own)
    assert "largest difference 0 of values -10 to 13, places 0 mm apart" in says
    assert holds
