"""Metrics of one name by several libraries, on one pair: the numbers of docs/reference/same-name.md.

    pip install torchmetrics==1.9.0 piq==0.8.0 medpy==0.5.2 surface-distance==0.1
    python -m tools.checks.same_name

The pair is a simulated CT of a head in 4 mm and the same blurred, with noise of 30 HU; surfaces are those of its bone,
above 700 HU; KID is that of 100 features of 64 normal numbers each and of those of mean .3.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from common import metrics
from common.metrics import CT_RANGE
from common.metrics.kid import kid
from common.metrics.surfaces import hd95
from common.simulation.mr_ct_pairs import write_mr2ct
from medical_image_synthesis.volumes import as_volume

SPACING, NOISE_HU, BONE_HU, SUBSET = 4.0, 30.0, 700.0, 20
WIDTH = CT_RANGE[1] - CT_RANGE[0]
Rows = Iterator[tuple[str, Callable[[], Any]]]
Pair = tuple[NDArray[Any], NDArray[Any], NDArray[Any]]
"""Prediction, truth and mask of the head (X, Y, Z)."""


def drawn() -> Pair:
    """The pair, always the same."""
    with tempfile.TemporaryDirectory() as folder:
        write_mr2ct(Path(folder) / "heads", cases=1, spacing=SPACING, seed=0)
        (case,) = (Path(folder) / "heads").glob("*/ct.nii.gz")
        truth, mask = (as_volume(case.with_name(f"{name}.nii.gz")).array.astype(float) for name in ("ct", "mask"))
    pred = gaussian_filter(truth, 0.7) + np.random.default_rng(0).normal(0, NOISE_HU, truth.shape)
    return np.clip(pred, *CT_RANGE), np.clip(truth, *CT_RANGE), mask > 0


def similarities(pair: Pair) -> Rows:
    """SSIM of each library over the whole volume, at the width of the range; ours inside the mask."""
    import piq
    from ignite.metrics import SSIM
    from monai.metrics import SSIMMetric
    from skimage.metrics import structural_similarity
    from torchmetrics.functional.image import structural_similarity_index_measure

    pred, truth, mask = pair
    p, t = (torch.from_numpy(each - CT_RANGE[0])[None, None] for each in (pred, truth))
    slices = [(each / WIDTH)[0].movedim(-1, 0).float() for each in (p, t)]

    (of_ignite := SSIM(WIDTH, ndims=3)).update((p, t))
    yield "ours, mask", lambda: metrics.ssim(pred, truth, mask, CT_RANGE)
    yield "ours, whole volume", lambda: metrics.ssim(pred, truth, np.ones_like(mask), CT_RANGE)
    yield "scikit-image", lambda: structural_similarity(*(v - CT_RANGE[0] for v in (pred, truth)), data_range=WIDTH)
    yield "scikit-image, HU not shifted to 0", lambda: structural_similarity(pred, truth, data_range=WIDTH)
    yield "MONAI", lambda: SSIMMetric(3, WIDTH)(p, t)
    yield "torchmetrics", lambda: structural_similarity_index_measure(p, t, data_range=WIDTH)
    yield "ignite", of_ignite.compute
    yield "piq, slices", lambda: piq.ssim(*slices, data_range=1.0)


def peak_ratios(pair: Pair) -> Rows:
    """PSNR with each library's own idea of the range."""
    from monai.metrics import PSNRMetric
    from skimage.metrics import peak_signal_noise_ratio
    from torchmetrics.functional.image import peak_signal_noise_ratio as of_torchmetrics

    pred, truth, mask = pair
    p, t = (torch.from_numpy(each)[None, None] for each in (pred, truth))
    yield "ours, mask", lambda: metrics.psnr(pred, truth, mask, CT_RANGE)
    yield "psnr_nie, mask", lambda: metrics.psnr_nie(pred, truth, mask)
    yield "scikit-image, width", lambda: peak_signal_noise_ratio(truth, pred, data_range=WIDTH)
    yield "torchmetrics, data_range=(-1024, 3000)", lambda: of_torchmetrics(p, t, data_range=CT_RANGE)
    yield "MONAI, max_val=truth.max()", lambda: PSNRMetric(float(truth.max()))(p, t)


def surfaces(pair: Pair) -> Rows:
    """HD95 of bone in mm."""
    import surface_distance
    from medpy.metric.binary import hd95 as of_medpy

    bones, spacing = [each > BONE_HU for each in pair[:2]], [SPACING] * 3
    yield "ours (MONAI)", lambda: hd95(bones[0], bones[1], spacing)
    yield "MedPy", lambda: of_medpy(*bones, voxelspacing=spacing)
    distances = surface_distance.compute_surface_distances(bones[1], bones[0], spacing)
    yield "surface-distance", lambda: surface_distance.compute_robust_hausdorff(distances, 95)


def kernel_distances(_: Pair) -> Rows:
    """KID of the same features."""
    import piq
    from torchmetrics.image.kid import KernelInceptionDistance

    a, b = (torch.from_numpy(np.random.default_rng(k).normal(0.3 * k, 1, (100, 64))).float() for k in (0, 1))
    torch.manual_seed(0)
    of_torchmetrics = KernelInceptionDistance(torch.nn.Identity(), subset_size=SUBSET)
    for features, real in ((a, False), (b, True)):
        of_torchmetrics.update(features, real=real)
    yield "ours", lambda: kid(a, b)
    yield f"torchmetrics, subset_size={SUBSET}", lambda: of_torchmetrics.compute()[0]
    yield "piq", lambda: piq.KID().compute_metric(a, b)


if __name__ == "__main__":
    packages = ("scikit-image", "monai", "torchmetrics", "pytorch-ignite", "piq", "medpy", "surface-distance")
    print(*(f"{package} {version(package)}" for package in packages), sep=", ")
    for kind in (similarities, peak_ratios, surfaces, kernel_distances):
        for name, value in kind(drawn()):
            print(f"{kind.__name__:<18}{name:<42}{float(value()):.4g}", flush=True)
