"""Metrics of other projects on given arrays; runs in an environment of requirements.txt.

python peer_metrics.py ARRAYS.npz ANSWERS.json [SYNTHRAD]

ARRAYS: ct_pred, ct_truth, ct_mask (Z, Y, X) in HU; mr_pred, mr_truth (slices, rows, columns); one, other (N, F).
SYNTHRAD: folder with ``image_metrics.py`` of github.com/SynthRAD2025/evaluation, commit 17cac47.
"""

import contextlib
import json
import sys
from importlib.metadata import version

import numpy as np
import torch

library = torch.library.Library("torchvision", "FRAGMENT")
for name in ("nms", "qnms"):  # which torchvision lacks beside a PyTorch of another build, and no metric needs
    with contextlib.suppress(RuntimeError):
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")


def ldct(arrays):
    """PSNR, SSIM by the window of each body part; stored values are HU + 1024."""
    from ldctbench.evaluate.utils import compute_metric

    made, real = ((arrays[name] + 1024)[:, None] for name in ("ct_pred", "ct_truth"))
    return {
        f"{metric} {exam}": float(np.mean(compute_metric(real, made, [metric], exam_type=exam)[metric]))
        for metric in ("PSNR", "SSIM")
        for exam in "CLN"
    }


def fastmri(arrays):
    from fastmri import evaluate
    from fastmri.data.subsample import RandomMaskFunc

    pair = arrays["mr_truth"], arrays["mr_pred"]
    found = {name: float(np.ravel(getattr(evaluate, name)(*pair))[0]) for name in ("nmse", "psnr", "ssim")}
    for speed, middle in ((4, 0.08), (8, 0.04)):
        name = "file1000000.h5"
        mask, _ = RandomMaskFunc([middle], [speed])((1, 640, 368, 2), seed=tuple(map(ord, name)))
        found[f"lines {speed}"] = np.flatnonzero(np.ravel(mask.numpy())).tolist()
    return found


def kid(arrays):
    from cleanfid.fid import kernel_distance
    from torch_fidelity.metric_kid import kid_features_to_metric

    one, other = arrays["one"], arrays["other"]
    whole = {"kid_subsets": 1, "kid_subset_size": len(one), "verbose": False}
    found = kid_features_to_metric(torch.from_numpy(one), torch.from_numpy(other), **whole)
    return {
        "torch-fidelity": found["kernel_inception_distance_mean"],
        "clean-fid": kernel_distance(one, other, num_subsets=1, max_subset_size=len(one)),
    }


def synthrad(arrays, folder):
    sys.path.insert(0, folder)
    from image_metrics import ImageMetrics

    return ImageMetrics().score_patient(arrays["ct_truth"], arrays["ct_pred"], arrays["ct_mask"])


if __name__ == "__main__":
    given = dict(np.load(sys.argv[1]))
    found = {"ldct-benchmark": ldct(given), "fastmri": fastmri(given), "kid": kid(given)}
    if len(sys.argv) > 3:
        found["synthrad"] = synthrad(given, sys.argv[3])
    found["versions"] = {name: version(name) for name in ("ldct-benchmark", "fastmri", "torch-fidelity", "clean-fid")}
    with open(sys.argv[2], "w") as stream:
        json.dump(found, stream)
