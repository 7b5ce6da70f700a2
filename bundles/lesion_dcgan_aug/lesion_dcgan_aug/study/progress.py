"""Work estimate of the study for its progress bar, in patches seen by a classifier."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lesion_dcgan_aug.study.classifier import updates
from lesion_dcgan_aug.study.fold_results import Arm

GAN_COST = 5
"""Work of a GAN training step on a patch relative to that of a classifier."""


@dataclass
class WorkEstimate:
    """Estimated work of a study and of its parts, in patches seen by a classifier.

    Args:
        items: patches of all folds.
        classes: how many.
        folds: how many.
        classifier: settings of the classifier.
        gan: settings of the GANs.
    """

    items: int
    classes: int
    folds: int
    classifier: Mapping[str, Any]
    gan: Mapping[str, Any]

    def of_study(self, seeds: int, classic_sizes: Sequence[int], gan_sizes: Sequence[int]) -> float:
        """Work of the whole study; assumes that the largest classic size will be the best."""
        arms = [Arm(size) for size in classic_sizes] + [Arm(max(classic_sizes), size) for size in gan_sizes]
        one = sum(self.of_classifier(arm, self.items * (self.folds - 1) / self.folds) for arm in arms)
        return seeds * self.folds * (one + (self.of_gan() if gan_sizes else 0))

    def of_classifier(self, arm: Arm, originals: float) -> float:
        """Work of one classifier training on this many original patches and those that the arm adds."""
        count = originals + (self.folds - 1) * (arm.classic + self.classes * arm.gan)
        batch, epochs, steps = (self.classifier.get(name) for name in ("batch_size", "epochs", "steps"))
        return updates(int(count), epochs or 150, steps, batch or 64) * min(batch or 64, count)

    def of_gan(self) -> float:
        """Work of training the GANs of one fold."""
        epochs, views, samples = (self.gan.get(name) for name in ("max_epochs", "views", "samples_per_epoch"))
        patches = samples or (views or 1) * self.items / self.classes
        return float((epochs or 1) * patches * self.classes * GAN_COST)
