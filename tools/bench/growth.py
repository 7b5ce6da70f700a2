"""Scaling exponents: seconds over batch size and volume, 1 being proportional."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import torch

from common.devices import single_device
from common.inferers import PatchStitchingInferer, PlaneInferer
from tools.bench.clock import Row, alternate
from tools.bench.stitching import generator
from tools.bench.training import trainer_of

BATCHES = (1, 2, 4, 8)
SIDES = (48, 64, 96)


def exponent(amounts: Sequence[float], times: Sequence[float]) -> float:
    """Slope of log seconds over log amount, by least squares."""
    x, y = ([math.log(value) for value in values] for values in (amounts, times))
    return statistics.linear_regression(x, y).slope


def _row(case: str, amounts: Sequence[int], works: Sequence[Callable[[], object]], repeats: int) -> Row:
    for work in works:
        work()
    times, _ = alternate(works, repeats)
    measured: Mapping[int, float] = dict(zip(amounts, times, strict=True))
    note = ", ".join(f"{amount}: {took:.3g} s" for amount, took in measured.items())
    return Row(case, None, times[-1], f"exponent {exponent(amounts, times):.2f} ({note})")


def rows(data: Path, repeats: int) -> list[Row]:
    """A training step over the batch, and both kinds of stitching over the volume's voxels."""
    trainer = trainer_of("mr2ct_pix2pix", "demo", data, steps=1)
    one = trainer._to_device(next(iter(trainer.data_loader)))  # type: ignore[call-overload]
    batches = [{name: value[:1].repeat(count, 1, 1, 1) for name, value in one.items()} for count in BATCHES]
    device = single_device()
    network = generator(torch.nn.Conv3d, narrower=8).to(device)
    volumes = [torch.rand(1, 1, side, side, side, device=device) for side in SIDES]
    voxels = [side**3 for side in SIDES]
    patches = PatchStitchingInferer(mode="faithful", stride=16, progress=False)
    slices = PlaneInferer(plane="axial", multiple_of=2**5)
    flat = trainer.method.deployed.eval()
    with torch.no_grad():
        inference = [
            _row("patches over voxels", voxels, [partial(patches, v, network) for v in volumes], repeats),
            _row("slices over voxels", voxels, [partial(slices, v, flat) for v in volumes], repeats),
        ]
    steps = [partial(trainer.step, batch) for batch in batches]
    return [_row("mr2ct_pix2pix, demo: a step over the batch", BATCHES, steps, repeats), *inference]
