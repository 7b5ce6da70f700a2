"""Label maps as files: their tissues, orientation, cavities and noise."""

import label_maps
import nibabel as nib
import numpy as np
import pytest

from common.errors import DataError
from common.simulation.label_heads.codes import CODES, LABELS, SOFT, coded, inside
from common.simulation.label_heads.label_map import label_map, map_files


def saved(path, labels, spacing=(1.0, 1.0, 1.0)):
    nib.save(nib.Nifti1Image(labels, np.diag([*spacing, 1.0])), path)
    return path


@pytest.fixture(scope="module")
def head(tmp_path_factory):
    return label_map(map_files(label_maps.write(tmp_path_factory.mktemp("maps")))[0])


def test_every_label_has_one_tissue_and_every_tissue_a_code():
    all_labels = [label for own in LABELS.values() for label in own]
    assert len(all_labels) == len(set(all_labels))
    assert set(LABELS) < set(CODES)
    assert len(CODES) < SOFT


def test_labels_become_their_tissues_and_unknown_ones_are_named():
    codes = coded(np.array([0, 2, 41, 3, 507, 515, 13, 502, 514]), "map")
    named = ["soft" if code == SOFT else CODES[code] for code in codes]
    assert named == ["background", "white", "white", "grey", "soft", "skull", "pallidum", "artery", "vein"]
    for unknown in (1, 600, 510):
        with pytest.raises(DataError, match=rf"head_07 has unknown labels, such as \[{unknown}\]: convert"):
            coded(np.array([0, 2, unknown]), "head_07")


def test_orientation_of_the_file_does_not_matter(head, tmp_path):
    (path,) = map_files(label_maps.write(tmp_path / "other", axes="RAS"))
    other = label_map(path)
    assert np.array_equal(head.codes, other.codes)
    assert np.allclose(head.brain_centre, other.brain_centre)


def test_the_brain_lies_where_it_is(head):
    """The middle of a ball of 19 mm, and the eyes in front of and below it."""
    low, high = head.eyes
    assert (low[1] + high[1]) / 2 - head.brain_centre[1] == pytest.approx(60 - 34, abs=1)
    assert (low[2] + high[2]) / 2 - head.brain_centre[2] == pytest.approx(34 - 40, abs=1)


def test_depth_under_the_skin_distance_to_the_brain_and_ventricles_that_pull_towards_them(head):
    """The centre lies 30 mm deep and 19 mm inside the brain, coarse voxels of 2 mm aside."""
    centre = head.brain_centre.reshape(3, 1)
    assert head.coarse_at(head.under_skin, centre)[0] == pytest.approx(30, abs=3)
    assert head.coarse_at(head.from_brain, centre)[0] == pytest.approx(-19, abs=3)
    assert head.coarse_at(head.from_brain, centre + [[0], [0], [26]])[0] == pytest.approx(7, abs=3)
    x, y, z = (head.coarse_at(axis, centre + [[8], [0], [0]])[0] for axis in head.to_ventricles)
    assert x < -0.2
    assert max(abs(y), abs(z)) < 0.1


def test_noise_is_outvoted_and_sheets_stay(tmp_path):
    plain, labels = label_maps.labels(), label_maps.labels()
    labels[32, 34, 69] = 515  # one voxel of bone in the skin above the head
    labels[22:43, 36:64, 15] = 515  # a sheet of bone in soft tissue
    labels[2, 2, 2] = 24  # a speck in the air
    noisy, quiet = (
        label_map(saved(tmp_path / f"{name}.nii.gz", each)) for name, each in (("noisy", labels), ("plain", plain))
    )
    added = int(inside(noisy.codes, "skull").sum()) - int(inside(quiet.codes, "skull").sum())
    sheet = 21 * 28 - int(np.isin(plain[22:43, 36:64, 15], (0, 515)).sum())
    assert 0.7 * sheet < added < 1.1 * sheet
    assert inside(noisy.codes, "csf").sum() == pytest.approx(inside(quiet.codes, "csf").sum(), rel=0.01)


@pytest.mark.parametrize(
    ("labels", "spacing", "message"),
    [
        (label_maps.labels(), (1, 1, 1.3), "isotropic voxels"),
        (label_maps.labels(), (2, 2, 2), "isotropic voxels up to 1.5 mm"),
        (np.zeros((9, 9, 9), np.int16), (1, 1, 1), "map.nii.gz has no labels, zeros alone"),
        (np.full((9, 9, 9), 511, np.int16), (1, 1, 1), "has no brain"),
    ],
)
def test_maps_that_are_none_are_refused(tmp_path, labels, spacing, message):
    with pytest.raises(DataError, match=message):
        label_map(saved(tmp_path / "map.nii.gz", labels, spacing))
