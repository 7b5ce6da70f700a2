"""Scores of sets of volumes, on sets of which they are known."""

from __future__ import annotations

import pytest
import torch
from brain3d_alphagan.samples import middle_slices
from brain3d_alphagan.scores import BrainScores, SliceFeatures, batch_mmd, brain_volume, pair_similarity
from torch.nn import functional as F

from common.metrics.random_features import RandomFeatures
from common.metrics.sample_quality import left_and_right, nearest_training


def blobs(count: int, seed: int) -> torch.Tensor:
    coarse = torch.rand(count, 1, 6, 6, 6, generator=torch.Generator().manual_seed(seed)) * 2 - 1
    return F.interpolate(coarse, (64, 64, 64), mode="trilinear")


def test_mmd_of_constant_volumes_is_the_squared_distance_of_their_means() -> None:
    one, other = torch.full((4, 1, 2, 2, 2), 0.5), torch.full((4, 1, 2, 2, 2), -0.25)
    assert batch_mmd(one, other, 0) == pytest.approx(8 * 0.75**2)
    assert batch_mmd(one, one, 0) == pytest.approx(0)


def test_similarity_of_pairs_is_one_where_all_are_alike() -> None:
    volumes = blobs(4, 0)
    assert pair_similarity(volumes[:1].expand(4, -1, -1, -1, -1), 0) == pytest.approx(1, abs=1e-5)
    assert pair_similarity(volumes, 0) < 0.9


def test_features_are_those_of_the_middle_slices() -> None:
    volumes = blobs(2, 1)
    slices = middle_slices(volumes)
    assert torch.equal(slices[:, 0], volumes[:, 0, :, :, 32])
    assert torch.equal(slices[:, 1], volumes[:, 0, :, 32])
    assert torch.equal(slices[:, 2], volumes[:, 0, 32])
    found = SliceFeatures()(volumes)
    assert torch.equal(found[:, :480], RandomFeatures()(slices[:, :1]))
    assert found.shape == (2, 1440)


def test_a_copy_with_left_and_right_exchanged_is_found() -> None:
    training = blobs(5, 2)
    found = nearest_training(training[[3]].flip(2), training, left_and_right)
    assert found.index.tolist() == [3]
    assert found.distance.item() == pytest.approx(0, abs=1e-6)
    assert nearest_training(training[[3]].flip(3), training, left_and_right).distance.item() > 0.1


def test_collapse_and_copies_show_in_the_scores() -> None:
    training, test = blobs(8, 3), blobs(6, 4)
    scores = BrainScores(training, test, 3.0, 0)
    alike = training[:1].expand(6, -1, -1, -1, -1)
    collapsed = scores.of(alike, nearest_training(alike, training, left_and_right))
    assert collapsed["diversity"] == pytest.approx(0, abs=1e-4)
    assert collapsed["copied"] == 1
    real = scores.of(training, None)
    assert real["diversity"] == pytest.approx(1, abs=0.3)
    assert abs(real["kid"]) < collapsed["kid"]
    assert "copied" not in real


def test_volume_of_the_brain_by_hand() -> None:
    """1,000 and 2,000 voxels of 3 mm are 27 and 54 ml."""
    volumes = torch.full((2, 1, 64, 64, 64), -1.0)
    volumes[0, :, :10, :10, :10] = 0
    volumes[1, :, :20, :10, :10] = 0
    assert brain_volume(volumes, 3.0) == {"brain_ml": pytest.approx(40.5), "brain_ml_sd": pytest.approx(27 / 2**0.5)}
