import nibabel as nib
import numpy as np
import pytest

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
