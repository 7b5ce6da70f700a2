"""Heads drawn from label maps: tissue fractions, sizes, positions and what is kept for validation."""

import hashlib
from dataclasses import fields

import label_maps
import numpy as np
import pytest

from common.errors import ConfigError
from common.simulation.head import partial_volume
from common.simulation.label_heads import IndividualHeads, heads_of
from common.simulation.label_heads.codes import CODE, CODES, inside
from common.simulation.label_heads.heads import SampledFractions, sampled
from common.simulation.label_heads.label_map import label_map
from common.simulation.label_heads.pathology import Pathology
from common.simulation.physics import SpinEcho, SpoiledEcho
from common.simulation.scanner import Scanner
from common.simulation.simulate import AverageHeads, MrCtPair, MrPair, held_out, of_source
from common.simulation.tissues import RELAXATION

HEALTHY = Pathology(
    **{entry.name: 0.0 for entry in fields(Pathology) if entry.name.endswith("_probability")}, atrophy=(0.0, 0.0)
)
STILL = {
    "spacings_mm": [2.0], "scale": (1.0, 1.0), "turn_degrees": (0, 0, 0), "move_mm": (0, 0, 0), "warp": 0.0,
    "widening_mm": 0.0, "pathology": HEALTHY,
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return label_maps.write(tmp_path_factory.mktemp("maps"), count=5)


@pytest.fixture(scope="module")
def still(folder):
    return IndividualHeads(folder, **STILL)(np.random.default_rng(0))


def test_fractions_of_a_voxel_sum_to_one_and_an_image_is_the_mean_of_its_tissues(folder, still):
    anatomy = IndividualHeads(folder, spacings_mm=[4.0])(np.random.default_rng(1))
    assert set(anatomy.fractions) <= RELAXATION.keys()
    assert np.allclose(sum(anatomy.fractions.values()), 1)
    values = {name: float(number) for number, name in enumerate(still.fractions)}
    expected = sum(values[name] * part for name, part in still.fractions.items())
    assert np.allclose(partial_volume(still, values), expected, atol=1e-4)


def test_tissues_keep_their_volume_and_place(folder, still):
    """Of the map, in mm: each tissue's volume, and the brain in the middle of the field of view."""
    own = label_map(IndividualHeads(folder).files[0])
    for name in ("white", "grey", "csf", "skull", "skin"):
        volume = still.fractions[name].sum() * 2.0**3
        assert volume == pytest.approx(inside(own.codes, name).sum(), rel=0.05), name
    middle = np.argwhere(still.fractions["white"] > 0.5).mean(axis=0)
    assert np.allclose(middle, (np.array(still.fractions["white"].shape) - 1) / 2, atol=1.5)


def test_a_voxel_averages_the_labels_of_its_size_and_points_outside_the_map_are_air():
    """A border in the middle of a voxel of two map voxels: half of its points on each side."""
    codes = np.zeros((8, 8, 8), np.uint8)
    codes[4:] = CODE["skull"]
    position = np.full((3, 1, 1, 1), 3.5, np.float32)
    for at, share in ((3.5, 0.5), (2.0, 0.0), (6.0, 1.0)):
        position[0] = at
        assert SampledFractions(sampled(codes, position, 2.0))["skull"].item() == share
    codes[:] = CODE["background"]
    codes[1:-1, 1:-1, 1:-1] = CODE["skull"]
    far = np.array([-50.0, 3.0, 99.0], np.float32).reshape(3, 1, 1, 1)
    assert SampledFractions(sampled(codes, far, 1.0))["background"].item() == 1


def test_arteries_and_veins_are_vessels_with_a_venous_share(still):
    vessel = still.fractions["vessel"] > 0
    assert vessel.any()
    assert {0.0, 1.0} <= set(np.unique(still.veins[vessel]).round(3))


def test_maps_of_validation_are_not_trained_on(folder):
    training = IndividualHeads(folder, validation_maps=2)
    names = [[path.name for path in heads.files] for heads in (training, training.held_out())]
    assert names == [["head_00.nii.gz", "head_01.nii.gz", "head_02.nii.gz"], ["head_03.nii.gz", "head_04.nii.gz"]]
    assert training.hashes() == {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in names[0]}
    pair = MrCtPair(SpoiledEcho(), heads=training)
    assert held_out(pair).heads == training.held_out()
    assert held_out(pair).source == pair.source
    other = of_source(pair, SpinEcho(te_ms=(90.0, 90.0)))
    assert (other.source.te_ms, other.heads) == ((90.0, 90.0), pair.heads)
    with pytest.raises(ConfigError, match="part is 'test'"):
        IndividualHeads(folder, part="test")
    message = "validation_maps is 5, of 5 maps: none is left for training: add maps, or in a pretraining pass "
    with pytest.raises(ConfigError, match=message):
        IndividualHeads(folder, validation_maps=5)


def test_without_maps_heads_are_average_ones(folder):
    average = heads_of(None, stripped_probability=0.3, spacings_mm=[3.0])
    assert isinstance(average, AverageHeads)
    assert (average.variety.stripped_probability, average.spacings_mm) == (0.3, [3.0])
    individual = heads_of(folder, stripped_probability=0.3, spacings_mm=[3.0])
    assert isinstance(individual, IndividualHeads)
    assert (individual.pathology.stripped_probability, individual.spacings_mm) == (0.3, [3.0])


def test_pairs_of_mr_and_ct_are_a_function_of_the_seed_with_ct_in_hu_and_those_of_mr_know_every_tissue(folder):
    whole = Scanner(cut_mm=[0, 0, 0, 0], thick_probability=0)
    pair = MrCtPair(SpoiledEcho(), heads=IndividualHeads(folder, spacings_mm=[3.0]), scanner=whole, noise_hu=(0, 0))
    one, again, other = pair(5), pair(5), pair(6)
    assert all(np.array_equal(one[name], again[name]) for name in one)
    assert not np.array_equal(one["label"], other["label"])
    outside = one["mask"] == 0
    assert np.median(one["label"][outside]) == -1000
    assert one["label"].max() > 1000
    case = MrPair(SpinEcho(), SpinEcho(te_ms=(90, 90)), heads=IndividualHeads(folder, spacings_mm=[4.0]))(2)
    assert case["image"].shape == case["label"].shape
    assert np.isfinite(case["image"]).all()
    assert {name for name in CODES if name not in ("artery", "vein")} | {"vessel"} <= set(RELAXATION)
