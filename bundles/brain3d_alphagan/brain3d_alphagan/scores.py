"""Scores of a set of synthetic brains against real ones: MMD, MS-SSIM of pairs, KID, copies, volume of the brain."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import combinations

import numpy as np
import torch
from monai.metrics.mmd import compute_mmd
from monai.metrics.regression import MultiScaleSSIMMetric
from torch import Tensor, nn

from brain3d_alphagan.samples import middle_slices
from common.metrics.kid import kid
from common.metrics.random_features import RandomFeatures
from common.metrics.sample_quality import Nearest, copied, left_and_right, nearest_training

LEVELS = (0.0448, 0.2856, 0.3001)
"""Exponents of the three finest levels of MS-SSIM (Wang et al. 2003): 64 voxels have no room for all five."""
BATCH = 8
"""Largest batch of an MMD."""
REPEATS = 20
"""Batches over which the MMD is averaged."""
PAIRS = 60
"""Largest number of pairs of MS-SSIM."""
AIR = -0.9
"""Brightness from which a voxel is brain."""


class SliceFeatures(nn.Module):
    """Features of the middle slices of volumes (N, 1, S, S, S): three times those of ``RandomFeatures``, (N, 1440)."""

    def __init__(self) -> None:
        super().__init__()
        self.features = RandomFeatures()

    def forward(self, volumes: Tensor) -> Tensor:
        """Features of a batch."""
        slices = middle_slices(volumes)
        return torch.cat([self.features(slices[:, [axis]]) for axis in range(3)], dim=1)


def pair_similarity(volumes: Tensor, seed: int) -> float:
    """Mean MS-SSIM of pairs of volumes (N, 1, S, S, S) in [-1, 1], of all or of 60 random ones; high where all are
    alike, as after mode collapse (Kwon et al. 2019)."""
    pairs = list(combinations(range(len(volumes)), 2))
    order = torch.randperm(len(pairs), generator=torch.Generator().manual_seed(seed))[:PAIRS].tolist()
    first, second = ((volumes[[pairs[n][end] for n in order]] + 1) / 2 for end in (0, 1))
    weights = [level / sum(LEVELS) for level in LEVELS]
    metric = MultiScaleSSIMMetric(3, data_range=1.0, kernel_size=7, weights=weights)
    values = [metric(a, b) for a, b in zip(first.split(BATCH), second.split(BATCH), strict=True)]
    return float(torch.cat(values).mean())  # type: ignore[arg-type]


def batch_mmd(made: Tensor, real: Tensor, seed: int) -> float:
    """Mean over random batches of the unbiased squared MMD with the kernel a.b on voxels, as Kwon et al. 2019."""
    generator, size = torch.Generator().manual_seed(seed), min(len(made), len(real), BATCH)
    values = []
    for _ in range(REPEATS):
        one, other = (part[torch.randperm(len(part), generator=generator)[:size]] for part in (made, real))
        values.append(float(compute_mmd(other.double(), one.double(), None)))
    return float(np.mean(values))


@dataclass
class BrainScores:
    """Scores of sets of volumes (N, 1, 64, 64, 64) in [-1, 1].

    Args:
        training: real images that networks were trained on.
        test: held-out real images.
        spacing: of a voxel in mm.
        seed: of random batches and pairs.
    """

    training: Tensor
    test: Tensor
    spacing: float
    seed: int
    held_out: Nearest = field(init=False)

    def __post_init__(self) -> None:
        self.features = SliceFeatures()
        self.held_out = nearest_training(self.test, self.training, left_and_right)
        self.similarity = pair_similarity(self.test, self.seed)

    def of(self, made: Tensor, found: Nearest | None) -> dict[str, float]:
        """``kid``, ``mmd``, ``ms_ssim``, ``diversity``, ``copied``, and the :func:`brain_volume`.

        Args:
            made: the images.
            found: their nearest training images; None for training images themselves.
        """
        similarity = pair_similarity(made, self.seed)
        scores = {
            "kid": kid(self.features(made), self.features(self.test)),
            "mmd": batch_mmd(made, self.test, self.seed),
            "ms_ssim": similarity,
            "diversity": (1 - similarity) / (1 - self.similarity),
        }
        if found is not None:
            scores["copied"] = float(copied(found, self.held_out).double().mean())
        return scores | brain_volume(made, self.spacing)


def brain_volume(volumes: Tensor, spacing: float) -> dict[str, float]:
    """Mean and standard deviation of the volume above air, in ml."""
    counts = (volumes > AIR).flatten(1).sum(dim=1).double() * spacing**3 / 1000
    return {"brain_ml": float(counts.mean()), "brain_ml_sd": float(counts.std())}
