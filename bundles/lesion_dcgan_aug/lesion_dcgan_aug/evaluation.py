"""Evaluation of samples: distance to real patches, diversity and memorisation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from tqdm import tqdm

from common.config.record import RunRecord
from common.data.datalist import Item
from common.errors import DataError
from common.evaluation.methods import trained_networks
from common.evaluation.report import Picture
from common.evaluation.sample_report import as_picture, report_samples
from common.files import require_new_files
from common.io.export.image_grid import tiled, to_grey
from common.metrics.kid import kid
from common.metrics.random_features import RandomFeatures
from common.metrics.sample_quality import copied, diversity, nearest_training, sample_verdict
from common.seeds import derive
from common.weights import checkpoints
from lesion_dcgan_aug.data.class_patches import load_patches
from lesion_dcgan_aug.latent import Latent, synthesise

MODEL, FLOOR, NOISE = "model", "real_floor", "noise"
REPEATS = 10
"""Number of random subsets over which a KID is averaged."""
SHOWN = 10
"""Number of samples in a picture."""
HOW = (
    "kid: unbiased kernel distance (cubic kernel) to the n held-out real patches of the class, at equal n, on features "
    "of a fixed random convolutional network, mean over 10 draws. real_floor: real training patches in place of "
    "samples; noise: Gaussian noise with the class's mean and deviation."
)
CAPTION = (
    "From top to bottom: samples; the training patch nearest to each; real patches of held-out patients. "
    "Samples are synthetic, not for clinical use."
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
        device: to compute on.
        output_dir: holds the runs; receives ``evaluation/``.
        bundle: name and version.
        window: (low, high) in HU that [-1, 1] stands for.
        samples: number of samples of each class.
        seed: of samples and draws.
        record: of the command, whose settings the report lists.
    """

    cases: Mapping[str, Sequence[Item]]
    classes: Sequence[str]
    network: nn.Module
    latent: Latent
    preprocessing: Callable
    device: torch.device
    output_dir: str
    bundle: str
    window: Sequence[float]
    samples: int = 200
    seed: int = 0
    record: RunRecord | None = None

    def run(self) -> dict[str, Any]:
        """Evaluate, write ``metrics.csv``, ``summary.json`` and ``report.html``, print the table, return the summary.

        Raises:
            DataError: there are no test patches.
            CheckpointError: there is no trained model, or weights do not fit.
            OutputError: for a folder that cannot be written, before anything is sampled.
        """
        if not self.cases["test"]:
            raise DataError("section test has no patches to compare samples with", "add patients to it")
        weights = Path(self.output_dir, "models", checkpoints.WEIGHTS_NAME)
        networks = trained_networks(Path(self.output_dir), MODEL, self.network, self.record)
        require_new_files(Path(self.output_dir, "evaluation"))
        rows: list[dict[str, Any]] = []
        verdicts, pictures, counts = [], [], []
        for k, name in enumerate(tqdm(self.classes, desc="evaluation", unit="class", disable=None)):
            training, test = self._real("training", name), self._real("test", name)
            counts.append(f"{name} {len(test)}")
            held_out = nearest_training(test, training)
            sets = {
                method: synthesise(network, self.latent, k, self.samples, derive(self.seed, 7), self.device)
                for method, network in networks.items()
            }
            for method, made in {**sets, FLOOR: training, NOISE: self._noise(training, k)}.items():
                rows.append({"case": name, "method": method, **self._scores(made, test, k)})
                if method == FLOOR:
                    continue  # each training patch is its own nearest
                found = nearest_training(made, training)
                rows[-1]["copied"] = float(copied(found, held_out).double().mean())
                if method in networks:
                    verdicts.append(sample_verdict(f"{method}, {name}", rows[-1], len(test)))
                if method == MODEL:
                    pictures.append(_picture(name, made, training[found.index[:SHOWN]], test))
        return report_samples(
            self.output_dir, self.bundle,
            f"{self.bundle}, held-out real patches: {', '.join(counts)}; means over the classes",
            rows, verdicts, self.record, [f"model: sha256 {checkpoints.sha256(weights)}", HOW],
            title=f"{self.bundle.split()[0]}: quality of samples, class by class", unit="HU",
            value_range=(float(self.window[0]), float(self.window[1])), pictures=pictures,
            mask_description=f"whole patches; a case is one of {len(self.classes)} classes",
        )  # fmt: skip

    def _scores(self, made: Tensor, test: Tensor, k: int) -> dict[str, float]:
        """``kid`` and ``diversity`` of patches (N, 1, H, W) of class ``k``."""
        sets, n = [RandomFeatures()(part) for part in (made, test)], min(len(made), len(test))
        generator = torch.Generator().manual_seed(derive(self.seed, k, 11))
        # random subsets of equal size, that of the smaller set
        draws = [[part[torch.randperm(len(part), generator=generator)[:n]] for part in sets] for _ in range(REPEATS)]
        return {"kid": float(np.mean([kid(*pair) for pair in draws])), "diversity": diversity(*sets)}

    def _real(self, section: str, name: str) -> Tensor:
        return load_patches([item for item in self.cases[section] if item["class"] == name], self.preprocessing)

    def _noise(self, training: Tensor, k: int) -> Tensor:
        generator = torch.Generator().manual_seed(derive(self.seed, k, 10))
        drawn = torch.randn(self.samples, *training.shape[1:], generator=generator)
        return (training.mean() + training.std() * drawn).clamp(-1, 1)


def _picture(name: str, *blocks: Tensor) -> Picture:
    """Picture of the first patches of each block (N, 1, H, W) in [-1, 1], one row a block."""
    rows = [np.pad(tiled(block[:SHOWN, 0].numpy(), SHOWN), ((0, 3), (0, 0)), constant_values=1) for block in blocks]
    return as_picture(name, Image.fromarray(to_grey(np.concatenate(rows), (-1, 1))), CAPTION)
