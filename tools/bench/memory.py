"""Peak memory of an inference, from file to file, of large volumes with narrow networks."""

from __future__ import annotations

import gzip
import math
import os
import re
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from subprocess import STDOUT, Popen
from typing import Any, NamedTuple

import nibabel as nib
import numpy as np
import torch
from torch import nn

from common.config import read_config
from common.raw_settings import settings_of
from common.weights import info
from tools.bench.clock import Row
from tools.repository import ROOT, config_path, own_settings

SHAPES = ((512, 512, 300), (512, 512, 800))
WIDTH = 2
LIMIT_GB = 4.0
"""Of a bundle with one source."""
BESIDE_SOURCES_GB = 3.0
"""Of one with several, besides the bytes of their volumes in memory."""
MAPS = {"mtr": 45.0, "fa": 0.9, "rd": 2.0, "ad": 3.0}
"""Largest values of sources that are quantities; those of others are whole numbers up to 900."""
STEP = 0.001


def limit_gb(shape: Sequence[int], sources: int) -> float:
    """The limit of a case in GB."""
    return LIMIT_GB if sources == 1 else BESIDE_SOURCES_GB + sources * 4 * math.prod(shape) / 1e9


def write_source(path: Path, shape: Sequence[int], highest: float, step: float = 1.0, air: float = 0.0) -> None:
    """Write a ball in air as int16 of one step, plane by plane; values vary inside."""
    x, y = np.ogrid[-1 : 1 : shape[0] * 1j, -1 : 1 : shape[1] * 1j]  # type: ignore[misc]
    grain = np.random.default_rng(0).random((shape[0], shape[1]))
    header = nib.Nifti1Header()
    header.set_data_dtype(np.int16)
    header.set_data_shape(shape)
    header.set_sform(np.diag([-1.0, -1.0, 1.0, 1.0]), 1)
    header["magic"], header["vox_offset"], header["scl_slope"], header["scl_inter"] = b"n+1", 352, step, 0
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(header.binaryblock + bytes(4))
        for z in np.linspace(-1, 1, shape[2]):
            values = highest * (0.3 + 0.4 * grain + 0.3 * np.abs(np.sin(7 * x + 5 * y + 9 * z)))
            plane = np.where(x**2 + y**2 + z**2 < 0.8, values, air)
            file.write(np.round(plane / step).astype(np.int16).tobytes(order="F"))


def sources_of(bundle: str) -> list[str]:
    """Names of the sources of a bundle."""
    return str(own_settings(bundle, "inference")["source"]).split(",")


def write_weights(bundle: str, path: Path, **settings: Any) -> None:
    """Write random weights of a narrow network with their settings."""
    parser = read_config(config_path(bundle, "inference"), width=WIDTH, **settings)
    network: Any = parser.get_parsed_content("network_def")
    torch.manual_seed(0)
    for weight in (each for each in network.parameters() if each.ndim > 1):
        nn.init.kaiming_normal_(weight)  # initial ones are so small that a narrow network gives one value everywhere
    info.save(network.state_dict(), path, info.described(settings_of(parser), bundle))


class Use(NamedTuple):
    """What a command needed, by the operating system: exit code, peak resident memory in GB, processor seconds."""

    code: int
    peak: float
    seconds: float


def use_of(words: Sequence[str], log: Path) -> Use:
    """Run Python with these words, on one thread, and say what it needed."""
    paths = [str(ROOT), *(str(path) for path in ROOT.glob("bundles/*/"))]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"}
    with log.open("w") as output:
        process = Popen([sys.executable, *words], env=environment, stdout=output, stderr=STDOUT)
        _, status, usage = os.wait4(process.pid, 0)
    return Use(os.waitstatus_to_exitcode(status), usage.ru_maxrss * 1024 / 1e9, usage.ru_utime + usage.ru_stime)


def row(bundle: str, shape: Sequence[int], data: Path, **settings: Any) -> Row:
    """Peak memory of the inference of one case in a folder of its own, and what the command said of memory."""
    sources = sources_of(bundle)
    with tempfile.TemporaryDirectory(dir=data) as folder:
        case, weights, log = Path(folder, "data", "case"), Path(folder, "model.pt"), Path(folder, "log")
        case.mkdir(parents=True)
        for name in sources:
            is_map, is_ct = name in MAPS, name.endswith("ct")
            write_source(
                case / f"{name}.nii.gz",
                shape,
                MAPS.get(name, 900.0),
                STEP if is_map else 1.0,
                -1000.0 if is_ct else 0.0,
            )
        write_weights(bundle, weights)
        limit = limit_gb(shape, len(sources))
        options = {
            "config_file": config_path(bundle, "inference"),
            "dataset_dir": case.parent,
            "weights": weights,
            "predictions_dir": Path(folder, "out"),
            "max_memory_gb": round(limit, 3),
            **settings,
        }
        words = [word for key, value in options.items() for word in (f"--{key}", str(value))]
        used = use_of(["-m", "monai.bundle", "run", *words], log)
        told = re.findall(r"needs [\d.]+ GB of memory[^;]*|memory needed: [^;]*", log.read_text())
    size = " x ".join(map(str, shape))
    note = f"peak {used.peak:.2f} GB of {limit:.2f}; {told[-1] if told else 'nothing said'}; exit {used.code}"
    return Row(f"{bundle}, {size}", None, None, note)


def rows(data: Path, shapes: Sequence[Sequence[int]], bundles: Sequence[str]) -> list[Row]:
    """A row for each bundle and shape."""
    return [row(bundle, shape, data) for shape in shapes for bundle in bundles]
