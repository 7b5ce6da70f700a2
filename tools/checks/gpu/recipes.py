"""Every training of the bundles: ``train.yaml`` alone and with each overlay that trains another model."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from common.config import read_config
from common.training import SynthesisTrainer
from common.training.cuda_graph import GraphedStep
from common.training.methods.staged import StagedMethod
from tools.repository import base_of, bundle_names, config_path, own_settings, trained_overlays

SIZES = {"demo": ["train", "demo"], "published": ["train"]}

TOY: dict[str, Any] = {
    "width": 4,
    "depth": 3,
    "crop_size": 32,
    "pad_size": 40,
    "patch_size": [16, 16, 16],
    "fold": None,
}
"""Sizes of networks and batches, as far as a bundle has these settings; there are too few phantoms for folds."""
PHANTOMS: dict[str, Any] = {"phantoms::cases": 3, "phantoms::spacing": 5}
LARGER = {"crop_size": 64, "pad_size": 72}
OTHER: dict[str, dict[str, Any]] = {"t1": LARGER, "ultrasound": {**LARGER, "phantoms::spacing": 0.08}}
"""Sizes of an overlay whose network has a fixed depth, and of one that halves pictures of 5 mm."""
SIMULATED = {
    "num_workers": 0,
    "simulation::heads": {"_target_": "common.simulation.simulate.AverageHeads", "spacings_mm": [8.0]},
    "train::dataset::samples_per_case": 4,
}
"""Settings of an overlay that draws its images while it trains, instead of reading phantoms."""
NEEDED = {"ldm": "einops"}
"""Package that an overlay needs besides those of the project; without it there is no such recipe."""
WITHOUT_RECIPE = ("unrolled",)
"""Overlays that train on k-space, which the phantoms of this check have not."""
Tensors = dict[str, Tensor]


class GpuRecipe(NamedTuple):
    """A bundle, and an overlay of it or None."""

    bundle: str
    overlay: str | None = None

    def __str__(self) -> str:
        return f"{self.bundle}, {self.overlay}" if self.overlay else self.bundle


def recipes() -> list[GpuRecipe]:
    """All of them that can run, found in the folders of the bundles."""
    found = [GpuRecipe(bundle, overlay) for bundle in bundle_names() for overlay in (None, *trained_overlays(bundle))]
    runs = [each for each in found if each.overlay not in WITHOUT_RECIPE]
    return [each for each in runs if find_spec(NEEDED.get(each.overlay or "", "torch"))]


def trainer_of(
    bundle: str, size: str, data: Path, steps: int, overlay: str | None = None, **settings: Any
) -> SynthesisTrainer:
    """The trainer of a bundle's own configuration on phantoms, with no handlers but those that the overlay adds."""
    names = [*SIZES[size], *([*base_of(config_path(bundle, overlay))[1:], overlay] if overlay else [])]
    parser = read_config([str(config_path(bundle, name)) for name in names], **settings)
    in_common = len(own_settings(bundle, "train")["train"]["handlers"])
    writer = parser["phantoms::_target_"].rpartition(".")[2]
    phantoms = data / f"{bundle}_{writer}"
    own = {
        "dataset_dir": str(phantoms),
        "output_dir": str(data / f"{bundle}_run"),
        "samples_per_epoch": steps * parser["batch_size"],
        "phantoms::cases": 6,
        "train::trainer::max_epochs": 0,
        "train::handlers": parser["train::handlers"][in_common:],
    }
    parser.update({name: value for name, value in own.items() if name not in settings})
    if not phantoms.exists():
        parser.get_parsed_content("phantoms")(phantoms)
    trainer: SynthesisTrainer = parser.get_parsed_content("train::trainer")
    return trainer


def batch_of(trainer: SynthesisTrainer) -> Tensors:
    """One batch of its loader, on its device."""
    loader: Any = trainer.data_loader
    batch: Tensors = trainer._to_device(next(iter(loader)))
    return batch


def toy_trainer(recipe: GpuRecipe, data: Path, batch_size: int = 2, **settings: Any) -> SynthesisTrainer:
    """Its trainer with small networks, on coarse phantoms that are written into ``data`` if they are not there yet."""
    known = own_settings(recipe.bundle, "train", *([recipe.overlay] if recipe.overlay else []))
    own = {name: value for name, value in TOY.items() if name in known}
    own |= (
        PHANTOMS | OTHER.get(recipe.overlay or "", {}) | (SIMULATED if "simulation" in known else {"data_check": False})
    )
    own |= {"train::trainer::critic_steps": 1}  # an epoch has one update
    return trainer_of(recipe.bundle, "demo", data, 1, recipe.overlay, **{**own, "batch_size": batch_size, **settings})


def recordings(trainer: SynthesisTrainer) -> int:
    """Graphs that its steps are replayed from."""
    return trainer.run_step.recordings if isinstance(trainer.run_step, GraphedStep) else 0


def stages(trainer: SynthesisTrainer, batch: Tensors) -> Iterator[tuple[str, Tensors]]:
    """Let the trainer enter each stage of its method, and give its name and a batch; most methods have one stage.

    A later stage sees the output of the one before: here half the target, as far as it matters to a step.
    """
    if not isinstance(trainer.method, StagedMethod):
        gan_steps = getattr(trainer.method, "gan_steps", None) if trainer.method.uses("adversarial") else None
        for part, step in (("", 1),) if gan_steps is None else (("GAN", gan_steps), ("encoder", gan_steps + 1)):
            trainer.method.begin_step(step)
            yield part, batch
        return
    for stage in range(len(trainer.method.methods)):
        trainer.method.enter(stage)
        yield f"stage {stage + 1}", {**batch, "context": batch["label"] / 2} if stage else batch
