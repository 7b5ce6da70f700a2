import json
import sys
from pydoc import locate

import nibabel as nib
import numpy as np
import pytest

from common.data.checks import check_cases
from common.data.layouts import find_cases
from common.errors import ConfigError, OutputError
from common.phantoms import write_mri2pet
from common.phantoms.grid import grid

SPACING = 4.0
IMAGES = ("ad", "fa", "mtr", "pet", "rd")


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    root = tmp_path_factory.mktemp("phantoms") / "set"
    write_mri2pet(root, cases=4, spacing=SPACING, seed=7)
    return root


def voxels(folder, name):
    return np.asarray(nib.Nifti1Image.from_filename(folder / f"{name}.nii.gz").dataobj)


def patients(root):
    return [root / f"phantom_00{number}" for number in (0, 1, 3)]


def test_layout_and_about(written):
    names = sorted(str(path.relative_to(written)) for path in written.rglob("*") if path.is_file())
    files = [f"phantom_00{i}/{name}.nii.gz" for i in range(4) for name in (*IMAGES, "lesion", "mask", "nawm")]
    files.remove("phantom_002/lesion.nii.gz")
    assert names == sorted(["dataset.json", *files])
    about = json.loads((written / "dataset.json").read_text())
    assert about["description"] == "SYNTHETIC phantom, not a patient"
    assert (about["seed"], about["spacing_mm"], about["controls"]) == (7, 4.0, ["phantom_002"])
    assert about["units"]["mtr"] == "percent"
    assert set(about["units"]) == set(IMAGES)
    assert "McConnell Brain Imaging Centre" in about["licence"]
    assert [path.name for path in written.parent.iterdir()] == ["set"]


@pytest.mark.parametrize("name", [*IMAGES, "mask", "nawm", "lesion"])
def test_geometry_and_type(written, name):
    image = nib.Nifti1Image.from_filename(written / "phantom_001" / f"{name}.nii.gz")
    shape, affine = grid(SPACING)
    assert image.shape == shape == (50, 60, 50)
    assert image.get_data_dtype() == (np.float32 if name in IMAGES else np.uint8)
    np.testing.assert_allclose(image.affine, affine, atol=1e-5)
    assert image.header["descrip"].item() == b"SYNTHETIC phantom, not a patient"


def test_cases_pass_the_check_of_the_folder_layout(written):
    cases = find_cases(written, "folders", "mtr,fa,rd,ad", "pet")
    assert [("lesion" in case, "nawm" in case) for case in cases] == [(True, True)] * 2 + [(False, True), (True, True)]
    windows = [(0, 50), (0, 1), (0, 3), (0, 3)]
    findings = check_cases(
        {"training": cases}, source_range=windows, target_range=(0, 2), channels=4, nan_fill=None, progress=False
    )
    assert [str(finding) for finding in findings] == []


def test_values_have_their_units_and_are_0_outside_the_brain(written):
    ranges = {"mtr": (38.5, 45), "fa": (0.47, 1), "rd": (0.55, 3.2), "ad": (1.25, 3.2), "pet": (1.4, 2)}
    for folder in sorted(written.glob("phantom_*")):
        mask, white = voxels(folder, "mask") > 0, voxels(folder, "nawm") > 0
        assert not (white & ~mask).any()
        for name, (healthy, highest) in ranges.items():
            image = voxels(folder, name)
            assert not image[~mask].any()
            assert image.min() >= 0
            assert image.max() <= highest
            assert np.median(image[white]) == pytest.approx(healthy, rel=0.15)


def test_plaques_differ_from_white_matter_as_known(written):
    changes = []
    for folder in patients(written):
        lesion, nawm = voxels(folder, "lesion") > 0, voxels(folder, "nawm") > 0
        assert lesion.sum() > 10
        assert not (lesion & nawm).any()
        images = [voxels(folder, name) for name in ("mtr", "rd", "pet", "fa", "ad")]
        changes.append([image[lesion].mean() - image[nawm].mean() for image in images])
    mtr, rd, pet, fa, ad = np.transpose(changes)
    assert mtr.max() < -2
    assert rd.min() > 0.08
    assert pet.max() < -0.05
    # How the fibres of the few plaques lie, and how much water they hold, is chance in one patient.
    assert fa.mean() < -0.03
    assert ad.mean() > 0.05


def test_white_matter_of_controls_binds_more_than_that_of_patients(written):
    uptake = [voxels(folder, "pet")[voxels(folder, "nawm") > 0].mean() for folder in sorted(written.glob("phantom_*"))]
    assert uptake[2] > np.mean(uptake[:2] + uptake[3:]) + 0.01


def test_a_second_run_gives_the_same_bytes(written, tmp_path):
    write_mri2pet(tmp_path / "again", cases=1, spacing=SPACING, seed=7)
    for name in (*IMAGES, "mask", "nawm", "lesion"):
        path = f"phantom_000/{name}.nii.gz"
        assert (tmp_path / "again" / path).read_bytes() == (written / path).read_bytes()
        assert (written / path).read_bytes() != (written / f"phantom_001/{name}.nii.gz").read_bytes()


def test_a_recipe_finds_the_writer_though_its_module_has_the_same_name():
    assert locate("common.phantoms.write_mri2pet") is write_mri2pet


def test_an_interruption_leaves_nothing(tmp_path, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(sys.modules["common.phantoms.write_mri2pet"], "write_about", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_mri2pet(tmp_path / "set", cases=1, spacing=8.0)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"cases": 0}, "cases: must be at least 1, but got 0; give a larger number"),
        ({"seed": -1}, "seed: must be at least 0, but got -1"),
        ({"spacing": 20.0}, r"spacing: must lie between 0\.5 and 8\.0 mm, but got 20\.0"),
    ],
)
def test_wrong_numbers_are_refused(tmp_path, change, message):
    with pytest.raises(ConfigError, match=message):
        write_mri2pet(tmp_path / "set", **{"cases": 1, "spacing": SPACING, **change})
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_holds_something_is_kept(tmp_path):
    (tmp_path / "scan.nii.gz").write_bytes(b"mine")
    with pytest.raises(OutputError, match="must be a folder that is new or empty"):
        write_mri2pet(tmp_path, cases=1, spacing=SPACING)
    assert [path.name for path in tmp_path.iterdir()] == ["scan.nii.gz"]
