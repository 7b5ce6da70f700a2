"""Training steps of all bundles: the engine compared with a plain loop and the bare step, options of acceleration."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from common.config import read_config
from common.losses import weighted_sum
from common.training import SynthesisTrainer
from tools.bench.clock import Timing, alternate, peak_gib
from tools.repository import bundle_names, config_path, own_settings

BUNDLES = bundle_names()
SIZES = {"demo": ["train", "demo"], "published": ["train"]}
OPTIONS_AT: dict[str, Any] = {
    "width": 32,
    "depth": 7,
    "crop_size": 128,
    "pad_size": 128,
    "batch_size": 1,
    "phantoms::spacing": 5,
}
OPTIONS: dict[str, dict[str, Any]] = {
    "as configured": {},
    "channels_last": {"acceleration::channels_last": True},
    "bf16": {"train::trainer::precision": "bf16"},
    "bf16, channels_last": {"train::trainer::precision": "bf16", "acceleration::channels_last": True},
    "compile": {"acceleration::compile": True},
}


def trainer_of(
    bundle: str, size: str, data: Path, steps: int, overlay: str | None = None, **settings: Any
) -> SynthesisTrainer:
    """The trainer of a bundle's own configuration on phantoms, with no handlers but those that the overlay adds."""
    names = [*SIZES[size], *([overlay] if overlay else [])]
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


def batch_of(trainer: SynthesisTrainer) -> dict[str, Tensor]:
    """One batch of its loader, on its device."""
    loader: Any = trainer.data_loader
    batch: dict[str, Tensor] = trainer._to_device(next(iter(loader)))
    return batch


class PlainLoop:
    """The step as reference code writes it: eager, 32 bits, every loss read back.

    Args:
        trainer: whose method is copied.
    """

    def __init__(self, trainer: SynthesisTrainer) -> None:
        self.device = trainer.state.device
        self.method = copy.deepcopy(trainer.method)
        adam = partial(torch.optim.Adam, lr=2e-4, betas=(0.5, 0.999), fused=False)
        self.generators = adam(self.method.generators.parameters())
        discriminators = list(self.method.discriminators.parameters())
        self.discriminators = adam(discriminators) if discriminators else None
        self.method.train()

    def step(self, batch: Mapping[str, Tensor]) -> list[float]:
        """One update of both sides."""
        batch = {key: value.to(self.device) for key, value in batch.items() if isinstance(value, Tensor)}
        fakes = self.method.generate(batch)
        losses = self.method.discriminator_losses(batch, {key: fake.detach() for key, fake in fakes.items()})
        if losses and self.discriminators is not None:
            self.discriminators.zero_grad()
            torch.stack(list(losses.values())).sum().backward()
            self.discriminators.step()
        with self.method.frozen_discriminators():
            losses = losses | (own := self.method.generator_losses(batch, fakes))
            self.generators.zero_grad()
            weighted_sum(own, self.method.loss_weights).backward()
        self.generators.step()
        return [float(loss) for loss in losses.values()]


def _each(step: Callable[[Any], object], batches: Iterable[Any]) -> None:
    for batch in batches:
        step(batch)


def _epoch(trainer: SynthesisTrainer) -> None:
    trainer.state.max_epochs = trainer.state.epoch + 1
    trainer.run()


def steps_of(bundle: str, size: str, data: Path, steps: int, repeats: int, **settings: Any) -> list[Timing]:
    """Seconds a step: plain loop and engine over one loader; engine and bare step; share of the loader."""
    trainer = trainer_of(bundle, size, data, steps, **settings)
    loader: Any = trainer.data_loader
    works: list[Callable[[], object]] = [
        partial(_each, PlainLoop(trainer).step, loader),
        partial(_epoch, trainer),
        partial(_each, trainer.run_step, [batch_of(trainer)] * steps),
        partial(list, loader),
    ]
    for warm_up in works[:3]:
        warm_up()
    before, engine, bare, loading = (took / steps for took in alternate(works, repeats)[0])
    name = f"{bundle}, {size}, batch {loader.batch_size}"
    return [
        Timing(f"{name}: plain loop, engine", before, engine, f"peak memory {peak_gib():.2f} GiB"),
        Timing(f"{name}: engine, bare step", engine, bare, f"loading is {loading / engine:.1%} of the step"),
    ]


def bare_steps(
    plain: PlainLoop, trainers: Sequence[SynthesisTrainer], batch: Mapping[str, Tensor], steps: int, repeats: int
) -> list[float]:
    """Seconds a step of the plain loop and of each trainer in turns, all on one batch that is on the device."""
    works: list[Callable[[], object]] = [partial(_each, plain.step, [batch] * steps)]
    for trainer in trainers:
        trainer.method.train()
        own = {name: trainer.acceleration.laid_out(value) for name, value in batch.items()}
        works.append(partial(_each, trainer.run_step, [own] * steps))
    for work in works * 2:
        work()
    return [took / steps for took in alternate(works, repeats)[0]]


def options_of(data: Path, repeats: int, names: Iterable[str] = tuple(OPTIONS)) -> list[Timing]:
    """A step of the plain loop compared with that under each of some options."""
    trainers = [trainer_of("mr2ct_pix2pix", "demo", data, 1, **OPTIONS_AT, **OPTIONS[name]) for name in names]
    before, *after = bare_steps(PlainLoop(trainers[0]), trainers, batch_of(trainers[0]), 1, repeats)
    return [
        Timing(f"step of 128x128: plain loop, {name}", before, took) for name, took in zip(names, after, strict=True)
    ]
