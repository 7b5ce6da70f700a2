"""Which mode follows from the data, which slices are trained on in each, and the files of each direction."""

from __future__ import annotations

import pytest
import torch
from cect2ct_rescyclegan.directions import translation
from cect2ct_rescyclegan.method import pairing
from cect2ct_toys import MODES, cases, dataset

from common.data.datasets.slices import SliceDataset, UnpairedSliceDataset
from common.errors import ConfigError


@pytest.mark.parametrize(
    ("mode", "pairs", "expected"),
    [("auto", True, "registered"), ("auto", False, "cross")]
    + [(mode, True, mode) for mode in MODES]
    + [("cross", False, "cross"), ("off", False, "off")],
)
def test_the_mode(mode: str, pairs: bool, expected: str) -> None:
    assert pairing(mode, cases(pairs)) == expected


def test_registered_without_pairs_is_refused_and_cross_recommended() -> None:
    rule = "--pair_mode registered needs pairs .*, and the data have none: list pairs .* or pass --pair_mode cross,"
    with pytest.raises(ConfigError, match=rule):
        pairing("registered", cases(pairs=False))


@pytest.mark.parametrize("pairs", [True, False])
def test_an_unknown_mode_is_named(pairs: bool) -> None:
    rule = "--pair_mode is 'aligned': choose auto, registered, cross or off"
    with pytest.raises(ConfigError, match=rule):
        pairing("aligned", cases(pairs))


def test_registered_slices_are_pairs() -> None:
    found = dataset("registered", pairs=True)
    assert type(found) is SliceDataset
    assert len(found) == 4
    for index in range(4):
        sample = found[1, index]
        assert torch.equal(sample["label"], -sample["image"])
        assert sample["case"] == f"case_{index // 2}"


@pytest.mark.parametrize("mode", ["cross", "off"])
@pytest.mark.parametrize("pairs", [True, False])
def test_other_slices_are_of_two_pools(mode: str, pairs: bool) -> None:
    found = dataset(mode, pairs)
    assert type(found) is UnpairedSliceDataset
    assert len(found) == 4
    drawn = [found[epoch, index] for epoch in range(20) for index in range(4)]
    # the same crop of the same slice would be a rare chance
    assert sum(torch.equal(sample["label"], -sample["image"]) for sample in drawn) < 10
    partners = {tuple(sample["case"].split(", ")) for sample in drawn}
    targets = ("case_0", "case_1") if pairs else ("case_10", "case_11")
    assert partners == {(source, target) for source in ("case_0", "case_1") for target in targets}


def test_contrast_is_removed_by_the_deployed_generator() -> None:
    chosen = translation("cect2ct", "runs/one", "cect", "ct")
    assert chosen == ("runs/one/models/model.pt", "pretrained.pt", "cect", "image", "synthetic_ct")


def test_contrast_is_added_by_the_generator_kept_beside_it() -> None:
    chosen = translation("ct2cect", "runs/one", "cect", "ct")
    assert chosen == ("runs/one/models/model_backward.pt", "pretrained_backward.pt", "ct", "label", "synthetic_cect")


@pytest.mark.parametrize("name", ["mr2ct", "CECT2CT", ""])
def test_another_direction_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=f"--direction is '{name}': choose cect2ct or ct2cect"):
        translation(name, "runs/one", "cect", "ct")
