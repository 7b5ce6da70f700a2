"""The step of every bundle and every overlay is one that a CUDA graph can record: shown without a GPU."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from host_reads import META, no_host_reads, on_meta

from common.losses import AdversarialLoss
from common.networks.stabilise import stabilise
from common.training import SynthesisTrainer
from common.training.nonfinite import FiniteWatch
from tools.checks.gpu.recipes import GpuRecipe, batch_of, recipes, stages, toy_trainer

SHOWN_BY_MAKE_TEST = GpuRecipe("mr2ct_pix2pix", None)
SHOWN_IN_CI = [("mr2ct_pix2pix", "unpaired"), ("mr2ct_pix2pix", "flow")]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where phantoms of each bundle are written by its first recipe."""
    return tmp_path_factory.mktemp("phantoms")


def without_values(trainer: SynthesisTrainer) -> SynthesisTrainer:
    """Its networks on ``meta``, with a plain optimiser, since the capturable form of Adam runs on GPUs alone."""
    trainer.method.to(META)
    sides = {"generators": trainer.method.generators, "discriminators": trainer.method.discriminators}
    trainer.step.optimizers = {
        name: torch.optim.SGD(side.parameters(), lr=0.1, foreach=True)
        for name, side in sides.items()
        if list(side.parameters())
    }
    trainer.step.device, trainer.step.finite, trainer.step.clip_norm = META, FiniteWatch(META, 1), 1.0
    trainer.method.train()
    return trainer


def test_all_bundles_and_their_variants_are_among_the_recipes() -> None:
    found = recipes()
    assert len({recipe.bundle for recipe in found}) >= 5
    assert {GpuRecipe("mr2ct_pix2pix", overlay) for overlay in (None, "unpaired", "pretrain")} < set(found)
    assert GpuRecipe("pd2t2_dcgan_acm", "mr2ct_3d") in found
    assert not {"demo", "evaluate", "inference", "multi_gpu_train", "study"} & {recipe.overlay for recipe in found}


def each_recipe() -> list[Any]:
    """Every recipe; all but one are slow, and overlays are for the longest run alone but for two of other methods."""
    return [pytest.param(each, marks=_marks(each)) for each in recipes()]


def _marks(recipe: GpuRecipe) -> list[pytest.MarkDecorator]:
    if recipe == SHOWN_BY_MAKE_TEST:
        return []
    is_shown = recipe.overlay is None or (recipe.bundle, recipe.overlay) in SHOWN_IN_CI
    return [pytest.mark.slow, *([] if is_shown else [pytest.mark.longest])]


@pytest.mark.parametrize("recipe", each_recipe(), ids=str)
def test_a_step_reads_nothing_back_and_draws_nothing_on_the_host(recipe: GpuRecipe, data: Path) -> None:
    trainer = toy_trainer(recipe, data)
    first = batch_of(trainer)
    without_values(trainer)
    for part, batch in stages(trainer, on_meta(first)):
        trainer.step(batch)  # image pools take their shape
        with no_host_reads():
            result = trainer.step(batch)
        assert result.pred.device == META
        of_part = {"GAN": {"adversarial"}, "encoder": {"image", "features"}}.get(part)
        assert set(result.losses) >= (
            of_part or {name for name, weight in trainer.method.loss_weights.items() if weight}
        )


def test_so_are_those_of_a_stabilised_adversary_and_of_its_critics_alone(data: Path) -> None:
    trainer = toy_trainer(GpuRecipe("mr2ct_pix2pix", None), data)
    batch = on_meta(batch_of(trainer))
    trainer.method.adversarial_loss = AdversarialLoss("least_squares", real_label=0.9, gradient_penalty=10, r1=1)
    trainer.method.loss_weights["feature_matching"] = 1
    discriminator = trainer.method.discriminators["discriminator"]
    stabilise(discriminator.layers, "instance", True)
    without_values(trainer)
    trainer.step(batch)
    with no_host_reads():
        both, critics = trainer.step(batch), trainer.step(batch, critics_alone=True)
    assert set(both.losses) == {"adversarial", "l1", "feature_matching", "discriminator", "discriminator_penalty"}
    assert set(critics.losses) == {"discriminator", "discriminator_penalty"}
    assert set(both.measures) == set(critics.measures) == {"discriminator_accuracy"}
