"""Evaluation of samples: distance to real patches, diversity, memorisation and class consistency."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import monai
import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from common.config.record import RunRecord, config_of
from common.data.datalist import Item
from common.errors import DataError
from common.evaluation.methods import trained_networks
from common.evaluation.report import Picture, Report, format_table, summarise, write_report, write_tables
from common.metrics.random_features import RandomFeatures
from common.metrics.sample_quality import nearest_training, sample_verdict
from common.seeds import derive
from common.training.handlers import LOG_NAME
from common.weights import checkpoints
from lesion_dcgan_aug.data.class_patches import Augmentation
from lesion_dcgan_aug.latent import Latent
from lesion_dcgan_aug.patches import load_patches, synthesise
from lesion_dcgan_aug.reference_classifier import hidden_features, train_reference_classifier
from lesion_dcgan_aug.sample_grids import class_picture, epoch_pictures
from lesion_dcgan_aug.sample_scores import Real, SampleScores

MODEL, FLOOR, NOISE = "model", "real_floor", "noise"
HOW = (
    "kid: unbiased kernel distance (cubic kernel) to the n held-out real patches of the class, at equal n, on features "
    "of a fixed random convolutional network; kid_classifier: on the last hidden layer of a classifier trained on the "
    "training patients; both means over 10 draws. real_floor: real training patches in place of samples; noise: "
    "Gaussian noise with the class's mean and deviation."
)


@dataclass
class SampleEvaluation:
    """Evaluation of the samples of every trained model, of real patches and of noise, by class, on held-out patients.

    Methods: ``model``, every variant under ``variants/`` by its name, ``real_floor`` and ``noise``.

    Args:
        cases: items by section.
        classes: names in order.
        network: instance of ``network_def``; weights are loaded into it.
        latent: the distribution of its inputs.
        preprocessing: of an item, to ``image`` in [-1, 1].
        augmentation: for the classifier's training.
        classifier: arguments of :func:`lesion_dcgan_aug.study.classifier.train_classifier`.
        classifier_patches: augmented patches of each class that it is trained on in addition to the real ones.
        device: to compute on.
        output_dir: holds the runs; receives ``evaluation/``.
        bundle: name and version.
        window: (low, high) in HU that [-1, 1] stands for.
        samples: number of samples of each class.
        seed: of samples, draws and classifier.
        record: of the command, whose settings the report lists.
    """

    cases: Mapping[str, Sequence[Item]]
    classes: Sequence[str]
    network: nn.Module
    latent: Latent
    preprocessing: Callable
    augmentation: Augmentation
    classifier: Mapping[str, Any]
    classifier_patches: int
    device: torch.device
    output_dir: str
    bundle: str
    window: Sequence[float]
    samples: int = 200
    seed: int = 0
    record: RunRecord | None = None
    rows: list[dict[str, Any]] = field(default_factory=list, init=False)
    verdicts: list[str] = field(default_factory=list, init=False)

    def run(self) -> dict[str, Any]:
        """Evaluate, write ``metrics.csv``, ``summary.json`` and ``report.html``, print the table, return the summary.

        Raises:
            DataError: there are no test patches.
            CheckpointError: there is no trained model, or weights do not fit.
        """
        if not self.cases["test"]:
            raise DataError("section test has no patches to compare samples with", "add patients to it")
        folder = Path(self.output_dir, "evaluation")
        networks = trained_networks(Path(self.output_dir), MODEL, self.network, self.record)
        real = {name: self._real(name) for name in self.classes}
        classifier = train_reference_classifier(
            self.cases["training"], self.preprocessing, self.augmentation, self.classes, self.classifier_patches,
            derive(self.seed, 8), self.device, self.classifier,
        )  # fmt: skip
        everything = torch.cat([own.training for own in real.values()])
        hidden = hidden_features(classifier, everything)
        scores = SampleScores({"kid": RandomFeatures(), "kid_classifier": hidden}, classifier, self.seed)
        self.rows, self.verdicts = [], []
        pictures: list[Picture] = []
        for k, name in enumerate(tqdm(self.classes, desc="evaluation", unit="class", disable=None)):
            held_out = nearest_training(real[name].test, real[name].training)
            sets = {
                method: synthesise(network, self.latent, k, self.samples, derive(self.seed, 7), self.device)
                for method, network in networks.items()
            }
            for method, made in {**sets, **self._compared(name, k, real[name])}.items():
                found = None if method == FLOOR else nearest_training(made, real[name].training)
                found_scores = scores.of(made, real[name], k, found, held_out)
                further = self._further(method, name, k, made)
                self.rows.append({"case": name, "method": method, **found_scores, **further})
                if method in networks:
                    line = sample_verdict(f"{method}, {name}", self.rows[-1], len(real[name].test))
                    self.verdicts.append(line)
                if method == MODEL and found is not None:
                    pictures.append(class_picture(name, made, real[name].test, real[name].training, found))
        summary = summarise(self.rows)
        write_tables(folder, self.rows, summary)
        pictures += epoch_pictures(Path(self.output_dir), self.classes)
        write_report(folder / "report.html", self._report(summary, pictures, len(real)))
        counts = ", ".join(f"{name} {len(own.test)}" for name, own in real.items())
        print(f"\n{self.bundle}, held-out real patches: {counts}; means over the classes")
        print(format_table(summary))
        print("\n".join(self.verdicts))
        print(f"report: {folder / 'report.html'}")
        return summary

    def _compared(self, name: str, k: int, real: Real) -> dict[str, Tensor]:
        """What samples of a class are compared with, by method."""
        return {FLOOR: real.training, NOISE: self._noise(real, k)}

    def _further(self, method: str, name: str, k: int, made: Tensor) -> dict[str, float]:
        """Further scores of some patches."""
        return {}

    def _real(self, name: str) -> Real:
        own = {key: [item for item in self.cases[key] if item["class"] == name] for key in ("training", "test")}
        return Real(*(load_patches(own[key], self.preprocessing) for key in ("training", "test")))

    def _noise(self, real: Real, k: int) -> Tensor:
        generator = torch.Generator().manual_seed(derive(self.seed, k, 10))
        drawn = torch.randn(self.samples, *real.training.shape[1:], generator=generator)
        return (real.training.mean() + real.training.std() * drawn).clamp(-1, 1)

    def _report(self, summary: Mapping, pictures: list, classes: int) -> Report:
        name, _, version = self.bundle.partition(" ")
        root = Path(self.output_dir)
        log = root / LOG_NAME
        return Report(
            title=f"{name}: quality of samples, class by class",
            bundle=name,
            version=version,
            unit="HU",
            value_range=(float(self.window[0]), float(self.window[1])),
            mask_description=f"whole patches; a case is one of {classes} classes",
            rows=self.rows,
            summary=summary,
            pictures=pictures,
            log_csv=log if log.is_file() else None,
            settings={key: value for key, value in config_of(self.record).items() if not isinstance(value, dict)},
            versions={"monai": monai.__version__, "torch": torch.__version__, "numpy": np.__version__},
            notes=[
                f"model: sha256 {checkpoints.sha256(root / 'models' / checkpoints.WEIGHTS_NAME)}",
                HOW,
                *self.verdicts,
            ],
        )
