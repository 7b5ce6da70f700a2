"""A picture of the first validation case, by which a person follows a training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.engines import SupervisedEvaluator
from monai.networks.utils import eval_mode

from ...files import write_whole
from .. import SynthesisTrainer


def write_picture(path: Path, engine: SynthesisTrainer, validator: SupervisedEvaluator) -> None:
    """Write source, output and target of the first validation case side by side as PNG, on the scale of the network.

    [-1, 1] is black to white. Of a volume (C, X, Y, Z) it is the first channel's middle axial slice; what
    has another shape than the output, such as a latent vector, is left out.

    Args:
        path: of the file.
        engine: whose deployed network is shown.
        validator: its loader has at least one case.
    """
    from PIL import Image  # which trainings without pictures do not need

    loader: Any = validator.data_loader
    item, device = loader.dataset[0], engine.state.device
    with engine.deployed_weights(), eval_mode(validator.network), torch.compiler.set_stance("force_eager"):
        image = torch.as_tensor(item["image"])[None].to(device)
        pred = torch.as_tensor(validator.inferer(image, validator.network))[0, 0].float().cpu()
    source, target = (torch.as_tensor(item[key])[0].float() if key in item else pred[:0] for key in ("image", "label"))
    planes = [_plane(each.numpy()) for each in (source, pred, target) if each.shape == pred.shape]
    grey = np.round((np.clip(np.hstack(planes), -1, 1) + 1) * 127.5).astype(np.uint8)
    write_whole(path, lambda temporary: Image.fromarray(grey).save(temporary, format="PNG"))


def _plane(volume: np.ndarray) -> np.ndarray:
    """An image (X, Y), or the middle axial slice of a volume (X, Y, Z), with the front of the patient up."""
    plane = volume if volume.ndim == 2 else volume[:, :, volume.shape[2] // 2]
    return np.rot90(plane)
