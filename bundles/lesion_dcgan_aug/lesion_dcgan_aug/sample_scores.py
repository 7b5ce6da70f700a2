"""The scores of a set of samples of one class: distance to held-out real patches, diversity, copies, class."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from common.seeds import derive
from lesion_dcgan_aug.metrics.kid import kid
from lesion_dcgan_aug.metrics.sample_quality import Nearest, copied, diversity
from lesion_dcgan_aug.study.classifier import LesionClassifier

REPEATS = 10
"""Draws of n samples over which a KID is averaged."""


@dataclass
class Real:
    """Real patches (N, 1, H, W) of one class: those trained on and those held out."""

    training: Tensor
    test: Tensor


@dataclass
class SampleScores:
    """Scores by features and by the verdicts of a classifier.

    Args:
        features: by the name of the score that they give, patches -> (N, D); ``kid`` serves diversity too.
        judge: the classifier of real patches.
        seed: of draws.
    """

    features: Mapping[str, Callable]
    judge: LesionClassifier
    seed: int

    def of(self, made: Tensor, real: Real, k: int, found: Nearest | None, held_out: Nearest) -> dict[str, float]:
        """``kid``, ``kid_classifier``, ``diversity``, ``copied`` and ``class_consistency`` of samples (N, 1, H, W).

        Args:
            made: the samples, or the real training patches in their place.
            real: patches of the class.
            k: its number.
            found: the samples' nearest training patches; None for training patches, which are no copies.
            held_out: the held-out patches' nearest training patches, with which those distances are compared.
        """
        scores = {name: self._kid(made, real.test, extract, k) for name, extract in self.features.items()}
        extract = self.features["kid"]
        scores["diversity"] = diversity(extract(made), extract(real.test))
        if found is not None:
            scores["copied"] = float(copied(found, held_out).double().mean())
        judged = real.test if found is None else made  # of real patches, those that the classifier has not seen
        scores["class_consistency"] = float((self.judge.predict(judged) == k).double().mean())
        return scores

    def _kid(self, made: Tensor, test: Tensor, extract: Callable, k: int) -> float:
        """Mean over draws of as many as there are test patches, or of all on both sides where fewer were made."""
        generator = torch.Generator().manual_seed(derive(self.seed, k, 11))
        n = min(len(made), len(test))
        draws = []
        for _ in range(REPEATS):
            one, other = (part[torch.randperm(len(part), generator=generator)[:n]] for part in (made, test))
            draws.append(kid(extract(one), extract(other)))
        return float(np.mean(draws))
