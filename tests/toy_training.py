"""A method of one adversary and L1 around any two networks, and data to train it on."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import torch
from loss_settings import losses_of
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from common.data.samplers import EpochSampler
from common.losses import AdversarialLoss
from common.seeds import derive
from common.training import SynthesisTrainer
from common.training.methods.base import Batch, GanMethod, Losses

CPU = torch.device("cpu")
SGD = partial(torch.optim.SGD, lr=0.1)
ADAM = partial(torch.optim.Adam, lr=5e-3, betas=(0.5, 0.999))


def weight_of(network: Any) -> float:
    """The one weight of a network."""
    return network.weight.item()


def adversary(kind: str, *factor: float) -> AdversarialLoss:
    """An adversarial loss, with a bound on the critic where it must have one."""
    return AdversarialLoss(kind, *factor, gradient_penalty=10.0 if kind == "wasserstein" else 0.0)


class Toy(GanMethod):
    """An unconditional adversary and L1, around any two networks."""

    terms = ("adversarial",)

    def __init__(
        self, generator: nn.Module, discriminator: nn.Module, kind: str = "least_squares", **weights: float
    ) -> None:
        super().__init__({"g": generator}, {"d": discriminator}, losses_of({"l1": 0, **weights}))
        self.adversary = adversary(kind)

    def generate(self, batch: Batch) -> Losses:
        return {"pred": self.generators["g"](batch["image"])}

    def discriminator_losses(self, batch: Batch, fakes: Batch) -> Losses:
        if not self.uses("adversarial"):
            return {}
        discriminator = self.discriminators["d"]
        return {
            "discriminator": self.adversary.discriminator(discriminator(batch["label"]), discriminator(fakes["pred"]))
        }

    def loss(self, name: str, batch: Batch, fakes: Batch) -> Tensor:
        if name == "adversarial":
            return self.adversary.generator(self.discriminators["d"](fakes["pred"]))
        return super().loss(name, batch, fakes)


class Pairs(Dataset):
    """Image and label by index, with noise of its own for every (epoch, index)."""

    def __init__(self, images: Tensor, labels: Tensor, noise: float = 0.0) -> None:
        self.images, self.labels, self.noise = images, labels, noise

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, key: tuple[int, int]) -> dict[str, Any]:
        epoch, index = key
        generator = torch.Generator().manual_seed(derive(epoch, index))
        image = self.images[index]
        image = image + self.noise * torch.randn(image.shape, generator=generator)
        return {"image": image, "label": self.labels[index], "case": f"case_{index}"}


def loader(dataset: Dataset, batch_size: int = 1, num_workers: int = 0, drop_last: bool = False) -> DataLoader:
    """A loader over the real sampler, seed 0."""
    sampler = EpochSampler(dataset)  # type: ignore[arg-type]
    return DataLoader(dataset, batch_size, sampler=sampler, num_workers=num_workers, drop_last=drop_last)


def scalars(*pairs: tuple[float, float]) -> Pairs:
    """A dataset of single numbers."""
    images, labels = torch.tensor(pairs).float().unsqueeze(-1).unbind(1)
    return Pairs(images, labels)


def train(
    method: GanMethod, data: Iterable, epochs: int = 1, optimizer: Callable = SGD, **settings: Any
) -> SynthesisTrainer:
    """Run to the end."""
    trainer = SynthesisTrainer(CPU, epochs, data, method, optimizer, **settings)
    trainer.run()
    return trainer


def on(event: Any, action: Callable) -> Any:
    """A handler that calls ``action(engine)`` at an event."""

    class Handler:
        def attach(self, engine: SynthesisTrainer) -> None:
            engine.add_event_handler(event, action)

    return Handler()


def regression(count: int) -> Pairs:
    generator = torch.Generator().manual_seed(3)
    return Pairs(torch.randn(count, 1, 4, 4, generator=generator), torch.randn(count, 1, 4, 4, generator=generator))


def convolutions(*middle: nn.Module) -> tuple[nn.Module, nn.Module]:
    generator = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), *middle, nn.LeakyReLU(0.1), nn.Conv2d(8, 1, 3, padding=1))
    return generator, nn.Sequential(nn.Conv2d(1, 4, 3, 2, 1), nn.LeakyReLU(0.2), nn.Conv2d(4, 1, 3, 2, 1))
