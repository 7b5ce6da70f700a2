"""Evaluation of samples and reconstructions of every trained model, next to real images and their mean."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import torch
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from brain3d_alphagan.latent import noise_of
from brain3d_alphagan.networks import BrainGenerator
from brain3d_alphagan.samples import picture
from brain3d_alphagan.scores import BrainScores
from common.config.record import RunRecord
from common.data.datalist import Item
from common.data.datasets.cached_volumes import plain
from common.data.sample_requests import sample_seed
from common.errors import DataError
from common.evaluation.methods import trained_networks
from common.evaluation.sample_report import as_picture, report_samples
from common.files import require_new_files
from common.metrics.sample_quality import left_and_right, nearest_training, sample_verdict

MODEL, REAL, MEAN = "model", "real_training", "mean_image"
LEAST = {"training": 3, "test": 2}
"""Cases that nearest neighbours and pairs need."""
SHOWN = 6
"""Columns of a picture."""
BATCH = 4
HOW = (
    "mmd: squared distance of batches with the kernel a.b on voxels, which a mean image can win; ms_ssim: of pairs of "
    "samples, high where all are alike; diversity: 1 - ms_ssim relative to held-out real pairs; kid: on features of a "
    "fixed random network of three middle slices; copied: share closer to a training image than any held-out image is. "
    "real_training: real training images in place of samples; mean_image: their mean."
)


@dataclass
class BrainEvaluation:
    """Scores of the samples of every trained model on held-out images; rows ``real_training`` and ``mean_image`` too.

    Args:
        cases: items by section.
        network: instance of ``network_def``; weights are loaded into it.
        preprocessing: of an item, to ``image`` in [-1, 1].
        device: to compute on.
        output_dir: holds the runs; receives ``evaluation/``.
        bundle: name and version.
        spacing: of a voxel in mm.
        samples: number of samples.
        seed: of samples and batches.
        record: of the command, whose settings the report lists.
    """

    cases: Mapping[str, Sequence[Item]]
    network: BrainGenerator
    preprocessing: Callable[..., Any]
    device: torch.device
    output_dir: str
    bundle: str
    spacing: float
    samples: int = 40
    seed: int = 0
    record: RunRecord | None = None
    rows: list[dict[str, Any]] = field(default_factory=list, init=False)
    verdicts: list[str] = field(default_factory=list, init=False)

    def run(self) -> dict[str, Any]:
        """Evaluate, write ``metrics.csv``, ``summary.json`` and ``report.html``, print the table, return the summary.

        Raises:
            DataError: too few training or test cases.
            CheckpointError: there is no trained model, or weights do not fit.
            OutputError: for a folder that cannot be written, before anything is sampled.
        """
        networks = self._networks()
        require_new_files(Path(self.output_dir, "evaluation"))
        training, test = self._real("training"), self._real("test")
        scores = BrainScores(training, test, self.spacing, self.seed)
        self.rows, self.verdicts, pictures = [], [], []
        mean = training.mean(0, keepdim=True).expand(len(test), *[-1] * 4)
        self._add(REAL, scores.of(training, None))
        self._add(MEAN, scores.of(mean, nearest_training(mean, training, left_and_right)))
        for method, network in tqdm(networks.items(), desc="evaluation", unit="method", disable=None):
            made = self._samples(network)
            found = nearest_training(made, training, left_and_right)
            self._add(method, scores.of(made, found) | self._reconstruction(network, test))
            self.verdicts.append(sample_verdict(method, self.rows[-1], len(test)))
            shown = torch.cat([made[:SHOWN], training[found.index[:SHOWN]]])
            caption = "Samples, then the training image nearest to each; synthetic, not for clinical use."
            pictures.append(as_picture(method, _shown(shown), caption))
        pictures.append(as_picture("held-out", _shown(test[:SHOWN]), "Held-out real images."))
        counts = f"{self.samples} samples and {len(test)} held-out images"
        return report_samples(
            self.output_dir, self.bundle,
            f"{self.bundle}: {self.samples} samples, {len(test)} held-out and {len(training)} training images",
            self.rows, self.verdicts, self.record, [HOW], title=f"{self.bundle.split()[0]}: quality of samples",
            unit="1", value_range=(0.0, 1.0), mask_description=f"whole volumes; {counts}", pictures=pictures,
        )  # fmt: skip

    def _add(self, method: str, scores: Mapping[str, float]) -> None:
        self.rows.append({"case": "all", "method": method, **scores})

    def _networks(self) -> dict[str, BrainGenerator]:
        """Trained networks by name, ``model`` first."""
        found = trained_networks(Path(self.output_dir), MODEL, self.network, self.record)
        return {name: cast(BrainGenerator, network.to(self.device).eval()) for name, network in found.items()}

    def _real(self, section: str) -> Tensor:
        if len(items := self.cases[section]) < LEAST[section]:
            raise DataError(f"section {section} has {len(items)} cases, fewer than {LEAST[section]}", "add cases")
        return torch.stack([plain(self.preprocessing(dict(item))["image"]) for item in items]).float()

    @torch.no_grad()
    def _samples(self, network: BrainGenerator) -> Tensor:
        seeds = [sample_seed(self.seed, 0, number) for number in range(self.samples)]
        noise = torch.stack([noise_of(seed, network.latent_shape) for seed in seeds])
        return torch.cat([network(part.to(self.device)).cpu() for part in noise.split(BATCH)])

    @torch.no_grad()
    def _reconstruction(self, network: BrainGenerator, test: Tensor) -> dict[str, float]:
        """Mean absolute error of reconstructed held-out images, relative to the brain's 99.5th percentile."""
        made = torch.cat([network.reconstruct(part.to(self.device)).cpu() for part in test.split(BATCH)])
        return {"reconstruction_mae": float((made - test).abs().mean()) / 2}


def _shown(volumes: Tensor) -> Image.Image:
    return picture(volumes[:, 0].numpy(), (-1, 1))
