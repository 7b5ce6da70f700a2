import dataclasses

import numpy as np

from common.evaluation.report.planes import difference_limit, difference_planes, plane_centre, three_planes


def test_planes_are_radiological():
    right, anterior, superior = (np.zeros((3, 4, 5)) for _ in range(3))
    right[2] = anterior[:, 3] = superior[..., 4] = 1  # RAS: the last index is the patient's right, front and top
    axial, coronal, sagittal = three_planes(right, (2, 2, 2))
    assert axial.shape == (4, 3)
    assert (axial[:, 0] == 1).all()
    assert axial[:, 1:].sum() == 0
    assert (coronal[:, 0] == 1).all()
    assert coronal.sum() == 5
    assert sagittal.all()
    axial, _, sagittal = three_planes(anterior, (1, 1, 1))
    assert axial.tolist() == [[1, 1, 1], [0, 0, 0], [0, 0, 0], [0, 0, 0]]
    assert sagittal.tolist() == [[1, 0, 0, 0]] * 5
    _, coronal, sagittal = three_planes(superior, (1, 1, 1))
    assert coronal[0].tolist() == [1, 1, 1]
    assert coronal.sum() == 3
    assert sagittal[0].tolist() == [1, 1, 1, 1]
    assert sagittal.sum() == 4


def test_planes_go_through_the_masks_centre(panel):
    assert plane_centre(panel) == (1, 2, 2)
    mask = np.zeros((3, 4, 5))
    mask[2, 0:3, 3:5] = 1  # centre of mass (2, 1, 3.5), rounded to even
    assert plane_centre(dataclasses.replace(panel, mask=mask)) == (2, 1, 4)
    assert plane_centre(dataclasses.replace(panel, mask=np.zeros((3, 4, 5)))) == (1, 2, 2)


def test_difference_is_synthetic_minus_truth(panel):
    axial, coronal, sagittal = difference_planes(panel)
    # (1, 2, 2): column 3 - 1 - 1 = 1, axial row 4 - 1 - 2 = 1, coronal row 5 - 1 - 2 = 2
    assert axial[1, 1] == coronal[2, 1] == sagittal[2, 1] == -40
    assert axial[0, 0] == 30
    assert axial.sum() == 11 * 30 - 40


def test_difference_is_masked(panel):
    mask = np.zeros((3, 4, 5))
    mask[1, 2, 2] = 1
    axial, coronal, sagittal = difference_planes(dataclasses.replace(panel, mask=mask))
    assert [np.isfinite(plane).sum() for plane in (axial, coronal, sagittal)] == [1, 1, 1]
    assert axial[1, 1] == -40
    assert np.isfinite(difference_planes(dataclasses.replace(panel, mask=0 * mask))[0]).all()


def test_difference_range_is_that_inside_the_mask(panel):
    mask = np.zeros((3, 4, 5))
    mask[1, 2, 2] = 1
    assert difference_limit(dataclasses.replace(panel, mask=mask)) == 40
    assert difference_limit(dataclasses.replace(panel, truth=panel.synthetic)) == 1.0


def test_unsigned_images_do_not_wrap(panel):
    counts = {"synthetic": np.full((3, 4, 5), 3, np.uint8), "truth": np.full((3, 4, 5), 5, np.uint8)}
    assert difference_planes(dataclasses.replace(panel, **counts))[0][0, 0] == -2
