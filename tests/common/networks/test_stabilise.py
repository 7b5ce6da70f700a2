"""Stabilised discriminators: singular values and norms."""

from __future__ import annotations

import pytest
import torch
from lesion_dcgan_aug.networks import AcganDiscriminator, ClassDiscriminators
from pd2t2_dcgan_acm.networks import PatchClassifier
from torch import nn

from common.errors import ConfigError
from common.networks.patch_discriminator import PatchGanDiscriminator

VOLUME = (2, 1, 16, 16, 16)
FLAT = {"in_channels": 1, "width": 4, "layers": 2}
ALL = {
    "patches": (PatchGanDiscriminator, FLAT, (3, 1, 32, 32)),
    "patches in 3-D": (PatchGanDiscriminator, {**FLAT, "spatial_dims": 3}, VOLUME),
    "patch": (PatchClassifier, {"conditional": False, "width": 2, "patch_size": (16, 16, 16)}, VOLUME),
    "classes": (ClassDiscriminators, {"classes": 2, "width": 4}, (3, 2, 64, 64)),
    "class": (AcganDiscriminator, {"classes": 2, "width": 8}, (3, 1, 64, 64)),
}


@pytest.mark.parametrize("name", ALL)
def test_every_discriminator_takes_every_setting(name: str) -> None:
    made, sizes, shape = ALL[name]
    images = torch.rand(shape)
    torch.manual_seed(0)
    plain = made(**sizes)
    outputs = plain(images)
    norms = [{"norm": norm} for norm in ("instance", "none")]
    for settings in (*norms, {"spectral_norm": True}):
        torch.manual_seed(0)
        changed = made(**sizes, **settings)
        found = changed(images)
        assert found.shape == outputs.shape
        assert not torch.allclose(found, outputs)
        found.sum().backward()
        assert all(weight.grad is not None for weight in changed.parameters())
    layers = {type(layer).__name__ for layer in made(**sizes, norm="instance").modules()}
    norms_in_use = {name for name in layers if "Norm" in name}
    assert norms_in_use
    assert norms_in_use <= {"InstanceNorm2d", "InstanceNorm3d"}
    with pytest.raises(ConfigError, match="--discriminator_def::norm is 'layer': choose batch, instance or none"):
        made(**sizes, norm="layer")


def test_spectral_norm_makes_the_largest_singular_value_one() -> None:
    torch.manual_seed(0)
    discriminator = PatchGanDiscriminator(1, 4, 2, spectral_norm=True)
    for _ in range(50):
        discriminator(torch.rand(2, 1, 32, 32))
    weights = [layer.weight for layer in discriminator.modules() if isinstance(layer, nn.Conv2d)]
    assert len(weights) == 4
    for weight in weights:
        largest = torch.linalg.matrix_norm(weight.flatten(1), ord=2)
        assert float(largest.detach()) == pytest.approx(1, abs=0.02)
