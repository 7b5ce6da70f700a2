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
from torch import Tensor, nn
from tqdm import tqdm

from common.config.record import RunRecord, config_of
from common.data.datalist import Item
from common.data.split_record import write_split
from common.errors import ConfigError, DataError
from common.seeds import derive
from common.training.handlers.lock import RunLock
from lesion_dcgan_aug.classic_grid import ClassicGrid
from lesion_dcgan_aug.data.class_patches import labels_of, load_patches
from lesion_dcgan_aug.data.selection import patient_folds
from lesion_dcgan_aug.latent import Latent, synthesise
from lesion_dcgan_aug.study.classifier import LesionClassifier, train_classifier
from lesion_dcgan_aug.study.fold_gan import decisive_settings, train_fold_gan
from lesion_dcgan_aug.study.fold_results import Arm, FoldResult, read_result, write_result
from lesion_dcgan_aug.study.report import classification_scores, write_study

logger = logging.getLogger(__name__)
SCORE = "balanced_accuracy"
"""Score that selects the best classic size."""


@dataclass
class AugmentationStudy:
    """Train the classifier on every fold, seed and augmentation; results go to ``output_dir/study``.

    GANs and the classifier's normalisation are fitted to the fold's training patients only. First the classic sizes are
    run; GAN samples are then added to the classic size above 0 with the best mean score over all folds. Each result is
    a file, so that an interrupted study resumes where it stopped.

    Args:
        cases: items by section; their split is not used here.
        classes: names in order.
        preprocessing: of an item, to ``image`` in [-1, 1].
        classic_grid: views of the classic augmentation.
        device: to train on.
        output_dir: of the run or variant; receives ``study/``.
        bundle: name and version.
        train_config: the bundle's ``train.yaml``, with which a fold's GANs are trained, or a list with overlays of it.
        folds: number of folds of the patients.
        seeds: one repetition each, with its own folds, initial weights and augmentation.
        classic_sizes: views that classic augmentation adds to each fold trained on, in equal shares of its lesions; 0
            is none. A larger set contains the smaller ones.
        gan_sizes: samples of each class that are added to each fold trained on, in addition to the best classic size.
        classifier: arguments of :func:`lesion_dcgan_aug.study.classifier.train_classifier`.
        record: of the command, whose settings replace those of ``train_config``.

    Raises:
        ConfigError: a size is negative or repeated, or there is no seed.
    """

    cases: Mapping[str, Sequence[Item]]
    classes: Sequence[str]
    preprocessing: Callable
    classic_grid: ClassicGrid
    device: torch.device
    output_dir: str
    bundle: str
    train_config: str | Sequence[str]
    folds: int = 3
    seeds: Sequence[int] = (0,)
    classic_sizes: Sequence[int] = (0, 500, 1000, 2000, 3000, 5000, 7500, 10000, 15000)
    gan_sizes: Sequence[int] = (100, 500, 1000, 2000, 3000, 4000)
    classifier: Mapping[str, Any] = field(default_factory=dict)
    record: RunRecord | None = None

    def __post_init__(self) -> None:
        for name in ("classic_sizes", "gan_sizes", "seeds"):
            sizes = list(getattr(self, name))
            if len(set(sizes)) < len(sizes) or any(size < 0 for size in sizes) or (not sizes and name != "gan_sizes"):
                raise ConfigError(f"--{name} is {sizes}", "give numbers of 0 or more, each once")
        self.items = [item for section in self.cases.values() for item in section]
        self.folder = Path(self.output_dir, "study")
        self.gan_settings = config_of(self.record)

    def run(self) -> list[FoldResult]:
        """Run what has no result yet, write the tables and print the main one.

        Raises:
            ConfigError: a classic size is more than the views of a fold's lesions, results of another study are in the
                folder, or another process uses it.
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
        self._require_views(dealt)
        self.patches = load_patches(self.items, self.preprocessing)
        self.settings = self._settings()
        repeats = [(seed, fold) for seed in self.seeds for fold in range(self.folds)]
        total = len(repeats) * (len(self.classic_sizes) + len(self.gan_sizes))
        self.bar = tqdm(total=total, desc="study", unit="classifier", disable=None)
        classic = [Arm(size) for size in self.classic_sizes]
        for seed, fold in repeats:  # those of another study are refused before anything is written
            for arm in classic:
                read_result(self.folder, fold, seed, arm, self.settings)
        write_split(self.cases, self.folder)
        results = [self._result(seed, fold, dealt[seed], arm) for seed, fold in repeats for arm in classic]
        best = self._best(results, [arm for arm in classic if arm.classic] or classic)
        logger.info(f"best classic augmentation: {best.label}; GAN samples are added to it")
        mixed = [Arm(best.classic, size) for size in self.gan_sizes]
        for seed, fold in repeats if mixed else []:
            results += [self._result(seed, fold, dealt[seed], arm) for arm in mixed]
        self.bar.close()
        write_study(self.folder, results, self.classes, self.folds, self.bundle)
        return results

    def _result(self, seed: int, fold: int, dealt: Sequence[Sequence[Item]], arm: Arm) -> FoldResult:
        result = read_result(self.folder, fold, seed, arm, self.settings)
        if result is None:
            self.bar.set_postfix_str(f"fold {fold}, seed {seed}, {arm.label}")
            start, test, kinds = time.monotonic(), dealt[fold], len(self.classes)
            predicted = self._train(seed, fold, dealt, arm).predict(self._patches(test).to(self.device))
            matrix = (labels_of(test, self.classes) * kinds + predicted).bincount(minlength=kinds**2).view(kinds, kinds)
            named = {item["case"]: self.classes[k] for item, k in zip(test, predicted.tolist(), strict=True)}
            seconds = round(time.monotonic() - start, 1)
            result = FoldResult(fold, seed, arm, matrix.tolist(), named, seconds, self.settings)
            write_result(self.folder, result)
        self.bar.update()
        return result

    def _train(self, seed: int, fold: int, dealt: Sequence[Sequence[Item]], arm: Arm) -> LesionClassifier:
        """Classifier trained on all folds but one."""
        patches, labels = self._training_set(dealt, arm, fold, seed)
        return train_classifier(
            patches.to(self.device), labels.to(self.device), len(self.classes), derive(seed, fold, 2), **self.classifier
        )

    def _training_set(self, dealt: Sequence[Sequence[Item]], arm: Arm, fold: int, seed: int) -> tuple[Tensor, Tensor]:
        """Original patches of all folds but one, classic views of each of these folds, and samples of each class."""
        parts = [part for number, part in enumerate(dealt) if number != fold]
        training = [item for part in parts for item in part]
        if both := {item["patient"] for item in training} & {item["patient"] for item in dealt[fold]}:
            raise DataError(f"a fold trains and tests on patient '{min(both)}' (leak)", "assign folds by patient")
        sets, labels = [self._patches(training)], [labels_of(training, self.classes)]
        for part in parts:
            seeds = [derive(seed, self._index[item["case"]], 3) for item in part]
            views, owners = self.classic_grid.sample(self._patches(part), arm.classic, seeds)
            sets.append(views)
            labels.append(labels_of(part, self.classes)[owners])
        if arm.gan:
            count, (network, latent) = arm.gan * len(parts), self._gan(training, fold, seed)
            for k in range(len(self.classes)):
                sets.append(synthesise(network, latent, k, count, derive(seed, fold, 4), self.device))
                labels.append(torch.full((count,), k))
        return torch.cat(sets), torch.cat(labels)

    def _gan(self, training: Sequence[Item], fold: int, seed: int) -> tuple[nn.Module, Latent]:
        folder = self.folder / "gans" / f"fold{fold}_seed{seed}"
        return train_fold_gan(folder, self.train_config, self.gan_settings, training, derive(seed, fold, 5))

    def _require_views(self, dealt: Mapping[int, Sequence[Sequence[Item]]]) -> None:
        """Refuse a classic size for which a fold's lesions have too few views."""
        fewest = min(len(part) for folds in dealt.values() for part in folds)
        if (largest := max(self.classic_sizes)) > fewest * self.classic_grid.size:
            views = self.classic_grid.size
            fault = f"--classic_sizes has {largest}, over {views} views of each of the smallest fold's {fewest} lesions"
            raise ConfigError(fault, f"remove sizes above {fewest * views}")

    def _best(self, results: Sequence[FoldResult], arms: Sequence[Arm]) -> Arm:
        scores = [(each.arm, classification_scores(each.confusion, self.classes)[SCORE]) for each in results]
        return max(arms, key=lambda arm: float(np.mean([score for own, score in scores if own == arm])))

    def _patches(self, items: Sequence[Item]) -> Tensor:
        return self.patches[[self._index[item["case"]] for item in items]]

    def _settings(self) -> dict[str, Any]:
        """Everything that a result depends on, so that results of another study are recognised."""
        self._index = {item["case"]: number for number, item in enumerate(self.items)}
        listed = sorted((item["case"], item["patient"], item["class"]) for item in self.items)
        digest = hashlib.sha256(self.patches.numpy().tobytes() + json.dumps(listed).encode()).hexdigest()
        return {"folds": self.folds, "classes": list(self.classes), "classifier": dict(self.classifier),
                "classic_grid": vars(self.classic_grid), "gan": decisive_settings(self.train_config, self.gan_settings),
                "data": digest}  # fmt: skip
