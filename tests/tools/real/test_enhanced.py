"""What is removed from real CT: the regions, and the rows of what changed in them."""

import numpy as np
import pytest

from tools.real.enhanced import changes, regions_of_angiography, regions_of_plain


def thorax():
    """Soft tissue of 40 HU (40, 40, 40) at 1.5 mm with a vessel of 12 voxels, a wire of 2 and a bone of 5."""
    ct = np.full((40, 40, 40), 40.0, np.float32)
    ct[4:16, 4:16, :] = 400
    ct[30:32, 30:32, :] = 900
    ct[30:35, 8:13, :] = 500
    return ct


def test_the_vessel_is_the_largest_part_that_is_thick_and_soft_tissue_is_away_from_all():
    regions = regions_of_angiography(thorax(), 1.5)
    vessel, soft = regions.values()
    assert not vessel[20:].any()
    assert vessel[5:15, 5:15, 10:30].mean() > 0.9
    assert not soft[16:19, 10].any(), "three voxels beside the vessel"
    assert soft[20, 10].all()
    assert not soft[30:35, 5:8].any()


def test_rows_say_what_changed_where():
    before = thorax()
    after = np.where(before == 400, 100, before + 1)
    first, second = changes("scan", before, after, regions_of_angiography(before, 1.5))
    assert (first["before"], first["after"], first["change"]) == (400, 100, 300)
    assert (second["before"], second["after"], second["change"]) == (40, 41, pytest.approx(1))


def test_a_head_without_agent_is_told_by_its_values_alone():
    counts = {name: int(mask.sum()) for name, mask in regions_of_plain(np.array([-50, 0, 79, 80, 120, 550.0])).items()}
    assert [*counts.values()] == [2, 1, 1]
