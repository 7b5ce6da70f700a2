"""Peak memory of an inference, from file to file, of large volumes with narrow networks."""

from __future__ import annotations

import math
import os
import re
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from subprocess import STDOUT, Popen

from common.config import read_config
from tools.bench.clock import Timing
from tools.bench.inference import save_random_weights
from tools.bench.volumes import sources_of, write_source
from tools.repository import ROOT, config_path, own_settings

SHAPES = ((512, 512, 300), (512, 512, 800))
WIDTH = 2
LIMIT_GB = 2.7
"""Of a network of slices, with one source."""
BESIDE_SOURCES_GB = 3.0
"""Of a network of volumes, besides the bytes of its sources in memory: each stage of a cascade has an output, too."""
MAPS = {"mtr": 45.0, "fa": 0.9, "rd": 2.0, "ad": 3.0}
"""Largest values of sources that are quantities; those of others are whole numbers up to 900."""
STEP = 0.001
RATIOS = (0.5, 2.0)
"""Least and largest ratio of the estimate to the peak; libraries arrange narrow layers as they like."""
HEADS = ("estimate GB", "peak GB")


def limit_gb(shape: Sequence[int], bundle: str) -> float:
    """The limit of a case in GB."""
    in_slices = "plane" in own_settings(bundle, "inference")
    return LIMIT_GB if in_slices else BESIDE_SOURCES_GB + len(sources_of(bundle)) * 4 * math.prod(shape) / 1e9


def environment() -> dict[str, str]:
    """Of a Python of one thread that finds the project."""
    paths = [str(ROOT), *(str(path) for path in ROOT.glob("bundles/*/"))]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"}


def peak_of(words: Sequence[str], log: Path) -> tuple[int, float]:
    """Run Python with these words on one thread: its exit code and, by the operating system, peak memory in GB."""
    with log.open("w") as output:
        process = Popen([sys.executable, *words], env=environment(), stdout=output, stderr=STDOUT)
        _, status, usage = os.wait4(process.pid, 0)
    return os.waitstatus_to_exitcode(status), usage.ru_maxrss * 1024 / 1e9


def row(bundle: str, shape: Sequence[int], data: Path) -> Timing:
    """Estimated and peak memory of the inference of one case in a folder of its own; neither where it failed."""
    sources = sources_of(bundle)
    config, limit = config_path(bundle, "inference"), limit_gb(shape, bundle)
    with tempfile.TemporaryDirectory(dir=data) as folder:
        case, weights, log = Path(folder, "data", "case"), Path(folder, "model.pt"), Path(folder, "log")
        case.mkdir(parents=True)
        for name in sources:
            step, air = STEP if name in MAPS else 1.0, -1000.0 if name.endswith("ct") else 0.0
            write_source(case / f"{name}.nii.gz", shape, MAPS.get(name, 900.0), step, air)
        save_random_weights(read_config(config, width=WIDTH), bundle, weights)
        places = {"dataset_dir": case.parent, "weights": weights, "predictions_dir": Path(folder, "out")}
        options = {"config_file": config, **places, "max_memory_gb": round(limit, 3)}
        words = [word for key, value in options.items() for word in (f"--{key}", str(value))]
        code, peak = peak_of(["-m", "monai.bundle", "run", *words], log)
        needs = re.findall(r"([\d.]+) GB(?: of memory| with [^;]*)?; limit", log.read_text())
    name, note = f"{bundle}, {' x '.join(map(str, shape))}", f"limit {limit:.2f} GB; exit {code}"
    return Timing(name, float(needs[-1]), peak, note) if needs and not code else Timing(name, note=note)


def rows(data: Path, shapes: Sequence[Sequence[int]], bundles: Sequence[str]) -> list[Timing]:
    """A row for each bundle and shape."""
    return [row(bundle, shape, data) for shape in shapes for bundle in bundles]


def wrong(measured: Sequence[Timing]) -> list[str]:
    """The cases whose estimate is far from the peak, or that failed."""
    least, most = RATIOS
    return [each.case for each in measured if each.ratio is None or not least <= each.ratio <= most]
