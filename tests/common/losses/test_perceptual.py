"""Distances of features and of their Gram matrices: of the tissue segmenter, and of VGG-19 from a user's file."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from common.errors import CheckpointError, ConfigError
from common.losses import PerceptualDistance
from common.losses.features import hidden_features
from common.networks.vgg import Vgg19
from common.segmenter import segmenter

WINDOW = [-1000, 3000]
CONVOLUTIONS = [0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30, 32, 34]
"""Places of the convolutions in torchvision's ``vgg19().features``; a pooling stands before 5, 10, 19 and 28."""


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file like torchvision's, in the format of 2017, with random weights and the first layer of the classifier."""
    torch.manual_seed(0)
    weights = {**Vgg19().state_dict(), "classifier.0.weight": torch.zeros(2, 2)}
    path = tmp_path_factory.mktemp("weights") / "vgg19.pth"
    torch.save(weights, path, _use_new_zipfile_serialization=False)
    return path


def images(seed: int, *shape: int) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def test_without_a_file_it_is_the_mean_square_over_the_activations_of_the_segmenter() -> None:
    ours, theirs = images(0, 2, 1, 16, 20), images(1, 2, 1, 16, 20)
    values = ((image + 1) * 2000 - 1000 for image in (ours, theirs))
    pairs = zip(*(hidden_features(segmenter("CT"), each) for each in values), strict=True)
    by_hand = torch.stack([((one - other) ** 2).mean() for one, other in pairs]).mean()
    loss = PerceptualDistance("CT", WINDOW)
    assert loss(ours, theirs).item() == pytest.approx(by_hand.item(), rel=1e-5)
    assert not any(weight.requires_grad for weight in loss.network.parameters())


def test_a_volume_counts_as_its_axial_slices() -> None:
    loss = PerceptualDistance("CT", WINDOW)
    ours, theirs = images(0, 2, 1, 16, 20, 5), images(1, 2, 1, 16, 20, 5)
    by_slice = torch.stack([loss(ours[..., z], theirs[..., z]) for z in range(5)]).mean()
    torch.testing.assert_close(loss(ours, theirs), by_slice, rtol=1e-5, atol=1e-7)


def test_with_a_file_it_is_the_mean_square_of_the_last_convolution_of_vgg19(published: Path) -> None:
    ours, theirs = images(0, 1, 1, 32, 16), images(1, 1, 1, 32, 16)
    weights = torch.load(published)

    def conv5_4(image: Tensor) -> Tensor:
        colours = [((image + 1) / 2 - mean) / std for mean, std in ((0.485, 0.229), (0.456, 0.224), (0.406, 0.225))]
        made = torch.cat(colours, dim=1)
        for place in CONVOLUTIONS:
            made = F.max_pool2d(made, 2) if place in (5, 10, 19, 28) else made
            made = F.conv2d(made, weights[f"features.{place}.weight"], weights[f"features.{place}.bias"], padding=1)
            made = made.clamp(min=0)
        return made

    by_hand = (conv5_4(ours) - conv5_4(theirs)).square().sum() / (512 * 2 * 1)
    loss = PerceptualDistance("CT", WINDOW, published)
    torch.testing.assert_close(loss(ours, theirs), by_hand, rtol=1e-4, atol=0)
    prediction = ours.clone().requires_grad_()
    loss(prediction, theirs).backward()
    assert prediction.grad.abs().max() > 0
    assert all(weight.grad is None for weight in loss.network.parameters())


def test_other_files_and_small_slices_are_refused(published: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"cannot read --losses::NAME::function::vgg .*none\.pth \(.*: pass"):
        PerceptualDistance("CT", WINDOW, tmp_path / "none.pth")
    (damaged := tmp_path / "damaged.pth").write_bytes(bytes(100))
    with pytest.raises(CheckpointError, match=r"damaged\.pth \(not a file of weights\): pass"):
        PerceptualDistance("CT", WINDOW, damaged)
    weights = torch.load(published)
    for shape, changed in {"none": None, r"\(512, 512, 1, 1\)": torch.zeros(512, 512, 1, 1)}.items():
        torch.save({**weights, "features.34.weight": changed}, tmp_path / "other.pth")
        with pytest.raises(
            CheckpointError, match=rf"^features\.34\.weight of .* has shape {shape}, not \(512, 512, 3, 3\)"
        ):
            PerceptualDistance("CT", WINDOW, tmp_path / "other.pth")
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(CheckpointError, match=r"^features\.0\.weight of .* has shape none, not \(64, 3, 3, 3\)"):
        PerceptualDistance("CT", WINDOW, tmp_path / "list.pth")
    for loss in (PerceptualDistance("CT", WINDOW), PerceptualDistance("CT", WINDOW, published)):
        with pytest.raises(ConfigError, match=r"--patch_size \(15, 32\) is below the 16 pixels .* loss perceptual"):
            loss(images(0, 1, 1, 15, 32), images(1, 1, 1, 15, 32))
        with pytest.raises(ValueError, match="differ in shape"):
            loss(images(0, 1, 1, 16, 16), images(0, 1, 1, 16, 18))
    with pytest.raises(ConfigError, match="no tissue segmenter for modality PT: choose CT or MR"):
        PerceptualDistance("PT", WINDOW)
