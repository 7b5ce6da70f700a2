"""The losses of the GAN on patches by hand, its stages, and what each variant of the bundle trains."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import pytest
import torch
from bundle_commands import Bundle
from loss_settings import losses_of
from pd2t2_dcgan_acm.networks import AutoContext, PatchClassifier, ResidualUNet
from torch import Tensor, nn

from common.losses import AdversarialLoss, gradient_difference, l1
from common.training.methods.conditional import ConditionalGan
from common.training.methods.staged import StagedGan

BUNDLE = Bundle("pd2t2_dcgan_acm")
PUBLISHED = {"adversarial": 0.5, "l1": 1, "gdl": 1}
SIDES = (8, 8, 8)


class _Mean(nn.Module):
    """One logit a patch, (B, 1): the mean of ten times each channel but the last, and of the last."""

    def __init__(self) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(10.0))
        self.seen: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        self.seen.append(x.detach())
        return (self.factor * x[:, :-1].sum(1) + x[:, -1]).mean(dim=(1, 2, 3))[:, None]


def losses(weights: Mapping[str, float]) -> dict[str, Any]:
    return losses_of(weights, l1=partial(l1, reduction="sum"), gdl=gradient_difference)


def test_of_a_network_of_several_resolutions_the_finest_is_trained() -> None:
    """Shipped weights are of such a network, and the GAN goes on with them."""
    generator = ResidualUNet(depth=1, width=2, spatial_dims=3)
    several = ResidualUNet(depth=2, width=2, spatial_dims=3)
    for network in (generator, several):
        method = ConditionalGan(network, _Mean(), losses({"l1": 1}), AdversarialLoss())
        made = method.generate({"image": torch.randn(1, 1, 8, 8, 8)})
        assert {name: tuple(each.shape) for name, each in made.items()} == {"pred": (1, 1, 8, 8, 8)}


# ---- which network each loss moves ----------------------------------------------------------------------------------


def staged(stages: int = 2, conditional: bool = True) -> StagedGan:
    torch.manual_seed(0)
    discriminator = PatchClassifier(conditional=conditional, width=2, patch_size=SIDES)
    network = AutoContext(stages, width=2)
    return StagedGan(network, discriminator, losses(PUBLISHED), AdversarialLoss(), conditional)


def patches(seed: int = 1) -> dict[str, Tensor]:
    chance = torch.Generator().manual_seed(seed)
    return {key: torch.randn(2, 1, *SIDES, generator=chance) for key in ("image", "label", "context")}


def test_discriminators_begin_alike_and_share_nothing() -> None:
    first, second = (list(discriminator.parameters()) for discriminator in staged().discriminators.values())
    assert all(torch.equal(one, other) for one, other in zip(first, second, strict=True))
    assert not {weight.data_ptr() for weight in first} & {weight.data_ptr() for weight in second}


@pytest.mark.parametrize(("conditional", "channels"), [(True, 2), (False, 1)])
def test_the_second_stage_s_discriminator_is_not_shown_the_context(conditional: bool, channels: int) -> None:
    method = staged(conditional=conditional)
    method.enter(1)
    discriminator = _Mean()
    method.methods[1].discriminators["discriminator"] = discriminator
    batch = patches()
    fakes = method.generate(batch)
    method.discriminator_losses(batch, fakes)
    source = [batch["image"]] if conditional else []
    assert torch.equal(discriminator.seen[0], torch.cat([*source, batch["label"]], dim=1))
    assert torch.equal(discriminator.seen[1], torch.cat([*source, fakes["pred"].detach()], dim=1))
    assert discriminator.seen[0].shape[1] == channels


# ---- the variants ---------------------------------------------------------------------------------------------------


def method_of(*configs: str, **settings: Any) -> StagedGan:
    return BUNDLE.parser(*configs, device=torch.device("cpu"), **settings).get_parsed_content("method")


@pytest.mark.parametrize(
    ("variant", "stages", "residual", "weights"),
    [
        ([], 2, True, {"adversarial": 0.5, "l1": 1, "gdl": 1}),
        (["adv"], 1, False, {"adversarial": 0.5, "l1": 1, "gdl": 0}),
        (["adv_gdl"], 1, False, {"adversarial": 0.5, "l1": 1, "gdl": 1}),
        (["resgan"], 1, True, {"adversarial": 0.5, "l1": 1, "gdl": 1}),
        (["resgan_acm"], 2, True, {"adversarial": 0.5, "l1": 1, "gdl": 1}),
        (["no_adversarial"], 2, True, {"adversarial": 0, "l1": 1, "gdl": 1}),
        (["published"], 2, True, {"adversarial": 0.5, "l1": 1, "gdl": 1}),
    ],
    ids=lambda value: value[0] if isinstance(value, list) and value else None,
)
def test_each_variant_is_the_method_it_names(
    variant: list[str], stages: int, residual: bool, weights: dict[str, float]
) -> None:
    method = method_of("train", "demo", *variant, width=1, patch_size=list(SIDES))
    assert [stage.residual for stage in method.cascade.stages] == [residual] * stages
    for stage in range(stages):
        method.enter(stage)
        assert method.loss_weights == {**weights, "feature_matching": 0}
        fakes = method.generate(patches())
        used = {name for name, weight in weights.items() if weight}
        judged = {"discriminator"} if weights["adversarial"] else set()
        assert set(method.generator_losses(patches(), fakes)) == used
        assert set(method.discriminator_losses(patches(), fakes)) == judged


def test_published_settings() -> None:
    method = method_of("train")
    assert sum(weight.numel() for weight in method.cascade.stages[0].parameters()) == 3_638_593
    first: Any = method.methods[0]
    ones = torch.ones(2, 1, 2, 2, 2)
    assert float(first.distance("l1", {"label": ones}, 0 * ones)) == 8, "a sum over the voxels of a patch"
    assert first.adversarial_loss.discriminator_factor == 1
    settings = BUNDLE.raw("train")
    assert settings["patch_size"] == [32, 32, 32]
    assert settings["learning_rate"] == 1e-4
    assert settings["patches_per_case"] == 196


def test_the_authors_optimiser() -> None:
    """Adam of the code of Nie et al.: beta1 0.5, rate 1e-6, batches of 10; on the report's tiling of a volume."""
    settings = BUNDLE.parser("train", "published")
    optimizer = settings.get_parsed_content("optimizer")([nn.Parameter(torch.ones(1))])
    assert type(optimizer) is torch.optim.Adam
    assert (optimizer.defaults["lr"], optimizer.defaults["betas"][0]) == (1.0e-6, 0.5)
    assert (settings["batch_size"], settings["train"]["dataset"]["grid"]) == (10, True)


def test_the_switches_of_the_configuration_reach_the_method() -> None:
    method = method_of("train", "demo", conditional=False, stages=3, **{"losses::gdl::weight": 3})
    assert len(method.methods) == len(method.cascade.stages) == 3
    assert method.loss_weights == {"l1": 1, "gdl": 3, "adversarial": 0.5, "feature_matching": 0}
    judging = next(part for part in method.discriminators.modules() if isinstance(part, nn.Conv3d))
    assert judging.in_channels == 1


@pytest.mark.parametrize(
    ("variant", "epochs"),
    [([], 42), (["adv"], 42), (["adv_gdl"], 80), (["resgan"], 42), (["resgan_acm"], 42), (["published"], 42)],
)
def test_epochs_of_a_stage_are_those_of_the_report(variant: list[str], epochs: int) -> None:
    """Its table has the best epoch of 42 in every row but that of the gradient difference loss alone, of 80."""
    config = BUNDLE.raw("train", *variant)
    assert config["max_epochs"] == epochs
    assert (config["constant_epochs"], config["decay_epochs"]) == (epochs, 0)
