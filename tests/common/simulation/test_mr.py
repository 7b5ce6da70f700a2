import numpy as np
import pytest

from common.simulation.mr import FLOW_VOID, render_pd_t2, render_t1
from common.simulation.tissues import RELAXATION, TISSUES


def quiet(slabs, seed):
    return render_pd_t2(slabs, np.random.default_rng(seed), noise=0.0, bias=0.0)


def test_t1_orders_tissues_and_leaves_bone_and_air_dark(slabs, slab):
    image = render_t1(slabs, np.random.default_rng(5))
    mean = {name: slab(image, name).mean() for name in TISSUES}
    assert mean["fat"] > mean["white"] > mean["grey"] > mean["csf"] > mean["skull"]
    assert mean["skull"] < 0.05 * mean["white"]
    assert mean["background"] < 0.05 * mean["white"]


def test_t1_background_is_rayleigh_and_its_gain_within_15_percent(slabs, slab):
    whites = []
    for seed in range(12):
        image = render_t1(slabs, np.random.default_rng(seed), noise=0.03, bias=0.0)
        white, air = slab(image, "white").mean(), slab(image, "sinus")
        assert air.mean() / air.std() == pytest.approx(np.sqrt(np.pi / (4 - np.pi)), rel=0.05)
        assert air.mean() / white == pytest.approx(0.03 * np.sqrt(np.pi / 2), rel=0.05)
        whites.append(white)
    assert 1700 * 0.99 < min(whites) < 1900
    assert 2100 < max(whites) < 2300 * 1.01


def test_echoes_order_the_tissues_as_known_from_real_scans_and_flowing_blood_is_dark(slabs, slab):
    seen = [quiet(slabs, seed) for seed in range(4)]
    pd, t2 = ({name: slab(image, name).mean() for name in TISSUES} for image in np.mean(seen, axis=0))
    assert pd["csf"] > pd["grey"] > pd["lesion"] > pd["white"] > pd["skull"]
    assert t2["csf"] > t2["lesion"] > t2["grey"] > t2["white"] > t2["muscle"] > t2["dura"]
    assert pd["background"] == t2["background"] == 0
    assert t2["skull"] < 0.001 * t2["white"]
    for te, image in zip((8, 100), seen[0], strict=True):
        at_rest = 0.8 * np.exp(-te / 290) / np.exp(-te / 329)  # relative to CSF; TR leaves both relaxed but for 5%
        ratio = slab(image, "vessel").mean() / slab(image, "csf").mean()
        assert ratio == pytest.approx(FLOW_VOID * at_rest, rel=0.25)


@pytest.mark.parametrize("name", ["white", "grey", "csf", "lesion", "fat", "muscle", "vessel"])
def test_the_second_echo_lies_below_the_first_by_its_t2(slabs, slab, name):
    # T1, density, gain and flow cancel: the ratio is exp(-92 / T2), T2 within two spreads and four of its texture.
    tissue = RELAXATION[name]
    slack = 2 * tissue.spread + 0.06
    shortest, longest = (np.exp(-92 / (tissue.t2 * (1 + sign * slack))) for sign in (-1, 1))
    ratios = []
    for seed in range(3):
        pd, t2 = quiet(slabs, seed)
        ratio = slab(t2, name) / slab(pd, name)
        assert shortest <= ratio.min()
        assert ratio.max() <= longest
        ratios.append(ratio.mean())
    assert np.ptp(ratios) > 0.1 * (longest - shortest)
