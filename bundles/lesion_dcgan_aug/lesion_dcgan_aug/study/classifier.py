"""Lesion classifier of the augmentation study (Frid-Adar et al. 2018)."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from common.errors import TrainingError
from common.seeds import derive


class LesionClassifier(nn.Module):
    """Three pairs of convolution and max-pooling, two fully connected layers, dropout 0.5 before the last.

    Patches (B, 1, 64, 64) in [-1, 1] -> logits (B, K). Intensities are standardised by ``mean`` and ``deviation``,
    which are fitted to the training patches and kept with the weights.

    Args:
        classes: K.
        width: features of the first convolution; doubled twice.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, classes: int = 3, width: int = 32) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(()))
        self.register_buffer("deviation", torch.ones(()))
        layers: list[nn.Module] = []
        for above, count in ((1, width), (width, 2 * width), (2 * width, 4 * width)):
            layers += [nn.Conv2d(above, count, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
        self.body = nn.Sequential(*layers, nn.Flatten(), nn.Linear(4 * width * 64, 4 * width), nn.ReLU())
        self.head = nn.Sequential(nn.Dropout(0.5), nn.Linear(4 * width, classes))

    def fit_intensities(self, patches: Tensor) -> None:
        """Set mean and deviation to those of patches (N, 1, H, W)."""
        self.mean, self.deviation = patches.mean(), patches.std().clamp_min(1e-6)

    def forward(self, patches: Tensor) -> Tensor:
        """Logits of the classes."""
        return self.head(self.body((patches - self.mean) / self.deviation))

    @torch.no_grad()
    def predict(self, patches: Tensor, batch_size: int = 256) -> Tensor:
        """The most likely class of each patch, (N,), in evaluation mode."""
        self.eval()
        return torch.cat([self(part).argmax(1) for part in patches.split(batch_size)]).cpu()


def train_classifier(
    patches: Tensor,
    labels: Tensor,
    classes: int,
    seed: int,
    width: int = 32,
    epochs: int = 150,
    steps: int | None = None,
    batch_size: int = 64,
    learning_rate: float = 1.0e-3,
    momentum: float = 0.9,
) -> LesionClassifier:
    """Train from scratch by stochastic gradient descent; normalisation is fitted to these patches alone.

    Args:
        patches: (N, 1, H, W) in [-1, 1], on the device to train on.
        labels: (N,).
        classes: K.
        seed: of weights, order and dropout.
        width: of the network.
        epochs: over the patches, as published.
        steps: number of updates instead of epochs, whatever the number of patches.
        batch_size: of an update.
        learning_rate: of SGD.
        momentum: of SGD.

    Raises:
        TrainingError: the loss is not finite.
    """
    generator = torch.Generator().manual_seed(derive(seed, 1))
    torch.manual_seed(derive(seed, 0))
    model = LesionClassifier(classes, width).to(patches.device)
    model.fit_intensities(patches)
    optimizer = torch.optim.SGD(model.parameters(), lr=learning_rate, momentum=momentum)
    model.train()
    updates = steps or epochs * -(-len(patches) // batch_size)
    for chosen in _batches(len(patches), batch_size, updates, generator):
        loss = F.cross_entropy(model(patches[chosen]), labels[chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    if not torch.isfinite(loss):
        raise TrainingError(f"the loss of the classifier is {float(loss)}", "lower --classifier::learning_rate")
    return model.eval()


def _batches(count: int, batch_size: int, number: int, generator: torch.Generator) -> Iterator[Tensor]:
    """``number`` batches of indices; each patch occurs once before any is repeated."""
    order = torch.empty(0, dtype=torch.long)
    for _ in range(number):
        if not len(order):
            order = torch.randperm(count, generator=generator)
        yield order[:batch_size]
        order = order[batch_size:]
