import numpy as np
from scipy import ndimage

from common.simulation.deformation import template_points, to_head
from common.simulation.grid import CENTRE_MM, NODE_MM, NODE_SHAPE
from common.simulation.template import template


def test_a_point_of_the_template_is_found_millimetres_away_where_the_head_reads_it():
    sources = template_points(np.random.default_rng(4), template())
    points = np.random.default_rng(0).uniform((-70, -100, -60), (70, 70, 75), (300, 3))
    found = to_head(sources, points)
    index = (found - CENTRE_MM) / NODE_MM + (np.array(NODE_SHAPE) - 1)[None] / 2
    read = np.stack([ndimage.map_coordinates(axis, index.T, order=1) for axis in sources], axis=1)
    np.testing.assert_allclose(read, points, atol=0.01)
    assert 1 < np.median(np.linalg.norm(found - points, axis=1)) < 12
