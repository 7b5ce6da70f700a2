"""Sliding windows of other programs, with the same network, window and overlap, in turns; those installed."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Sequence
from functools import partial
from types import SimpleNamespace
from typing import Any

import torch
from monai.inferers import SlidingWindowInferer
from torch import Tensor, nn

from common.config import read_config
from common.stitching import PatchStitchingInferer
from common.weights import checkpoints
from common.weights.shipped import shipped_weights
from tools.bench.clock import Timing, alternate, peak_gib
from tools.repository import config_path

BUNDLE = "pd2t2_dcgan_acm"
SHAPES = ((64, 64, 64), (96, 96, 96))
WINDOW = (48, 48, 32)
OVERLAP = 0.5
MONAI = "MONAI SlidingWindowInferer"
Method = Callable[[Tensor], Tensor]


def network() -> nn.Module:
    """The residual U-Net of the shipped weights, with them."""
    weights = shipped_weights(config_path(BUNDLE, "inference").parents[1])
    whole: Any = read_config(config_path(BUNDLE, "inference"), weights=str(weights)).get_parsed_content("network")
    checkpoints.load_weights(whole, weights)
    stage: nn.Module = whole.stages[0]
    return stage.eval()


def methods(net: nn.Module) -> dict[str, Method]:
    """Each maps a volume (1, 1, X, Y, Z) to the network's output for it."""
    ours = PatchStitchingInferer("faithful", WINDOW, None, OVERLAP, "gaussian", batch_size=1, progress=False)
    monai = SlidingWindowInferer(WINDOW, 1, OVERLAP, "gaussian")
    found: dict[str, Method] = {
        MONAI: lambda volume: monai(volume, net),  # type: ignore[return-value,dict-item]
        "ours": lambda volume: ours(volume, net),
    }
    if importlib.util.find_spec("torchio"):
        found["TorchIO GridAggregator"] = lambda volume: _torchio(net, volume)
    if importlib.util.find_spec("nnunetv2"):
        found["nnU-Net v2 predictor"] = lambda volume: _nnunet(net, volume)
    return found


def _torchio(net: nn.Module, volume: Tensor) -> Tensor:
    tio: Any = importlib.import_module("torchio")
    subject = tio.Subject(image=tio.ScalarImage(tensor=volume[0]))
    sampler = tio.GridSampler(subject, WINDOW, tuple(int(side * OVERLAP) for side in WINDOW))
    aggregator = tio.GridAggregator(sampler, overlap_mode="hann")
    for patch in tio.SubjectsLoader(sampler, batch_size=1):
        aggregator.add_batch(net(patch["image"][tio.DATA]), patch[tio.LOCATION])
    made: Tensor = aggregator.get_output_tensor()[None]
    return made


def _nnunet(net: nn.Module, volume: Tensor) -> Tensor:
    module: Any = importlib.import_module("nnunetv2.inference.predict_from_raw_data")
    cpu = torch.device("cpu")
    predictor = module.nnUNetPredictor(OVERLAP, True, False, False, cpu, allow_tqdm=False)
    predictor.network = net
    predictor.configuration_manager = SimpleNamespace(patch_size=WINDOW)
    predictor.label_manager = SimpleNamespace(num_segmentation_heads=1)
    made: Tensor = predictor.predict_sliding_window_return_logits(volume[0])[None]
    return made.float()


def volume_of(shape: Sequence[int]) -> Tensor:
    """Noise, which costs as much as an image."""
    return torch.randn(1, 1, *shape, generator=torch.Generator().manual_seed(0))


def rows(shape: Sequence[int], repeats: int) -> list[Timing]:
    """Seconds of MONAI and of each method, and its mean difference from MONAI as a fraction of the mean magnitude."""
    with torch.no_grad():
        known, volume = methods(network()), volume_of(shape)
        for each in known.values():
            each(volume[..., :48, :48, :32])  # libraries load
        times, results = alternate([partial(each, volume) for each in known.values()], repeats)
    (monai, expected), size = (times[0], results[0]), "x".join(map(str, shape))
    voxels = volume.numel()
    return [
        Timing(
            f"{size}: {MONAI}, {name}",
            monai,
            took,
            f"{took / voxels * 1e6:.1f} us a voxel; "
            f"mean difference {float((made - expected).abs().mean() / expected.abs().mean()):.0e}",
        )
        for name, took, made in zip(known, times, results, strict=True)
    ]


def alone(name: str, shape: Sequence[int]) -> list[Timing]:
    """Peak memory of one method, in a process of its own."""
    with torch.no_grad():
        methods(network())[name](volume_of(shape))
    return [Timing(f"{'x'.join(map(str, shape))}: {name}", note=f"peak memory {peak_gib():.2f} GiB")]
