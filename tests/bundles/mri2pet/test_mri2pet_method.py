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
from common.losses import AdversarialLoss, region_weighted_l1
from common.metrics import MaskedMetric, mae
from common.networks.cascade import Cascade
from common.stitching import CascadeInferer
from common.training import SynthesisTrainer
from common.training.handlers import RunFolder, Stages, Validation
from common.training.methods.staged import StagedGan
from common.weights import checkpoints

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
