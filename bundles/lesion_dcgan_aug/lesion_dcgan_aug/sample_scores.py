"""Scores of a set of samples of one class: kernel distance to held-out patches, diversity, memorisation, class."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from common.metrics.kid import kid
from common.metrics.sample_quality import Nearest, copied, diversity
from common.seeds import derive
from lesion_dcgan_aug.study.classifier import LesionClassifier

REPEATS = 10
"""Number of random subsets over which a KID is averaged."""


@dataclass
class Real:
    """Real patches (N, 1, H, W) of one class: training patches and held-out test patches."""

    training: Tensor
    test: Tensor


@dataclass
class SampleScores:
    """Scores of samples from features and from the predictions of a classifier.

    Args:
        features: patches -> (N, D), by the name of the resulting score; those of ``kid`` also give the diversity.
        classifier: trained on real patches.
        seed: of the random subsets.
    """

    features: Mapping[str, Callable]
    classifier: LesionClassifier
    seed: int

    def of(self, made: Tensor, real: Real, k: int, found: Nearest | None, held_out: Nearest) -> dict[str, float]:
        """``kid``, ``kid_classifier``, ``diversity``, ``copied`` and ``class_consistency`` of samples (N, 1, H, W).

        Args:
            made: the samples, or the real training patches in their place.
            real: patches of the class.
            k: index of the class.
            found: nearest training patches of the samples; None for the training patches themselves.
            held_out: nearest training patches of the held-out patches, as the reference of the distances.
        """
        scores = {name: self._kid(made, real.test, extract, k) for name, extract in self.features.items()}
        extract = self.features["kid"]
        scores["diversity"] = diversity(extract(made), extract(real.test))
        if found is not None:
            scores["copied"] = float(copied(found, held_out).double().mean())
        patches = real.test if found is None else made  # real patches that the classifier was not trained on
        scores["class_consistency"] = float((self.classifier.predict(patches) == k).double().mean())
        return scores

    def _kid(self, made: Tensor, test: Tensor, extract: Callable, k: int) -> float:
        """Mean KID over random subsets of equal size, that of the smaller set."""
        generator = torch.Generator().manual_seed(derive(self.seed, k, 11))
        n = min(len(made), len(test))
        draws = []
        for _ in range(REPEATS):
            one, other = (part[torch.randperm(len(part), generator=generator)[:n]] for part in (made, test))
            draws.append(kid(extract(one), extract(other)))
        return float(np.mean(draws))
