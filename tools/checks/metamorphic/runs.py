"""The inference of a bundle with fixed small weights, from files to files, for the metamorphic table."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import torch
from monai.bundle import ConfigParser

from common.config import read_config
from common.raw_settings import Settings, settings_of
from tools.bench.inference import save_random_weights
from tools.repository import ROOT, config_path

SMALL = {"depth": 3, "width": 4, "neighbours": 3}
"""Settings of networks, where a bundle has them, that a CPU computes in a moment."""
Volume = tuple[np.ndarray, np.ndarray]
"""Values (X, Y, Z) and affine (4, 4)."""


def _training(bundle: str) -> ConfigParser:
    files = [str(config_path(bundle, "train"))]
    known = settings_of(read_config(files))
    return read_config(files, **{name: value for name, value in SMALL.items() if name in known})


def training_settings(bundle: str) -> Settings:
    """The raw settings of a training with a small network."""
    return settings_of(_training(bundle))


def inference_settings(bundle: str) -> Settings:
    """The raw settings of an inference."""
    return settings_of(read_config([str(config_path(bundle, "inference"))]))


def write_weights(bundle: str, path: Path) -> None:
    """Weights of a small network drawn from a seed, with their settings."""
    save_random_weights(_training(bundle), bundle, path)


def stitching(settings: Mapping[str, Any]) -> tuple[str, str]:
    """Where the settings of an inference have the component that stitches, such as ``inferer``, and its class."""
    found = _components(settings, "")
    return next((place, kind) for place, kind in found if kind in ("PlaneInferer", "PatchStitchingInferer"))


def _components(part: Mapping[str, Any], place: str) -> Iterator[tuple[str, str]]:
    if "_target_" in part:
        yield place.removeprefix("::"), str(part["_target_"]).rsplit(".", 1)[-1]
    for name, value in part.items():
        if isinstance(value, Mapping):
            yield from _components(value, f"{place}::{name}")


def infer(bundle: str, **settings: Any) -> tuple[Path, str]:
    """Infer all cases of a folder in this process on the CPU.

    Args:
        bundle: its name.
        **settings: of the inference, such as ``dataset_dir``, ``weights`` and ``predictions_dir``; float32 is stored.

    Returns:
        the folder of the predictions, and the unit of their values.
    """
    given = {"output_dtype": "float32", "device": torch.device("cpu"), **settings}
    parser = read_config([str(config_path(bundle, "inference"))], **{k: _plain(v) for k, v in given.items()})
    evaluator = parser.get_parsed_content("evaluator")
    evaluator.run()
    return Path(settings["predictions_dir"]), evaluator.exporter.unit


def infer_by_two(bundle: str, **settings: Any) -> Path:
    """The same by two processes, as torchrun starts them."""
    given = {"output_dtype": "float32", **settings}
    options = [word for name, value in given.items() for word in (f"--{name}", str(value))]
    torchrun = [sys.executable, "-W", "ignore", "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    task = ["-m", "monai.bundle", "run", "--config_file", str(config_path(bundle, "inference"))]
    env = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    subprocess.run([*torchrun, *task, *options], cwd=ROOT, env=env, check=True, capture_output=True)
    return Path(settings["predictions_dir"])


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, Path) else value


def outputs(folder: Path) -> dict[str, Path]:
    """The prediction of each case, a file or a folder."""
    found = (path for path in sorted(folder.iterdir()) if path.suffix != ".json")
    return {path.name.rpartition("_synthetic")[0]: path for path in found}


def volumes(folder: Path) -> dict[str, Volume]:
    """Values and affine of each prediction in NIfTI, by its case."""
    images: dict[str, Any] = {case: nib.load(path) for case, path in outputs(folder).items()}
    return {case: (image.get_fdata(dtype=np.float64), image.affine) for case, image in images.items()}
