"""What the stitching of 3-D patches costs, each way beside the one it replaces.

python tools/bench/stitching.py              # 125 windows of the published generator, a quarter of an hour
python tools/bench/stitching.py --stride 16  # 27 windows, ten minutes
Only ratios compare between machines. Seconds on a CPU are processor time of one thread, which other programs on the
machine disturb least.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from statistics import median

import torch
from monai.inferers import SlidingWindowInferer
from torch import Tensor, nn

from common.devices import single_device
from common.inferers import PatchInferer
from common.spectral import SpectralConv3d

KERNELS = (9, 3, 3, 3, 9, 3, 3, 7, 3)
FILTERS = (32, 32, 32, 64, 64, 64, 32, 32)
PUBLISHED = (128, 224, 224)
Row = tuple[str, str, str, str, str]


def generator(convolution: type[nn.Conv3d], narrower: int = 1) -> nn.Sequential:
    """The generator of Nie et al. 2018, optionally with fewer filters, with random weights in eval mode."""
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    channels = 1
    for number, (kernel, filters) in enumerate(zip(KERNELS, (*FILTERS, narrower), strict=True)):
        dilation, produced = 2 if 0 < number < 8 else 1, filters // narrower
        layers.append(convolution(channels, produced, kernel, dilation=dilation, padding=kernel // 2 * dilation))
        if number < 8:
            layers += [nn.BatchNorm3d(produced), nn.LeakyReLU(0.2)]
        channels = produced
    return nn.Sequential(*layers).eval()


def seconds(work: Callable[[], Tensor]) -> tuple[float, Tensor]:
    """Time of one call, and what it returned."""
    on_cpu = single_device().type == "cpu"
    clock = time.process_time if on_cpu else time.perf_counter
    start = clock()
    result = work()
    if not on_cpu:
        torch.accelerator.synchronize()
    return clock() - start, result


def compare(name: str, old: Callable[[], Tensor], new: Callable[[], Tensor], repeats: int, same: bool = True) -> Row:
    """Medians of alternating calls, their ratio and the largest difference relative to the largest value."""
    times: list[tuple[float, float]] = []
    for _ in range(repeats):
        (before, expected), (after, result) = seconds(old), seconds(new)
        times.append((before, after))
    before, after = (median(column) for column in zip(*times, strict=True))
    difference = f"{float((result - expected).abs().max() / expected.abs().max()):.1e}" if same else ""
    return name, f"{before:.3f}", f"{after:.3f}", f"{before / after:.1f}", difference


def layers(repeats: int) -> list[Row]:
    """The two layers with nine tenths of the arithmetic, and one patch through the whole generator."""
    rows, device = [], single_device()
    for channels, kernel in ((64, 9), (32, 7)):
        new = SpectralConv3d(channels, channels, kernel, dilation=2, padding=kernel - 1).eval().to(device)
        old = nn.Conv3d(channels, channels, kernel, dilation=2, padding=kernel - 1).eval().to(device)
        old.load_state_dict(new.state_dict())
        rows.append(_networks(f"{channels} -> {channels}, {kernel}^3, on 32^3", old, new, channels, repeats))
    old_network, new_network = generator(nn.Conv3d).to(device), generator(SpectralConv3d).to(device)
    return [*rows, _networks("generator on 32^3", old_network, new_network, 1, repeats)]


def _networks(name: str, old: nn.Module, new: nn.Module, channels: int, repeats: int) -> Row:
    patch = torch.randn(1, channels, 32, 32, 32, device=single_device())
    old(patch), new(patch)  # libraries load, weights are transformed
    return compare(name, lambda: old(patch), lambda: new(patch), repeats)


def stitching(shape: tuple[int, int, int], stride: int, batch_size: int) -> list[Row]:
    """MONAI one patch at a time against mode faithful, and mode faithful against mode fast."""
    volume = torch.randn(1, 1, *shape, device=single_device())
    old, new = generator(nn.Conv3d).to(volume.device), generator(SpectralConv3d).to(volume.device)
    monai = SlidingWindowInferer((32, 32, 32), 1, 1 - stride / 32)
    faithful = PatchInferer(stride=stride, batch_size=batch_size, progress=False)
    fast = PatchInferer(mode="fast", progress=False)
    name = f"{'x'.join(map(str, shape))}, {len(faithful.windows(shape))} windows"
    first = compare(f"{name}: MONAI, faithful", lambda: monai(volume, old), lambda: faithful(volume, new), 1)  # type: ignore
    name = f"{name}: faithful, fast"
    return [first, compare(name, lambda: faithful(volume, new), lambda: fast(volume, new), 1, same=False)]


def memory(shape: list[int]) -> list[Row]:
    """Peak memory of a process that does nothing else than one inference with an eighth of the filters."""
    rows: list[Row] = []
    for mode in ("faithful", "fast"):
        command = [sys.executable, __file__, "--child", mode, "--memory-shape", *map(str, shape)]
        took, peak = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
        rows.append((f"{'x'.join(map(str, shape))}, narrow, {mode}", "", took, "", f"{float(peak):.2f} GiB"))
    return rows


def child(mode: str, shape: list[int]) -> None:
    """One inference; prints its seconds and the peak memory of the process in GiB."""
    inferer = PatchInferer(mode=mode, stride=32, max_voxels=2**24, progress=False)
    volume = torch.rand(1, 1, *shape)
    took, _ = seconds(lambda: inferer(volume, generator(SpectralConv3d, narrower=8)))
    print(f"{took:.1f}", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20)


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", type=int, default=64, help="of the volume stitched")
    parser.add_argument("--stride", type=int, default=8, help="between its patches")
    parser.add_argument("--repeats", type=int, default=5, help="of the layers and the patch")
    parser.add_argument("--memory-shape", type=int, nargs=3, default=[512, 512, 400])
    parser.add_argument("--child", choices=("faithful", "fast"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.child:
        child(options.child, options.memory_shape)
        return
    rows: list[Row] = [("case", "before s", "after s", "ratio", "difference / memory")]
    # first, since on Linux a process inherits the peak of the one that started it
    rows += memory(options.memory_shape)
    with torch.no_grad():
        rows += layers(options.repeats)
        rows += stitching((options.side,) * 3, options.stride, batch_size=4)
        if single_device().type != "cpu":
            rows += stitching(PUBLISHED, 8, batch_size=65)
    for name, *cells in rows:
        print(f"{name:44}" + "".join(f"{cell:>12}" for cell in cells[:-1]) + f"{cells[-1]:>22}")


if __name__ == "__main__":
    main()
