"""Log of samples of fixed latent vectors at every validation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from ignite.engine import Events
from monai.engines import Evaluator
from torch import Tensor

from common import devices
from common.data.sample_requests import sample_seed
from common.training import SynthesisTrainer
from common.weights import checkpoints
from lesion_dcgan_aug.latent import Latent

NAME = "samples.pt"
PER_CLASS = 10


class SampleLog:
    """Handler of the trainer that writes ``models/samples.pt``: a few patches of each class at each validation.

    The file holds ``epochs`` (E,) and ``samples`` (E, K, N, H, W) in 8 bits over [-1, 1]. Attach it after the run
    folder's handler, which moves the file of an earlier run.

    Args:
        run_dir: folder of the run.
        validator: samples are drawn after each of its runs, with the weights that would be deployed.
        latent: the distribution; its vectors are the same at every epoch.
    """

    def __init__(self, run_dir: str, validator: Evaluator, latent: Latent) -> None:
        self.path = Path(run_dir, "models", NAME)
        self.validator = validator
        seeds = [[sample_seed(1, k, n) for n in range(PER_CLASS)] for k in range(latent.classes)]
        self.inputs = torch.stack([latent.labelled(latent.seeded(own), k) for k, own in enumerate(seeds)])
        self._epochs: list[int] = []
        self._samples: list[Tensor] = []

    def attach(self, engine: SynthesisTrainer) -> None:
        """Follow ``engine``, on the first process only."""
        if devices.rank() == 0:
            engine.add_event_handler(Events.STARTED, self.start)

    def start(self, engine: SynthesisTrainer) -> None:
        """Load the log of a resumed run."""
        if engine.state.epoch and self.path.is_file():
            kept: Any = checkpoints.load(self.path)
            pairs = zip(kept["epochs"].tolist(), kept["samples"], strict=True)
            earlier = [(epoch, made) for epoch, made in pairs if epoch <= engine.state.epoch]
            self._epochs, self._samples = [epoch for epoch, _ in earlier], [made for _, made in earlier]
        self.validator.add_event_handler(Events.COMPLETED, self.keep, engine)

    @torch.no_grad()
    def keep(self, validator: Evaluator, engine: SynthesisTrainer) -> None:
        """Add samples of the current epoch and write the file."""
        network = engine.method.deployed.eval()
        made = network(self.inputs.flatten(0, 1).to(engine.state.device)).cpu()
        grey = ((made[:, 0].clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
        self._epochs.append(engine.state.epoch)
        self._samples.append(grey.reshape(*self.inputs.shape[:2], *grey.shape[1:]))
        checkpoints.save({"epochs": torch.tensor(self._epochs), "samples": torch.stack(self._samples)}, self.path)
