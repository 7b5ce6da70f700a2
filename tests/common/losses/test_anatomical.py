"""The distance of images by the features of a segmenter: written out, on both scales, in 2-D and 3-D."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from common.errors import CheckpointError, ConfigError
from common.losses import AnatomicalL1, l1
from common.networks.tissue_segmenter import TissueSegmenter
from common.segmenter import NAMES
from common.weights import checkpoints


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "ct.pt"
    checkpoints.save(TissueSegmenter("CT", len(NAMES)).state_dict(), path)
    return path


def slices(seed: int, *shape: int) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed)) * 400 - 200


def test_it_is_the_mean_over_the_activations_of_their_mean_difference(weights: Path) -> None:
    loss = AnatomicalL1("CT", weights=weights)
    ours, theirs = slices(0, 2, 1, 32, 32), slices(1, 2, 1, 32, 32)
    net, found = loss.network.network, []
    for image in (ours, theirs):
        seen, kept = torch.cat([(image + 160) / 400 * 2 - 1, (image + 1000) / 3000 * 2 - 1], dim=1).clamp(-1, 1), []
        skips, made = [], seen
        for block in (net.conv_0, net.down_1.convs, net.down_2.convs, net.down_3.convs, net.down_4.convs):
            made = made if block is net.conv_0 else torch.nn.functional.max_pool2d(made, 2)
            for part in (block.conv_0, block.conv_1):
                kept.append(made := part(made))
            skips.append(made)
        for up, skip in zip((net.upcat_4, net.upcat_3, net.upcat_2, net.upcat_1), skips[-2::-1], strict=True):
            made = torch.cat([skip, up.upsample(made)], dim=1)
            for part in (up.convs.conv_0, up.convs.conv_1):
                kept.append(made := part(made))
        found.append(kept)
    by_hand = sum((a - b).abs().mean() for a, b in zip(*found, strict=True)) / 18
    assert loss(ours, theirs).item() == pytest.approx(by_hand.item(), rel=1e-5)
    assert loss(ours, ours.clone()) == 0


def test_a_scaled_image_counts_as_its_hounsfield_units(weights: Path) -> None:
    ours, theirs = slices(0, 1, 1, 32, 32), slices(1, 1, 1, 32, 32)
    window, points = [-600, 1400], [[-100, -0.5], [100, 0.5]]
    plain = AnatomicalL1("CT", weights=weights)(ours, theirs)
    lower, upper = (torch.where(v < -100, (v + 600) / 500 * 0.5 - 1, v / 200) for v in (ours, theirs))
    bent = [torch.where(v > 100, 0.5 + (v - 100) / 1300 * 0.5, s) for v, s in ((ours, lower), (theirs, upper))]
    knotted = AnatomicalL1("CT", window=window, points=points, weights=weights)(*bent)
    torch.testing.assert_close(knotted, plain, rtol=1e-4, atol=1e-6)


def test_a_volume_counts_as_its_axial_slices(weights: Path) -> None:
    loss = AnatomicalL1("CT", weights=weights)
    ours, theirs = slices(0, 2, 1, 16, 20, 5), slices(1, 2, 1, 16, 20, 5)
    by_slice = torch.stack([loss(ours[..., z], theirs[..., z]) for z in range(5)]).mean()
    torch.testing.assert_close(loss(ours, theirs), by_slice, rtol=1e-5, atol=1e-7)


def test_only_the_synthetic_image_is_changed_by_it(weights: Path) -> None:
    loss = AnatomicalL1("CT", weights=weights)
    image, target = slices(0, 1, 1, 32, 32).requires_grad_(), slices(1, 1, 1, 32, 32)
    before = {name: value.clone() for name, value in loss.network.state_dict().items()}
    optimizer, start = torch.optim.Adam([image], lr=5.0), l1(image, target).item()
    values = []
    for _ in range(30):
        optimizer.zero_grad()
        value = loss(image, target)
        value.backward()
        optimizer.step()
        values.append(value.item())
    assert values[-1] < 0.7 * values[0]
    assert l1(image, target).item() < start
    assert all(torch.equal(value, before[name]) for name, value in loss.network.state_dict().items())


def test_bad_settings_and_images_are_refused(weights: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no tissue segmenter for modality .*: choose CT or MR"):
        AnatomicalL1("PT")
    with pytest.raises(CheckpointError, match=r"none\.pt"):
        AnatomicalL1("CT", weights=tmp_path / "none.pt")
    with pytest.raises(ConfigError, match="--patch_size .* is below the 16 pixels a side"):
        AnatomicalL1("CT", weights=weights)(slices(0, 1, 1, 16, 12, 20), slices(0, 1, 1, 16, 12, 20))
    with pytest.raises(ValueError, match="differ in shape"):
        AnatomicalL1("CT", weights=weights)(slices(0, 1, 1, 16, 16), slices(0, 1, 1, 16, 18))
