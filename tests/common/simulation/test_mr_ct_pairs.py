import json

import nibabel as nib
import numpy as np
import pytest

from common.simulation import head_anatomy
from common.simulation.dataset import case_seed
from common.simulation.grid import grid
from common.simulation.mr_ct_pairs import write_mr2ct

SPACING = 5.0


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    root = tmp_path_factory.mktemp("phantoms") / "set"
    write_mr2ct(root, cases=2, spacing=SPACING, seed=7)
    return root


def voxels(path):
    return np.asarray(nib.Nifti1Image.from_filename(path).dataobj)


def test_layout_and_about(written):
    names = sorted(str(path.relative_to(written)) for path in written.rglob("*") if path.is_file())
    files = [f"phantom_00{case}/{name}.nii.gz" for case in (0, 1) for name in ("ct", "mask", "mr")]
    assert names == ["dataset.json", *files]
    about = json.loads((written / "dataset.json").read_text())
    assert (about["seed"], about["spacing_mm"]) == (7, 5.0)
    assert about["description"] == "SYNTHETIC phantom, not a patient"
    assert about["mr_offset_mm"] == {"phantom_000": [0, 0, 0], "phantom_001": [0, 0, 0]}
    assert "McConnell Brain Imaging Centre" in about["licence"]
    assert [path.name for path in written.parent.iterdir()] == ["set"]


@pytest.mark.parametrize(("name", "dtype"), [("mr", np.int16), ("ct", np.int16), ("mask", np.uint8)])
def test_geometry_unit_and_description(written, name, dtype):
    image = nib.Nifti1Image.from_filename(written / "phantom_001" / f"{name}.nii.gz")
    shape, affine = grid(SPACING)
    assert image.shape == shape == (40, 48, 40)
    assert image.get_data_dtype() == dtype
    for matrix, code in (image.get_sform(coded=True), image.get_qform(coded=True)):
        assert code == 1
        np.testing.assert_allclose(matrix, affine, atol=1e-5)
    assert nib.aff2axcodes(image.affine) == ("R", "A", "S")
    assert image.header.get_xyzt_units()[0] == "mm"
    assert image.header["descrip"].item() == b"SYNTHETIC phantom, not a patient"


def test_values_are_ct_mr_and_mask(written):
    mr, ct, mask = (voxels(written / "phantom_000" / f"{name}.nii.gz") for name in ("mr", "ct", "mask"))
    assert set(np.unique(mask)) == {0, 1}
    assert ct[mask == 0].mean() == pytest.approx(-990, abs=15)
    assert -50 < np.median(ct[mask == 1]) < 100
    assert mr.min() >= 0
    assert np.median(mr[mask == 1]) > 10 * np.median(mr[mask == 0])


def test_misregistration_shifts_the_mr_alone_by_its_length(written, tmp_path):
    root = tmp_path / "moved"
    write_mr2ct(root, cases=1, spacing=SPACING, seed=7, misregistration_mm=6.0)
    offset = np.array(json.loads((root / "dataset.json").read_text())["mr_offset_mm"]["phantom_000"])
    assert np.linalg.norm(offset) == pytest.approx(6.0)

    case = "phantom_000"
    assert (root / case / "ct.nii.gz").read_bytes() == (written / case / "ct.nii.gz").read_bytes()
    # The neck leaves the field of view, so the shift is measured on the brain: the centre of mass of the white matter.
    still, moved = (head_anatomy(case_seed(7, 0), SPACING, shift) for shift in ((0, 0, 0), tuple(offset)))
    measured = np.subtract(*(centre_mm(anatomy) for anatomy in (moved, still)))
    np.testing.assert_allclose(measured, offset, atol=0.1)
    mr_still, mr_moved = (voxels(folder / case / "mr.nii.gz") for folder in (written, root))
    np.testing.assert_allclose(mr_edges(mr_moved) - mr_edges(mr_still), offset[:2], atol=1.5)


def centre_mm(anatomy):
    white = anatomy.fractions["white"].astype(np.float64)
    return SPACING * np.array([np.average(index, weights=white) for index in np.indices(white.shape)])


def mr_edges(mr):
    """Middle of the head in mm along right and anterior, from the upper half of its MR."""
    bright = (mr[..., 22:] > 500).astype(float)
    return SPACING * np.array([np.average(index, weights=bright) for index in np.indices(bright.shape)[:2]])
