"""Reference classifier, trained on real patches, for the evaluation of samples."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from common.data.datalist import Item
from lesion_dcgan_aug.data.class_patches import Augmentation
from lesion_dcgan_aug.patches import labels_of, load_patches
from lesion_dcgan_aug.study.classifier import LesionClassifier, train_classifier

logger = logging.getLogger(__name__)


def train_reference_classifier(
    items: Sequence[Item],
    preprocessing: Callable,
    augmentation: Augmentation,
    classes: Sequence[str],
    per_class: int,
    seed: int,
    device: torch.device,
    settings: Mapping[str, Any],
) -> LesionClassifier:
    """Train on real patches and on ``per_class`` augmented patches of each class; the result is on the CPU.

    Args:
        items: of the training patients.
        preprocessing: of an item, to ``image`` in [-1, 1].
        augmentation: classic augmentation.
        classes: names in order.
        per_class: number of augmented patches of each class.
        seed: of augmentation and training.
        device: to train on.
        settings: further arguments of :func:`lesion_dcgan_aug.study.classifier.train_classifier`.
    """
    patches, labels = load_patches(items, preprocessing), labels_of(items, classes)
    generator = torch.Generator().manual_seed(seed)
    chosen = []
    for k in range(len(classes)):
        own = torch.nonzero(labels == k).flatten()
        chosen.append(own[torch.randint(len(own), (per_class,), generator=generator)])
    drawn = torch.cat(chosen)
    augmented = [augmentation(part, generator) for part in patches[drawn].split(256)]
    both, wanted = torch.cat([patches, *augmented]), torch.cat([labels, labels[drawn]])
    logger.info(f"training the reference classifier on {len(both)} patches")
    return train_classifier(both.to(device), wanted.to(device), len(classes), seed=seed, **settings).cpu()


def hidden_features(classifier: LesionClassifier, training: Tensor) -> Callable[[Tensor], Tensor]:
    """Feature extractor: the classifier's last hidden layer, standardised by the training patches."""

    @torch.no_grad()
    def extract(patches: Tensor) -> Tensor:
        return classifier.eval().features(patches)

    known = extract(training)
    centre, spread = known.mean(0), known.std().clamp_min(1e-6)
    return lambda patches: (extract(patches) - centre) / spread
