"""The networks and the method of the overlays: what each part is shown."""

from __future__ import annotations

import pytest
import torch
from bundle_commands import Bundle
from stain_gan.networks import LowDiscriminator, LowThenFull, NoisyUNet, TwoDiscriminators

STAIN = Bundle("stain_gan")


def test_noise_changes_a_training_and_no_inference() -> None:
    network, source = NoisyUNet(2, depth=3, width=4), torch.rand(2, 2, 16, 16)
    assert network.train()(source).shape == (2, 1, 16, 16)
    assert not torch.equal(network(source), network(source))
    network.eval()
    assert torch.equal(network(source), network(source))


def test_one_discriminator_sees_the_source_and_the_other_the_mask() -> None:
    both = TwoDiscriminators(width=4).eval()
    images = torch.rand(1, 3, 64, 64)
    logits = both(images)
    half = logits.shape[2] // 2
    for channel, same in ((0, slice(half, None)), (1, slice(0, half))):
        changed = images.clone()
        changed[:, channel] += 1
        assert torch.equal(both(changed)[:, :, same], logits[:, :, same])
        assert not torch.equal(both(changed), logits)
    changed = images.clone()
    changed[:, 2] += 1
    assert (both(changed) != logits).flatten(1).any()


def test_the_first_stage_and_its_discriminator_see_half_the_resolution() -> None:
    network, discriminator = LowThenFull(2, depth=4, width=4).eval(), LowDiscriminator(1, width=4).eval()
    source, checks = torch.rand(1, 2, 32, 32), torch.ones(1, 1, 64, 64)
    finer = source + torch.tensor([[0.5, -0.5], [-0.5, 0.5]]).repeat(16, 16)
    network.in_use.fill_(1)
    assert torch.allclose(network(finer), network(source), atol=1e-5)
    network.in_use.fill_(2)
    assert not torch.allclose(network(finer), network(source), atol=1e-3)
    checks[:, :, ::2, ::2] = -1
    checks[:, :, 1::2, 1::2] = -1
    assert torch.allclose(discriminator(checks), discriminator(torch.zeros(1, 1, 64, 64)), atol=1e-6)


@pytest.mark.parametrize(
    ("overlay", "channels"),
    [("phase_contrast", (2, 1)), ("ultrasound", (2, 1)), (None, (1, 3))],
)
def test_overlays_build_networks_that_fit_their_pictures(overlay: str | None, channels: tuple[int, int]) -> None:
    parser = STAIN.parser("train", "demo", *filter(None, [overlay]))
    network, discriminator = (parser.get_parsed_content(f"{name}_def").eval() for name in ("network", "discriminator"))
    source = torch.rand(1, channels[0], 64, 64)
    made = network(source)
    assert made.shape == (1, channels[1], 64, 64)
    seen = made if overlay == "ultrasound" else torch.cat([source, made], dim=1)
    assert discriminator(seen).shape[:2] == (1, 1)
