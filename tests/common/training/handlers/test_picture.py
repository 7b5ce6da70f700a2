"""The picture of the first validation case, by its grey values."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from monai.engines import SupervisedEvaluator
from PIL import Image
from torch.utils.data import DataLoader
from toy_networks import Scale
from toy_training import CPU, SGD, Toy, loader, scalars

from common.training import SynthesisTrainer
from common.training.handlers.picture import write_picture


def picture(path: Path, image: torch.Tensor, label: torch.Tensor) -> np.ndarray:
    """Of a network that halves its input."""
    method = Toy(Scale(0.5), Scale(1.0), l1=1)
    engine = SynthesisTrainer(CPU, 1, loader(scalars((1, 3))), method, SGD)
    data = DataLoader([{"image": image, "label": label}])  # type: ignore[arg-type]
    validator = SupervisedEvaluator(CPU, data, method.deployed)
    method.train()
    write_picture(path, engine, validator)
    assert method.deployed.training
    return np.asarray(Image.open(path))


def test_source_output_and_target_lie_side_by_side_with_the_front_up(tmp_path: Path) -> None:
    """Of three axial slices the middle one; -1, -0.5, 0, 0.5 and 1 are 0, 64, 128, 191 and 255, half to even."""
    source = torch.full((1, 2, 2, 3), 0.3)
    source[0, :, :, 1] = torch.tensor([[-1.0, 1.0], [0.0, 4.0]])  # first axis left to right, second back to front
    found = picture(tmp_path / "a" / "picture.png", source, torch.zeros(1, 2, 2, 3))
    assert found.tolist() == [[255, 255, 191, 255, 128, 128], [0, 128, 64, 128, 128, 128]]


def test_a_source_of_another_shape_is_left_out(tmp_path: Path) -> None:
    found = picture(tmp_path / "picture.png", torch.full((1, 2, 2), 2.0), torch.zeros(1, 3, 3))
    assert found.tolist() == [[255, 255, 255, 255], [255, 255, 255, 255]]  # source and output; the target is larger
