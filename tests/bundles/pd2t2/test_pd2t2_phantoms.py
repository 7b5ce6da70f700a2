import nibabel as nib
import numpy as np
import pytest
from pd2t2_dcgan_acm.phantoms import write_pd2t2

from common.simulation.dataset import case_seed
from common.simulation.head import head_anatomy

SPACING = 5.0


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    root = tmp_path_factory.mktemp("phantoms") / "set"
    write_pd2t2(root, cases=3, spacing=SPACING, seed=7)
    return root


def voxels(path):
    return np.asarray(nib.Nifti1Image.from_filename(path).dataobj)


def test_values_are_those_of_the_anatomy_of_the_seed(written):
    fractions = head_anatomy(case_seed(7, 1), SPACING).fractions
    pd, t2, mask = (voxels(written / "phantom_001" / f"{name}.nii.gz") for name in ("pd", "t2", "mask"))
    np.testing.assert_array_equal(mask, fractions["background"] < 0.5)
    fluid, white = fractions["csf"] > 0.9, fractions["white"] > 0.9
    assert np.median(t2[fluid]) > 2.5 * np.median(t2[white])
    assert 1.15 < np.median(pd[fluid]) / np.median(pd[white]) < 1.6
    for image in (pd, t2):
        assert image.min() >= 0
        assert np.median(image[mask == 0]) < 0.05 * np.median(image[fluid])


def test_gain_is_common_to_both_echoes_and_differs_between_cases(written):
    means = np.array(
        [
            [voxels(folder / f"{name}.nii.gz")[voxels(folder / "mask.nii.gz") > 0].mean() for name in ("pd", "t2")]
            for folder in sorted(written.glob("phantom_*"))
        ]
    )
    ratio = means[:, 1] / means[:, 0]
    assert np.ptp(ratio) / ratio.mean() < 0.12
    assert np.ptp(means[:, 0]) / means[:, 0].mean() > 0.15
