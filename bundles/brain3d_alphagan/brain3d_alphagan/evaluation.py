"""Evaluation of samples and reconstructions of every trained model, next to real images and their mean."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import monai
import torch
from torch import Tensor
from tqdm import tqdm

from brain3d_alphagan.latent import noise_of
from brain3d_alphagan.networks import BrainGenerator
from brain3d_alphagan.samples import picture
from brain3d_alphagan.scores import BrainScores
from common.config.record import RunRecord, config_of
from common.data.datalist import Item
from common.data.datasets.cached_volumes import plain
from common.data.sample_requests import sample_seed
from common.errors import DataError
from common.evaluation.methods import trained_networks
from common.evaluation.report import Picture, Report, format_table, summarise, write_report, write_tables
from common.metrics.sample_quality import left_and_right, nearest_training, sample_verdict
from common.training.handlers import LOG_NAME

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
        """
        folder, networks = Path(self.output_dir, "evaluation"), self._networks()
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
            pictures.append(Picture(method, _png(shown), caption))
        pictures.append(Picture("held-out", _png(test[:SHOWN]), "Held-out real images."))
        summary = summarise(self.rows)
        write_tables(folder, self.rows, summary)
        write_report(folder / "report.html", self._report(summary, pictures, len(test)))
        print(f"\n{self.bundle}: {self.samples} samples, {len(test)} held-out and {len(training)} training images")
        print(format_table(summary))
        print("\n".join(self.verdicts))
        print(f"report: {folder / 'report.html'}")
        return summary

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
        if not network.reconstructs:
            return {}
        made = torch.cat([network.reconstruct(part.to(self.device)).cpu() for part in test.split(BATCH)])
        return {"reconstruction_mae": float((made - test).abs().mean()) / 2}

    def _report(self, summary: Mapping[str, Any], pictures: list[Picture], held_out: int) -> Report:
        name, _, version = self.bundle.partition(" ")
        log = Path(self.output_dir, LOG_NAME)
        return Report(
            title=f"{name}: quality of samples",
            bundle=name,
            version=version,
            unit="1",
            value_range=(0.0, 1.0),
            mask_description=f"whole volumes; {self.samples} samples and {held_out} held-out images",
            rows=self.rows,
            summary=summary,
            pictures=pictures,
            log_csv=log if log.is_file() else None,
            settings={key: value for key, value in config_of(self.record).items() if not isinstance(value, dict)},
            versions={"monai": monai.__version__, "torch": torch.__version__},
            notes=[HOW, *self.verdicts],
        )


def _png(volumes: Tensor) -> bytes:
    stream = io.BytesIO()
    picture(volumes[:, 0].numpy(), (-1, 1)).save(stream, "PNG", optimize=True)
    return stream.getvalue()
