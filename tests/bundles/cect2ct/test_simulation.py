import numpy as np
import pytest
from cect2ct_rescyclegan.simulation import CectCtPair

from common.errors import ConfigError
from common.simulation.scanner import Scanner
from common.simulation.simulate import AverageHeads

COARSE = AverageHeads(spacings_mm=[8.0], turn_probability=0)
WHOLE = {
    "heads": AverageHeads(spacings_mm=[3.0], turn_probability=0),
    "scanner": Scanner(thick_probability=0, cut_mm=[0, 0, 0, 0]),
}
STILL = {"hu_spread": 0, "noise_hu": [0, 0], "target_noise_hu": [0, 0], "blur_mm": [0, 0], "tissue_hu": {}}
SEED = 4


def anatomy():
    """The head of ``SEED`` in cases that are scanned whole."""
    pair, rng = CectCtPair(**WHOLE), np.random.default_rng(SEED)
    return pair.heads(rng)


@pytest.fixture(scope="module")
def fractions():
    return anatomy().fractions


@pytest.fixture(scope="module")
def iodine():
    """200 HU in all blood, 12 in muscle; no noise, and nobody differs from the tables."""
    settings = STILL | {"artery_hu": [200, 200], "vein_share": [1, 1], "tissue_hu": {"muscle": [12, 12]}}
    return CectCtPair(**WHOLE, **settings)(SEED)


# ---- what iodine does, and what it leaves alone ---------------------------------------------------------------------


def test_blood_gains_what_was_drawn_and_muscle_too(iodine, fractions):
    """The kernel keeps sums, so that in all each vessel gains its volume times 200 HU."""
    added = iodine["image"] - iodine["label"]
    expected = 200 * fractions["vessel"].sum() + 12 * fractions["muscle"].sum()
    assert added.sum() == pytest.approx(expected, rel=1e-3)
    assert np.median(added[fractions["vessel"] > 0.99]) == pytest.approx(200, abs=4)
    assert np.median(added[fractions["muscle"] > 0.999]) == pytest.approx(12, abs=0.01)


def test_the_target_has_blood_without_contrast_medium(iodine, fractions):
    blood = iodine["label"][fractions["vessel"] > 0.99]
    assert blood.size > 100
    assert np.median(blood) == pytest.approx(43, abs=2)
    spread = [CectCtPair(**WHOLE, **STILL | {"hu_spread": 1})(seed) for seed in (1, 2)]
    assert all(35 <= np.median(case["label"][case["vessel"] > 0]) <= 55 for case in spread)


def test_nothing_else_changes(iodine, fractions):
    """Bone, fat, fluid and air without blood or muscle within two voxels."""
    added = np.abs(iodine["image"] - iodine["label"])
    for name in ("skull", "fat", "csf", "background"):
        pure = fractions[name] == 1
        assert pure.sum() > 100, name
        assert added[pure].mean() < 0.01, name


def test_veins_have_their_share_of_the_arteries():
    settings = STILL | {"artery_hu": [300, 300], "vein_share": [0.5, 0.5]}
    case, head = CectCtPair(**WHOLE, **settings)(SEED), anatomy()
    added, full = case["image"] - case["label"], head.fractions["vessel"] > 0.99
    assert np.median(added[full & (head.veins > 0.99)]) == pytest.approx(150, abs=4)
    assert added.max() == pytest.approx(300, abs=15)


# ---- noise ----------------------------------------------------------------------------------------------------------


def test_noise_of_either_scan_is_its_own():
    """Standard deviations of 9 and 12 HU apart from each other: their difference has 15."""
    settings = STILL | {"noise_hu": [9, 9], "target_noise_hu": [12, 12], "artery_hu": [0, 0]}
    case = CectCtPair(**WHOLE, **settings)(SEED)
    quiet = CectCtPair(**WHOLE, **STILL | {"artery_hu": [0, 0]})(SEED)
    inside = (quiet["label"] > -900) & (quiet["label"] < 1000)
    noise, target = (case[name][inside] - quiet[name][inside] for name in ("image", "label"))
    assert noise.std() == pytest.approx(9, rel=0.03)
    assert target.std() == pytest.approx(12, rel=0.03)
    assert (noise - target).std() == pytest.approx(15, rel=0.03)


def test_shared_noise_leaves_the_enhancement_alone(iodine):
    settings = STILL | {"artery_hu": [200, 200], "vein_share": [1, 1], "tissue_hu": {"muscle": [12, 12]}}
    noisy = CectCtPair(**WHOLE, **settings | {"noise_hu": [20, 20], "shared_noise": True})(SEED)
    inside = noisy["label"] > -900  # below, the scanner's range may cut one of both
    added = (case["image"] - case["label"] for case in (noisy, iodine))
    noisy_added, added = (each[inside] for each in added)
    np.testing.assert_allclose(noisy_added, added, atol=1e-2)
    assert (noisy["label"] - iodine["label"])[inside].std() == pytest.approx(20, rel=0.03)


# ---- mistakes -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["artery_hu", "vein_share", "noise_hu", "target_noise_hu", "blur_mm"])
def test_swapped_ranges_are_refused(name):
    with pytest.raises(ConfigError, match=rf"{name} is \[9, 1\], not a range \[low, high\]: pass"):
        CectCtPair(heads=COARSE, **{name: [9, 1]})(0)


def test_tissues_are_known_and_their_swapped_ranges_refused_by_name():
    with pytest.raises(ConfigError, match=r"tissue_hu::muscle is \[9, 1\], not a range \[low, high\]"):
        CectCtPair(heads=COARSE, tissue_hu={"muscle": [9, 1]})(0)
    with pytest.raises(ConfigError, match=r"tissue_hu has unknown tissues \['gland'\]: choose vessel, "):
        CectCtPair(tissue_hu={"gland": [0, 9]})
