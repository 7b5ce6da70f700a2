"""The losses of Sketcher and Refiner by hand, what each discriminator sees, and what each variant trains."""

from __future__ import annotations

import operator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from bundle_commands import Bundle
from ignite.engine import Events
from loss_settings import losses_of
from monai.data import Dataset
from monai.engines import SupervisedEvaluator
from monai.inferers import SimpleInferer
from monai.transforms import CopyItemsd
from mri2pet_sketcher_refiner.networks import PatchGanDiscriminator, SketcherRefiner, VoxelNetwork
from torch import Tensor, nn
from torch.utils.data import DataLoader

from common.data.datasets.patches import VolumePatchDataset
from common.data.samplers import EpochSampler
from common.errors import ConfigError
from common.losses import AdversarialLoss, region_weighted_l1, weighted_sum
from common.metrics import MaskedMetric, mae
from common.networks.cascade import Cascade
from common.stitching import CascadeInferer
from common.training import SynthesisTrainer
from common.training.handlers import RunFolder, Stages, Validation
from common.training.methods.conditional import ConditionalGan
from common.training.methods.staged import StagedGan
from common.weights import checkpoints

BUNDLE = Bundle("mri2pet_sketcher_refiner")
WEIGHTS = {
    "sketcher": {"adversarial": 1, "l1": 100, "region_l1": 0},
    "refiner": {"adversarial": 1, "l1": 0, "region_l1": 100},
}
REGIONS = ("lesion", "nawm")


class _First(nn.Module):
    """Half of the first map."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(0.5))

    def forward(self, x: Tensor) -> Tensor:
        return self.weight * x[:, :1]


class _Judge(nn.Module):
    """Logits of the mean of all channels, which keeps what it was shown."""

    def __init__(self) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(1.0))
        self.seen: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        self.seen.append(x.detach())
        return self.factor * x.mean(1, keepdim=True)


def volume(*values: float) -> Tensor:
    """Eight voxels, (1, 1, 2, 2, 2)."""
    return torch.tensor(values).reshape(1, 1, 2, 2, 2)


BATCH = {
    "image": torch.cat([volume(0.2, 0.4, 0.6, 0.8, 1.0, 1.2, 1.4, 1.6), *[volume(*[0.3] * 8)] * 3], dim=1),
    "label": volume(*[0.0] * 8),
    "lesion": volume(1, 0, 0, 0, 0, 0, 0, 0),
    "nawm": volume(1, 1, 1, 0, 0, 0, 0, 0),
}
"""Errors of half the first map: 0.1 in the lesion, 0.2 and 0.3 in NAWM, 0.4 to 0.8 elsewhere."""


def losses(weights: dict[str, float], keys: tuple[str, ...] = REGIONS) -> dict[str, Any]:
    """Each with its weight and function."""
    found = losses_of(weights, region_l1=region_weighted_l1)
    return {name: loss | ({"keys": keys} if name == "region_l1" else {}) for name, loss in found.items()}


def region_gan(keys: tuple[str, ...] = REGIONS, **weights: float) -> ConditionalGan:
    return ConditionalGan(_First(), _Judge(), losses(weights, keys), AdversarialLoss("least_squares"))


def numbers(losses: dict[str, Tensor]) -> dict[str, float]:
    return {name: float(loss.detach()) for name, loss in losses.items()}


# ---- the losses -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        # 0.1 of the lesion, 0.25 of NAWM without it, 0.6 of the other five
        ({}, 0.95),
        # without lesion its voxel is NAWM: 0 + 0.2 + 0.6
        ({"lesion": volume(*[0] * 8)}, 0.8),
        # without NAWM: 0.1 + 0 + the mean of 0.2 to 0.8
        ({"nawm": volume(*[0] * 8)}, 0.1 + 0.5),
    ],
    ids=["three regions", "no lesion", "no NAWM"],
)
def test_the_l1_by_region_takes_lesion_and_nawm_of_the_batch(change: dict[str, Tensor], expected: float) -> None:
    method = region_gan(region_l1=100)
    batch = {**BATCH, **change}
    assert numbers(method.generator_losses(batch, method.generate(batch))) == pytest.approx({"region_l1": expected})


def test_the_counts_of_the_subject_replace_those_of_the_patch() -> None:
    method = region_gan((*REGIONS, "region_counts"), region_l1=100)
    batch = {**BATCH, "region_counts": torch.tensor([[4.0, 5, 10]])}
    # sums 0.1, 0.2 + 0.3 and 0.4 to 0.8
    expected = {"region_l1": 0.1 / 4 + 0.5 / 5 + 3.0 / 10}
    assert numbers(method.generator_losses(batch, method.generate(batch))) == pytest.approx(expected)


def test_losses_by_hand() -> None:
    method = region_gan(adversarial=1, l1=10, region_l1=100)
    fakes = method.generate(BATCH)
    found = method.generator_losses(BATCH, fakes)
    # the discriminator's logits are (image 0.2 k + 3 0.3 + prediction 0.1 k) / 5 = 0.18 + 0.06 k for k from 1 to 8
    adversarial = sum((0.18 + 0.06 * k - 1) ** 2 for k in range(1, 9)) / 8
    assert numbers(found) == pytest.approx({"adversarial": adversarial, "l1": 0.45, "region_l1": 0.95})
    assert float(weighted_sum(found, method.loss_weights).detach()) == pytest.approx(adversarial + 4.5 + 95)
    real = sum((0.18 + 0.04 * k - 1) ** 2 for k in range(1, 9)) / 8
    fake = sum((0.18 + 0.06 * k) ** 2 for k in range(1, 9)) / 8
    assert numbers(method.discriminator_losses(BATCH, fakes)) == pytest.approx({"discriminator": (real + fake) / 2})


def test_a_loss_without_weight_needs_no_regions() -> None:
    method = region_gan(adversarial=1, l1=100)
    plain = {key: BATCH[key] for key in ("image", "label")}
    assert set(method.generator_losses(plain, method.generate(plain))) == {"adversarial", "l1"}


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


def moved(method: StagedGan, loss: Tensor) -> set[str]:
    """Networks with a weight that has a gradient."""
    method.zero_grad(set_to_none=True)
    loss.backward()
    parts = {**dict(zip(WEIGHTS, method.cascade.stages, strict=True)), **dict(method.discriminators.items())}
    return {
        name
        for name, part in parts.items()
        if any(weight.grad is not None and bool(weight.grad.any()) for weight in part.parameters())
    }


@pytest.mark.parametrize(
    ("stage", "name", "expected"),
    [
        (0, "adversarial", "sketcher"),
        (0, "l1", "sketcher"),
        (1, "adversarial", "refiner"),
        (1, "region_l1", "refiner"),
    ],
)
def test_each_loss_of_the_generator_moves_its_stage_alone(stage: int, name: str, expected: str) -> None:
    method = staged()
    method.enter(stage)
    with method.frozen_discriminators():
        found = method.generator_losses(patches(), method.generate(patches()))
        assert name in found
        assert moved(method, found[name]) == {expected}


@pytest.mark.parametrize("stage", [0, 1])
def test_the_discriminator_of_a_stage_is_its_own(stage: int) -> None:
    method = staged()
    method.enter(stage)
    fakes = {key: fake.detach() for key, fake in method.generate(patches()).items()}
    assert moved(method, method.discriminator_losses(patches(), fakes)["discriminator"]) == {f"stage_{stage + 1}"}


def test_the_stages_have_their_own_weights_of_losses() -> None:
    method = staged()
    for stage, wanted in enumerate(({"adversarial", "l1"}, {"adversarial", "region_l1"})):
        method.enter(stage)
        assert set(method.generator_losses(patches(), method.generate(patches()))) == wanted
        assert method.loss_weights == list(WEIGHTS.values())[stage]


def test_discriminators_see_mr_and_pet_and_never_the_sketch() -> None:
    cascade = Cascade([_First(), _First()])
    method = gan(cascade, _Judge(), kind="least_squares")
    for stage in (0, 1):
        method.enter(stage)
        discriminator = method.methods[stage].discriminators["discriminator"]
        batch = {**BATCH, "context": volume(*[77.0] * 8)}
        fakes = method.generate(batch)
        method.discriminator_losses(batch, fakes)
        method.generator_losses(batch, fakes)
        real, fake = (torch.cat([BATCH["image"], pet], dim=1) for pet in (BATCH["label"], fakes["pred"].detach()))
        seen: Any = discriminator.seen
        assert [torch.equal(one, other) for one, other in zip(seen, [real, fake, fake], strict=True)] == [True] * 3


def test_the_refiner_is_given_the_sketch_behind_the_maps() -> None:
    class Last(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x[:, -1:]

    method = gan(Cascade([_First(), Last()]), _Judge())
    method.enter(1)
    assert method.generate({**BATCH, "context": volume(*[77.0] * 8)})["pred"].unique().tolist() == [77.0]


def test_a_stage_without_losses_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"losses of 1 stages where there are 2 \(from --losses\): add a stage's"):
        staged(weights={"sketcher": {"l1": 1}})


def test_what_a_later_stage_lacks_is_refused_before_the_first_one() -> None:
    batch = {key: value for key, value in patches().items() if key not in ("context", "nawm")}
    with pytest.raises(ConfigError, match=r"no nawm in the training data \(from --losses::refiner::region_l1::keys\)"):
        staged().require_keys(batch)
    staged().require_keys({**batch, "nawm": batch["label"]})


# ---- a training of both ---------------------------------------------------------------------------------------------


def cases() -> list[dict[str, Any]]:
    """A patient, whose lesion is a cube of 3 voxels a side, and a control."""
    chance = torch.Generator().manual_seed(2)
    found: list[dict[str, Any]] = []
    for name in ("patient", "control"):
        image = torch.rand(4, 16, 16, 16, generator=chance) * 2 - 1
        item = {"case": name, "image": image, "label": image[:1] * image[1:2], "mask": torch.ones(1, 16, 16, 16)}
        found.append(item | {"nawm": (image[:1] > 0).float()})
    found[0]["lesion"] = torch.zeros(1, 16, 16, 16)
    found[0]["lesion"][:, 4:7, 4:7, 4:7] = 1
    return found


def trainer(root: Path, epochs: int = 2) -> SynthesisTrainer:
    method = staged(width=2)
    data = VolumePatchDataset(
        cases(), dict, None, (16, 16, 16), patches_per_case=4, foreground_share=0, lesion_share=0.5, regions=REGIONS
    )
    inferer = CascadeInferer(SimpleInferer())
    whole = [{key: item[key] for key in ("image", "label", "mask")} for item in cases()[:1]]
    validator = SupervisedEvaluator(
        torch.device("cpu"), DataLoader(Dataset(whole), batch_size=1), method.cascade, inferer=inferer,
        postprocessing=CopyItemsd("mask", names="scored"), key_val_metric={"mae": MaskedMetric(mae)},
        metric_cmp_fn=operator.lt,
    )  # fmt: skip
    stages = Stages(data, inferer, validator, str(root), epochs)
    return SynthesisTrainer(
        torch.device("cpu"), 2 * epochs, DataLoader(data, 2, sampler=EpochSampler(data)), method,
        partial(torch.optim.Adam, lr=0.01), seed=5,
        train_handlers=[stages, Validation(1, validator), RunFolder(str(root), validator)],
    )  # fmt: skip


def test_the_sketcher_and_its_discriminator_rest_while_the_refiner_learns(tmp_path: Path) -> None:
    run = trainer(tmp_path)
    kept: dict[str, dict[str, Tensor]] = {}

    def keep(name: str) -> None:
        kept[name] = {key: value.clone() for key, value in run.method.state_dict().items()}

    keep("start")
    run.add_event_handler(Events.EPOCH_STARTED(once=3), keep, "second stage")
    run.run()
    keep("end")

    def changed(before: str, after: str) -> set[str]:
        names = [name for name, value in kept[before].items() if not torch.equal(value, kept[after][name])]
        names = [name for name in names if name != "stage_epochs"]
        return {".".join(name.split(".")[1 : 4 if name.startswith("gen") else 2]) for name in names}

    assert changed("start", "second stage") == {"cascade.stages.0", "stage_1", "cascade.in_use"}
    assert changed("second stage", "end") == {"cascade.stages.1", "stage_2"}
    assert run.state.metrics.keys() >= {"adversarial", "region_l1", "discriminator"}
    deployed = checkpoints.load(tmp_path / "models" / "model.pt")
    sketcher = {name: value for name, value in deployed.items() if name.startswith("stages.0.")}
    own = kept["second stage"]
    assert sketcher
    assert all(torch.equal(value, own[f"generators.cascade.{name}"]) for name, value in sketcher.items())
    assert int(deployed["in_use"]) == 2


# ---- the variants ---------------------------------------------------------------------------------------------------


def first(network: nn.Module) -> nn.Conv3d:
    return next(part for part in network.modules() if isinstance(part, nn.Conv3d))


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


def test_the_variants_are_the_published_rows_and_what_they_are_compared_with() -> None:
    assert sorted(BUNDLE.variants) == [
        "flow", "no_adversarial", "refiner", "resenc", "sketcher", "sketcher_weighted", "unet", "unet_weighted",
        "voxel_mlp",
    ]  # fmt: skip
    assert BUNDLE.raw("train")["variant"] == ""


def test_channels_are_a_setting() -> None:
    method = method_of("train", "demo", channels=2)
    assert [first(stage).in_channels for stage in method.cascade.stages] == [2, 3]
    assert [first(discriminator).in_channels for discriminator in method.discriminators.values()] == [3, 3]
