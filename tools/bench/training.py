"""Training steps of all bundles: the engine and its loader compared with a plain loop and with the bare step."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from monai.bundle import ConfigParser
from torch import Tensor

from common.engines import SynthesisTrainer
from common.losses import weighted_sum
from tools.bench.clock import Row, alternate, peak_gib
from tools.repository import ROOT, bundle_names

BUNDLES = bundle_names()
SIZES = {"demo": ["train", "demo"], "published": ["train"]}


def trainer_of(bundle: str, size: str, data: Path, steps: int, **settings: Any) -> SynthesisTrainer:
    """The trainer of a bundle's own configuration, without handlers, on phantoms."""
    parser = ConfigParser()
    parser.read_config([str(ROOT / "bundles" / bundle / "configs" / f"{name}.yaml") for name in SIZES[size]])
    batch = settings.get("batch_size", parser.get("batch_size"))
    own = {
        "dataset_dir": str(data / bundle),
        "output_dir": str(data / f"{bundle}_run"),
        "samples_per_epoch": steps * batch,
        "phantoms::cases": 6,
        "train::trainer::max_epochs": 0,
        "train::handlers": [],
    }
    parser.update({**own, **settings})
    if not (data / bundle).exists():
        parser.get_parsed_content("phantoms")(data / bundle)
    return parser.get_parsed_content("train::trainer")


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

    def epoch(self, loader: Any) -> None:
        """One pass over the loader."""
        for batch in loader:
            self.step(batch)


def _epoch(trainer: SynthesisTrainer) -> None:
    trainer.state.max_epochs = trainer.state.epoch + 1
    trainer.run()


def _bare(trainer: SynthesisTrainer, batch: Mapping[str, Tensor], steps: int) -> None:
    for _ in range(steps):
        trainer.run_step(batch)


def steps_of(bundle: str, size: str, data: Path, steps: int, repeats: int, **settings: Any) -> list[Row]:
    """Seconds a step: plain loop and engine over one loader; engine and bare step; share of the loader."""
    trainer = trainer_of(bundle, size, data, steps, **settings)
    loader: Any = trainer.data_loader
    plain = PlainLoop(trainer)
    batch = trainer._to_device(next(iter(loader)))
    for warm_up in (partial(_epoch, trainer), partial(plain.epoch, loader), partial(_bare, trainer, batch, 4)):
        warm_up()
    works: list[Callable[[], object]] = [
        partial(plain.epoch, loader),
        partial(_epoch, trainer),
        partial(_bare, trainer, batch, steps),
        partial(list, loader),
    ]
    before, engine, bare, loading = (took / steps for took in alternate(works, repeats)[0])
    name = f"{bundle}, {size}, batch {loader.batch_size}"
    return [
        Row(f"{name}: plain loop, engine", before, engine, f"peak memory {peak_gib():.2f} GiB"),
        Row(f"{name}: engine, bare step", engine, bare, f"loading is {loading / engine:.1%} of the step"),
    ]
