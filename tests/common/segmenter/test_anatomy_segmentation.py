"""Segmentation by slices and the overlap of classes, by hand; the shipped networks on heads of the phantoms."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from common.metrics import TissueDice
from common.segmenter import CLASSES, NAMES, segmenter
from common.segmenter.segmentation import dice_by_class, segmented
from common.simulation.ct import render_ct
from common.simulation.head import Anatomy, head_anatomy, partial_volume
from common.simulation.mr import render_t1
from common.simulation.tissues import HOUNSFIELD

SPACING = 3.0
LEAST = {
    "CT": {"air": 0.85, "fluid": 0.55, "white": 0.55, "grey": 0.6, "soft": 0.75, "bone": 0.7},
    "MR": {"fluid": 0.45, "white": 0.55, "grey": 0.45, "soft": 0.65, "bone": 0.55},
}
"""Dice."""
UNCLASSED = 255
"""Class of voxels that are mostly of no group."""


class Threshold(nn.Module):
    """Class 1 above 0, else class 0."""

    def forward(self, slices: torch.Tensor) -> torch.Tensor:
        rest = torch.full((len(slices), len(NAMES) - 2, *slices.shape[2:]), -9.0)
        return torch.cat([-slices, slices, rest], dim=1)


class WholeSlice(nn.Module):
    """Class 1 where the mean of the slice is above 0, which only slices across the last axis make right."""

    def forward(self, slices: torch.Tensor) -> torch.Tensor:
        return Threshold()(slices.mean(dim=(2, 3), keepdim=True).expand_as(slices))


def test_a_volume_is_segmented_slice_by_slice_along_the_last_axis() -> None:
    volume = np.random.default_rng(0).normal(size=(20, 5, 37))  # narrower than the network takes, in three passes
    assert np.array_equal(segmented(volume, Threshold()), volume > 0)
    steps = np.broadcast_to(np.where(np.arange(37) % 3, 1.0, -1.0), (20, 18, 37))
    assert np.array_equal(segmented(steps, WholeSlice()), steps > 0)


def test_overlap_by_hand() -> None:
    real = np.repeat([0, 1, 2], [100, 60, 49]).astype(np.uint8)
    ours = np.repeat([0, 1, 2], [80, 80, 49]).astype(np.uint8)
    found = dice_by_class(ours, real, np.ones(209, bool))
    assert found["air"] == pytest.approx(2 * 80 / 180)
    assert found["fluid"] == pytest.approx(2 * 60 / 140)
    assert np.isnan(found["white"]), "49 voxels are too few"
    inside = np.arange(209) >= 60
    assert dice_by_class(ours, real, inside)["air"] != dice_by_class(ours, real, inside)["air"], "40 are left"


def test_every_tissue_is_in_one_class_or_in_none() -> None:
    classed = [name for group in CLASSES.values() for name in group]
    assert len(classed) == len(set(classed))
    rest = HOUNSFIELD.keys() - set(classed)
    assert rest == {"vessel", "lesion", "choroid", "oedema", "tumour", "infarct", "haematoma", "calcium", "metal"}


def classes_of(anatomy: Anatomy) -> np.ndarray:
    """Class that a voxel has most of, (X, Y, Z)."""
    classes = list(CLASSES.values())
    rest = set(HOUNSFIELD).difference(*classes)
    groups = [{name: float(name in group) for name in HOUNSFIELD} for group in (*classes, rest)]
    largest = np.argmax([partial_volume(anatomy, shares) for shares in groups], axis=0)
    return np.where(largest == len(classes), UNCLASSED, largest)


@pytest.fixture(scope="module")
def head() -> dict[str, np.ndarray]:
    """A head of the phantoms, which the networks were not trained on: CT, MR in z-scores, classes, mask."""
    anatomy = head_anatomy(7, SPACING)
    mr = render_t1(anatomy, np.random.default_rng(1))
    inside = anatomy.head
    return {
        "CT": render_ct(anatomy, np.random.default_rng(2)),
        "MR": (mr - mr[inside].mean()) / mr[inside].std(),
        "classes": classes_of(anatomy),
        "mask": inside,
    }


@pytest.mark.parametrize("modality", ["CT", "MR"])
def test_the_shipped_networks_find_the_tissues_of_a_phantom(head: dict[str, np.ndarray], modality: str) -> None:
    known = head["mask"] & (head["classes"] != UNCLASSED)
    found = dice_by_class(segmented(head[modality], segmenter(modality)), head["classes"].astype(np.uint8), known)
    least = LEAST[modality]
    assert {name for name, overlap in found.items() if name in least and not overlap >= least[name]} == set(), found


def test_the_measure_falls_with_the_tissues_that_are_lost(head: dict[str, np.ndarray]) -> None:
    measure = TissueDice("HU")
    ct, mask = head["CT"], head["mask"]
    same = measure(ct, ct, mask)
    assert same["tissue_dice"] == 1
    assert set(same) == {"tissue_dice", *(f"tissue_dice_{name}" for name in NAMES)}
    assert measure(ct, ct, mask, np.eye(4))["tissue_hd95"] == 0
    without_bone = measure(np.minimum(ct, 60), ct, mask, np.diag([2, 2, 2, 1]))
    assert without_bone["tissue_hd95"] > 2
    assert without_bone["tissue_dice_bone"] < 0.05
    assert without_bone["tissue_dice"] < 0.9
    plain_brain = measure(np.where((ct > 0) & (ct < 80), 30, ct), ct, mask)
    assert plain_brain["tissue_dice_bone"] > 0.95 > 0.8 > plain_brain["tissue_dice_fluid"]


def test_what_is_no_head_and_other_units_are_not_measured(head: dict[str, np.ndarray]) -> None:
    fat = np.where(head["mask"], -90.0, -1000.0)
    assert all(np.isnan(value) for value in TissueDice("HU")(fat, fat, head["mask"]).values())
    assert TissueDice("DVR")(fat, fat, head["mask"]) == {}
