import numpy as np
import pytest

from common.simulation.vessels.branches import GRID_MM, REACH_MM, Domain, domains, grow
from common.simulation.vessels.centre_lines import trunk_lines


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


@pytest.mark.parametrize("name", ["artery", "vein", "scalp"])
def test_every_site_leads_to_a_trunk_of_its_kind(name):
    domain = domains()[name]
    lines, kinds = trunk_lines()
    current = domain.sites
    for _ in range(400):
        current = np.where(domain.parent[current] >= 0, domain.parent[current], current)
    trunk = domain.trunk[current]
    assert (trunk >= 0).all()
    assert (lines.vein[trunk] == (name == "vein")).all()
    assert np.linalg.norm(domain.points[current] - lines.points[trunk], axis=1).max() < REACH_MM
    assert {kinds[number].name for number in np.unique(lines.vessel[trunk])} & {
        "artery": {"superior insular", "pericallosal", "posterior cerebral"},
        "vein": {"superior sagittal sinus"},
        "scalp": {"external carotid"},
    }[name]
