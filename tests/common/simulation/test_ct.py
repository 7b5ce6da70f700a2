import numpy as np
import pytest
from scipy import ndimage

from common.simulation.ct import render_ct, render_ct_pair
from common.simulation.head import head_anatomy
from common.simulation.tissues import HOUNSFIELD, TISSUES


@pytest.fixture(scope="module")
def ct(head) -> np.ndarray:
    return render_ct(head, np.random.default_rng(2))


@pytest.mark.parametrize("name", TISSUES)
def test_pure_tissue_has_the_hounsfield_value_of_its_table(slabs, slab, name):
    values = [slab(render_ct(slabs, np.random.default_rng(seed)), name).mean() for seed in range(8)]
    mean, spread = HOUNSFIELD[name]
    texture = 0.12 * mean if name in ("skull", "marrow") else 0  # two standard deviations of the density within a skull
    assert np.all(np.abs(np.array(values) - mean) < 2 * spread + texture + 1)
    assert np.std(values) == pytest.approx(spread, rel=1.0, abs=1)


def test_ct_noise_has_the_standard_deviation_asked_for(slabs, slab):
    quiet, noisy = (slab(render_ct(slabs, np.random.default_rng(0), noise_hu=level), "white") for level in (0, 20))
    assert quiet.std() < 0.01
    assert noisy.std() == pytest.approx(20, rel=0.1)


def test_ct_of_a_head_has_the_values_of_the_table_and_bone_is_a_closed_ring_on_an_axial_slice(head, ct):
    for name in ("white", "grey", "muscle", "background"):
        core = ndimage.binary_erosion(head.fractions[name] > 0.95)
        mean, spread = HOUNSFIELD[name]
        assert ct[core].mean() == pytest.approx(mean, abs=3 * spread + 3)
    assert -1024 <= ct.min() < -1000
    assert 800 < ct.max() <= 3071
    assert ct.dtype == np.float32
    middle = ct.shape[2] // 2 + 5
    regions, _ = ndimage.label(ct[..., middle] <= 250)
    brain = head.fractions["white"][..., middle] > 0.9
    assert brain.sum() > 100
    assert regions[0, 0] > 0
    assert regions[0, 0] not in regions[brain]


def test_a_moved_head_keeps_its_hounsfield_values_and_its_bone(head):
    moved = head_anatomy(3, 2.5, (5.0, 0.0, 0.0))
    _, still = render_ct_pair(head, np.random.default_rng(0), noise_hu=0.0)
    _, shifted = render_ct_pair(head, np.random.default_rng(0), noise_hu=0.0, plain=moved)
    np.testing.assert_allclose(shifted[6:-6], np.roll(still, 2, axis=0)[6:-6], atol=2.0)
