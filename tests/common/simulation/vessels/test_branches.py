import numpy as np

from common.simulation.vessels.branches import GRID_MM, Domain, grow


def test_radii_follow_murrays_law_on_a_tree_by_hand():
    # Nodes 2 and 3 meet in 1, which goes to 0 at node 7 of the trunks: two ends in 0 and 1, one in each other.
    points = GRID_MM * np.array([(0, 0, 0), (1, 0, 0), (2, 1, 0), (2, -1, 0)], float)
    domain = Domain(points, np.array([-1, 0, 1, 1]), np.array([7, -1, -1, -1]), np.array([2, 3]))
    lines = grow(domain, np.random.default_rng(0), ends=2, end_radius=0.5, vein=True)
    np.testing.assert_allclose(lines.radius, [0.5 * 2 ** (1 / 3)] * 2 + [0.5] * 2)
    assert lines.parent.tolist() == [-2 - 7, 0, 1, 1]
    assert lines.vein.all()
    # The ends of a tree stay where they are, so that smoothing does not shorten it.
    np.testing.assert_array_equal(lines.points[[0, 2, 3]], points[[0, 2, 3]])
