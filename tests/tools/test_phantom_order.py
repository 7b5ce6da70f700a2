"""The order of the brain's tissues in CT of phantoms: right in the true one, lost in a CT without contrast."""

import nibabel as nib
import numpy as np
import pytest

from common.simulation.mr_ct_pairs import write_mr2ct
from tools.phantom_order import main, regions


@pytest.fixture(scope="module")
def phantoms(tmp_path_factory):
    root = tmp_path_factory.mktemp("phantoms") / "demo_data"
    write_mr2ct(root, cases=2, spacing=5.0, seed=3)
    return root


def test_the_true_ct_has_the_order_and_a_flat_one_has_not(phantoms, tmp_path, capsys):
    truth = phantoms / "phantom_001" / "ct.nii.gz"
    image = nib.load(truth)
    flat = tmp_path / "phantom_001_synthetic_ct.nii.gz"
    nib.save(nib.Nifti1Image(np.full(image.shape, 30, np.int16), image.affine), flat)
    assert main([str(phantoms), str(truth), str(flat)]) == 0
    right, lost = capsys.readouterr().out.splitlines()
    assert right.endswith("HU; fluid < white < grey: yes")
    assert lost == f"{flat}: fluid 30, white 30, grey 30 HU; fluid < white < grey: no"


def test_regions_are_of_the_case_named(phantoms):
    one, other = (regions(phantoms, name) for name in ("phantom_000", "phantom_001"))
    assert not np.array_equal(one["white"], other["white"])
    assert not (one["fluid"] & one["white"]).any()


def test_a_file_of_no_phantom_is_a_mistake(phantoms, tmp_path, capsys):
    stray = tmp_path / "case_07_synthetic_ct.nii.gz"
    assert main([str(phantoms), str(stray)]) == 2
    assert "is named after a phantom of the folder, but got case_07" in capsys.readouterr().err
