"""The losses of Sketcher and Refiner by hand, what each discriminator sees, and what each variant trains."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from bundle_commands import Bundle
from loss_settings import losses_of
from mri2pet_sketcher_refiner.networks import PatchGanDiscriminator, SketcherRefiner, VoxelNetwork
from torch import Tensor, nn

from common.errors import ConfigError
from common.losses import AdversarialLoss, region_weighted_l1
from common.networks.cascade import Cascade
from common.training.methods.staged import StagedGan

BUNDLE = Bundle("mri2pet_sketcher_refiner")
WEIGHTS = {
    "sketcher": {"adversarial": 1, "l1": 100, "region_l1": 0},
    "refiner": {"adversarial": 1, "l1": 0, "region_l1": 100},
}
REGIONS = ("lesion", "nawm")


def losses(weights: dict[str, float], keys: tuple[str, ...] = REGIONS) -> dict[str, Any]:
    """Each with its weight and function."""
    found = losses_of(weights, region_l1=region_weighted_l1)
    return {name: loss | ({"keys": keys} if name == "region_l1" else {}) for name, loss in found.items()}


# ---- the stages -----------------------------------------------------------------------------------------------------


def gan(cascade: Cascade, discriminator: nn.Module, weights: Any = None, **loss: Any) -> StagedGan:
    named = {name: losses(each) for name, each in (weights or WEIGHTS).items()}
    return StagedGan(cascade, discriminator, named, AdversarialLoss(**loss), by_stage=True)


def staged(stages: int = 2, weights: Any = None, width: int = 1) -> StagedGan:
    torch.manual_seed(0)
    discriminator = PatchGanDiscriminator(5, width, layers=1, spatial_dims=3)
    return gan(SketcherRefiner(stages, 4, width), discriminator, weights)


def patches(seed: int = 1) -> dict[str, Tensor]:
    chance = torch.Generator().manual_seed(seed)
    images = {"image": torch.randn(2, 4, 16, 16, 16, generator=chance)}
    images |= {key: torch.randn(2, 1, 16, 16, 16, generator=chance) for key in ("label", "context")}
    return images | {key: (torch.rand(2, 1, 16, 16, 16, generator=chance) > 0.5).float() for key in REGIONS}


def test_a_stage_without_losses_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"losses of 1 stages where there are 2 \(from --losses\): add a stage's"):
        staged(weights={"sketcher": {"l1": 1}})


# ---- the variants ---------------------------------------------------------------------------------------------------


def method_of(*configs: str, **settings: Any) -> StagedGan:
    return BUNDLE.parser(*configs, device=torch.device("cpu"), **settings).get_parsed_content("method")


@pytest.mark.parametrize(
    ("variant", "wanted_losses"),
    [
        ([], [{"adversarial", "l1"}, {"adversarial", "region_l1"}]),
        (["no_adversarial"], [{"l1"}, {"region_l1"}]),
        (["sketcher"], [{"adversarial", "l1"}]),
        (["sketcher_weighted"], [{"adversarial", "region_l1"}]),
        (["unet"], [{"l1"}]),
        (["unet_weighted"], [{"region_l1"}]),
        (["voxel_mlp"], [{"l1"}]),
    ],
    ids=lambda value: value[0] if value and isinstance(value[0], str) else None,
)
def test_each_variant_is_the_method_it_names(variant: list[str], wanted_losses: list[set[str]]) -> None:
    weight = 37  # one setting reaches the distances of every variant
    method = method_of("train", "demo", *variant, width=1, patch_layers=1, distance_weight=weight)
    assert len(method.cascade.stages) == len(method.methods) == len(wanted_losses)
    assert isinstance(method.cascade, VoxelNetwork if variant == ["voxel_mlp"] else SketcherRefiner)
    for stage, wanted in enumerate(wanted_losses):
        method.enter(stage)
        batch = patches() | {"region_counts": torch.ones(2, 3)}
        fakes = method.generate(batch)
        assert set(method.generator_losses(batch, fakes)) == wanted
        assert {name: value for name, value in method.loss_weights.items() if value} == {
            name: 1 if name == "adversarial" else weight for name in wanted
        }
        judged = {"discriminator"} if "adversarial" in wanted else set()
        assert set(method.discriminator_losses(patches(), fakes)) == judged
