import nibabel as nib
import numpy as np
import pytest
from mri2pet_sketcher_refiner.phantoms import write_mri2pet

SPACING = 4.0


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    root = tmp_path_factory.mktemp("phantoms") / "set"
    write_mri2pet(root, cases=4, spacing=SPACING, seed=7)
    return root


def voxels(folder, name):
    return np.asarray(nib.Nifti1Image.from_filename(folder / f"{name}.nii.gz").dataobj)


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
