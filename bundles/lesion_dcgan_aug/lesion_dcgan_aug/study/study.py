"""Classification study: no, classic, and classic + GAN augmentation, cross-validated by patient."""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.bundle import ConfigParser
from torch import Tensor, nn
from tqdm import tqdm

from common.data.datalist import Item
from common.data.split_record import write_split
from common.errors import ConfigError
from common.handlers.lock import RunLock
from common.running_config import running_config
from common.seeds import derive
from lesion_dcgan_aug.data.class_patches import Augmentation
from lesion_dcgan_aug.data.folds import patient_folds, require_disjoint
from lesion_dcgan_aug.latent import Latent
from lesion_dcgan_aug.metrics.confusion import classification_scores, confusion_matrix
from lesion_dcgan_aug.patches import labels_of, load_patches, synthesise
from lesion_dcgan_aug.study.classifier import train_classifier
from lesion_dcgan_aug.study.fold_gan import changed_settings, decisive_settings, train_fold_gan
from lesion_dcgan_aug.study.fold_results import Arm, FoldResult, read_result, write_result
from lesion_dcgan_aug.study.progress import WorkEstimate
from lesion_dcgan_aug.study.report import write_study

logger = logging.getLogger(__name__)
SCORE = "balanced_accuracy"
"""Score that selects the best classic size."""


@dataclass
class Study:
    """Train the classifier on every fold, seed and augmentation; results go to ``output_dir/study``.

    GANs and the classifier's normalisation are fitted to the fold's training patients only. First the classic sizes are
    run; GAN samples are then added to the classic size above 0 with the best mean score over all folds. Each result is
    a file, so that an interrupted study resumes where it stopped.

    Args:
        cases: items by section; their split is not used here.
        classes: names in order.
        preprocessing: of an item, to ``image`` in [-1, 1].
        augmentation: classic augmentation, for classifier and (in ``train.yaml``) GANs.
        latent: the distribution that the GANs sample from.
        device: to train on.
        output_dir: of the run or variant; receives ``study/``.
        bundle: name and version.
        train_config: the bundle's ``train.yaml``, with which a fold's GANs are trained.
        folds: number of folds of the patients.
        seeds: one repetition each, with its own folds, initial weights and augmentation.
        classic_sizes: patches that classic augmentation adds to each class; 0 is none.
        gan_sizes: patches of each class that the GAN adds to the best classic size.
        classifier: arguments of :func:`lesion_dcgan_aug.study.classifier.train_classifier`.

    Raises:
        ConfigError: a size is negative or repeated, or there is no seed.
    """

    cases: Mapping[str, Sequence[Item]]
    classes: Sequence[str]
    preprocessing: Callable
    augmentation: Augmentation
    latent: Latent
    device: torch.device
    output_dir: str
    bundle: str
    train_config: str
    folds: int = 3
    seeds: Sequence[int] = (0,)
    classic_sizes: Sequence[int] = (0, 500, 1500, 5000, 15000)
    gan_sizes: Sequence[int] = (500, 1500, 5000)
    classifier: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("classic_sizes", "gan_sizes", "seeds"):
            sizes = list(getattr(self, name))
            if len(set(sizes)) < len(sizes) or any(size < 0 for size in sizes) or (not sizes and name != "gan_sizes"):
                raise ConfigError(f"--{name}", "holds numbers of 0 or more, each once", sizes, "correct it")
        self.items = [item for section in self.cases.values() for item in section]
        self.folder = Path(self.output_dir, "study")
        self.gan_settings = {**_train_settings(self.train_config), **changed_settings(running_config())}

    def run(self) -> list[FoldResult]:
        """Run what has no result yet, write tables, figure and report, and print the table.

        Raises:
            ConfigError: results of another study are in the folder, or another process uses it.
            DataError: a class has fewer patients than there are folds, or a result's file is damaged.
        """
        lock = RunLock(self.folder, self.folder)
        lock.acquire()
        try:
            return self._run()
        finally:
            lock.release()

    def _run(self) -> list[FoldResult]:
        dealt = {seed: patient_folds(self.items, self.folds, seed, self.classes) for seed in self.seeds}
        self.patches = load_patches(self.items, self.preprocessing)
        self.settings = self._settings()
        counts = (len(self.items), len(self.classes), self.folds)
        self.estimate = WorkEstimate(*counts, self.classifier, self.gan_settings)
        total = self.estimate.of_study(len(self.seeds), self.classic_sizes, self.gan_sizes)
        self.bar = tqdm(total=total, desc="study", unit="patch", unit_scale=True, mininterval=2)
        repeats = [(seed, fold) for seed in self.seeds for fold in range(self.folds)]
        classic = [Arm(size) for size in self.classic_sizes]
        for seed, fold in repeats:  # those of another study are refused before anything is written
            for arm in classic:
                read_result(self.folder, fold, seed, arm, self.settings)
        write_split(self.cases, self.folder)
        results = [self._result(seed, fold, dealt[seed], arm) for seed, fold in repeats for arm in classic]
        best = self._best(results, [arm for arm in classic if arm.classic] or classic)
        logger.info(f"best classic augmentation: {best.label}; GAN samples are added to it")
        for seed, fold in repeats if self.gan_sizes else []:
            results += [self._result(seed, fold, dealt[seed], Arm(best.classic, size)) for size in self.gan_sizes]
        self.bar.close()
        write_study(self.folder, results, self.classes, self.folds, self.bundle, self.settings)
        return results

    def _result(self, seed: int, fold: int, dealt: Sequence[Sequence[Item]], arm: Arm) -> FoldResult:
        originals = sum(len(part) for number, part in enumerate(dealt) if number != fold)
        gan_work = self.estimate.of_gan() / len(self.gan_sizes) if arm.gan else 0
        work = self.estimate.of_classifier(arm, originals) + gan_work
        begun = self.bar.n
        result = read_result(self.folder, fold, seed, arm, self.settings)
        if result is None:
            self.bar.set_postfix_str(f"fold {fold}, seed {seed}, {arm.label}")
            start = time.monotonic()
            test = list(dealt[fold])
            training = [item for number, part in enumerate(dealt) if number != fold for item in part]
            require_disjoint(training, test)
            patches, labels = self._training_set(training, arm, fold, seed)
            model = train_classifier(
                patches.to(self.device), labels.to(self.device), len(self.classes), seed=derive(seed, fold, 2),
                done=lambda count: self.bar.update(count), **self.classifier,
            )  # fmt: skip
            predicted = model.predict(self._patches(test).to(self.device))
            result = self._outcome(fold, seed, arm, test, predicted, time.monotonic() - start)
            write_result(self.folder, result)
        self.bar.update(max(0, begun + work - self.bar.n))
        return result

    def _training_set(self, training: Sequence[Item], arm: Arm, fold: int, seed: int) -> tuple[Tensor, Tensor]:
        """Original patches, then equally many per class from classic augmentation and from the GAN."""
        real, labels = self._patches(training), labels_of(training, self.classes)
        network = self._gan(training, fold, seed) if arm.gan else None
        sets, names = [real], [labels]
        for k in range(len(self.classes)):
            generator = torch.Generator().manual_seed(derive(seed, fold, k, 3))
            chosen = torch.randint(int((labels == k).sum()), (arm.classic,), generator=generator)
            if arm.classic:
                sets += [self.augmentation(part, generator) for part in real[labels == k][chosen].split(256)]
            if network is not None:
                sets.append(synthesise(network, self.latent, k, arm.gan, derive(seed, fold, 4), self.device))
            names.append(torch.full((arm.classic + arm.gan,), k))
        return torch.cat(sets), torch.cat(names)

    def _gan(self, training: Sequence[Item], fold: int, seed: int) -> nn.Module:
        folder = self.folder / "gans" / f"fold{fold}_seed{seed}"
        epochs = max(1, int(self.gan_settings.get("max_epochs", 1)))
        share = self.estimate.of_gan() / epochs
        return train_fold_gan(
            folder, Path(self.train_config), self.gan_settings, training, derive(seed, fold, 5),
            lambda: self.bar.update(share),
        )  # fmt: skip

    def _outcome(
        self, fold: int, seed: int, arm: Arm, test: Sequence[Item], predicted: Tensor, seconds: float
    ) -> FoldResult:
        matrix = confusion_matrix(labels_of(test, self.classes).tolist(), predicted.tolist(), len(self.classes))
        named = {item["case"]: self.classes[k] for item, k in zip(test, predicted.tolist(), strict=True)}
        return FoldResult(fold, seed, arm, matrix.tolist(), named, round(seconds, 1), self.settings)

    def _best(self, results: Sequence[FoldResult], arms: Sequence[Arm]) -> Arm:
        def score(arm: Arm) -> float:
            own = [result for result in results if result.arm == arm]
            scores = [classification_scores(result.confusion, self.classes)[SCORE] for result in own]
            return float(np.mean(scores))

        return max(arms, key=score)

    def _patches(self, items: Sequence[Item]) -> Tensor:
        return self.patches[[self._index[item["case"]] for item in items]]

    def _settings(self) -> dict[str, Any]:
        """Everything that a result depends on, so that results of another study are recognised."""
        self._index = {item["case"]: number for number, item in enumerate(self.items)}
        listed = sorted((item["case"], item["patient"], item["class"]) for item in self.items)
        digest = hashlib.sha256(self.patches.numpy().tobytes() + json.dumps(listed).encode()).hexdigest()
        return {"folds": self.folds, "classes": list(self.classes), "classifier": dict(self.classifier),
                "augmentation": vars(self.augmentation), "gan": decisive_settings(self.gan_settings),
                "data": digest}  # fmt: skip


def _train_settings(path: str) -> dict[str, Any]:
    return changed_settings(ConfigParser.load_config_file(path))
