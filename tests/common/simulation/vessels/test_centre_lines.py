import numpy as np
import pytest

from common.simulation.template import brain_maps, sample, sample_brain, template
from common.simulation.vessels.centre_lines import INNER_TABLE_MM, trunk_lines


def nodes(name, side=1):
    lines, kinds = trunk_lines()
    courses = [lines.points[lines.vessel == i] for i, kind in enumerate(kinds) if kind.name == name]
    return next(course for course in courses if side * course[:, 0].sum() >= 0)


@pytest.mark.parametrize(
    ("upstream", "downstream"),
    [
        ("internal carotid", "middle cerebral"),
        ("internal carotid", "first anterior cerebral"),
        ("first anterior cerebral", "pericallosal"),
        ("middle cerebral", "superior insular"),
        ("vertebral", "basilar"),
        ("basilar", "first posterior cerebral"),
        ("first posterior cerebral", "posterior cerebral"),
        ("superior sagittal sinus", "transverse sinus"),
        ("transverse sinus", "sigmoid sinus"),
        ("sigmoid sinus", "jugular"),
        ("internal cerebral vein", "straight sinus"),
    ],
)
def test_one_vessel_begins_where_the_other_ends(upstream, downstream):
    assert np.linalg.norm(nodes(upstream)[-1] - nodes(downstream)[0]) < 3.5


def test_dural_sinuses_touch_the_inner_table():
    lines, kinds = trunk_lines()
    dural = np.isin(lines.vessel, [i for i, kind in enumerate(kinds) if kind.dural])
    depth = sample(template().brain, lines.points[dural].T.astype(np.float32))
    np.testing.assert_allclose(depth + lines.radius[dural], INNER_TABLE_MM, atol=1.0)
    assert np.abs(nodes("superior sagittal sinus")[:, 0]).max() < 1.0


@pytest.mark.parametrize(
    "name",
    [
        *("internal carotid", "middle cerebral", "superior insular", "inferior insular", "first anterior cerebral"),
        *("pericallosal", "basilar", "posterior cerebral", "superior cerebellar", "inferior cerebellar"),
        *("straight sinus",),
    ],
)
def test_the_great_vessels_run_in_fluid(name):
    grey, white, affine = brain_maps(0.0)
    points = nodes(name).T.astype(np.float32)
    tissue = sample_brain(grey, affine, points) + sample_brain(white, affine, points)
    assert tissue.mean() < 0.55
