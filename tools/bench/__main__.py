"""Benchmarks of training, inference and stitching: ``python -m tools.bench``, or ``make bench``.

Only ratios compare between machines. Seconds on a CPU are processor time of one thread, which other programs on the
machine disturb least.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

import torch

from common.devices import single_device
from tools.bench import growth, inference, profile, stitching, training
from tools.bench.clock import Row, save, show
from tools.repository import ROOT

PARTS = ("training", "profile", "inference", "stitching", "growth", "memory")
MODES = ("faithful", "fast")


def _apart(*words: str) -> list[Row]:
    """Rows of a part measured in a process of its own, whose peak memory is then its own."""
    command = [sys.executable, "-W", "ignore", "-m", "tools.bench", "--apart", *words]
    done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    return [Row(**row) for row in json.loads(done.stdout.splitlines()[-1])]


def _run_apart(words: list[str], options: argparse.Namespace) -> list[Row]:
    kind, data, name, *more = words
    if kind == "training":
        settings = {"batch_size": int(more[1])} if len(more) > 1 else {}
        return training.steps_of(name, more[0], Path(data), options.steps, options.repeats, **settings)
    if kind == "profile":
        return profile.rows(name, more[0], Path(data), options.repeats)
    if kind == "inference":
        return inference.end_to_end(name, Path(data), options.repeats)
    return [stitching.peak(name, [int(side) for side in more])]


def main() -> None:
    """Print a table for each part."""
    parser = argparse.ArgumentParser(prog="python -m tools.bench", description=__doc__)
    parser.add_argument("parts", nargs="*", help=f"of {', '.join(PARTS)}; all when none is named")
    parser.add_argument("--size", choices=training.SIZES, nargs="+", help="demo on a CPU, both on an accelerator")
    parser.add_argument("--steps", type=int, default=10, help="of an epoch of the training part")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--side", type=int, default=64, help="of the volume stitched")
    parser.add_argument("--stride", type=int, default=16, help="between its patches; published: 8")
    parser.add_argument("--memory-shape", nargs=3, default=["512", "512", "400"])
    parser.add_argument("--json", type=Path, help="write the rows there too")
    parser.add_argument("--apart", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.apart:
        print(json.dumps([asdict(row) for row in _run_apart(options.apart, options)]))
        return
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"parts: are of {', '.join(PARTS)}, but got {', '.join(sorted(unknown))}")
    tables: dict[str, list[Row]] = {}
    with tempfile.TemporaryDirectory() as data:
        for part in options.parts or PARTS:
            tables[part] = _rows(part, data, options)
            show(part, tables[part])
    if options.json:
        save(options.json, {**tables})


def _rows(part: str, data: str, options: argparse.Namespace) -> list[Row]:
    on_cpu = single_device().type == "cpu"
    sizes = options.size or (["demo"] if on_cpu else list(training.SIZES))
    if part == "profile":
        return [row for name in training.BUNDLES for row in _apart("profile", data, name, sizes[-1])]
    if part == "training":
        named = [(name, size) for size in sizes for name in training.BUNDLES]
        numbers = ["--steps", str(options.steps), "--repeats", str(options.repeats)]
        own = [row for name, size in named for row in _apart("training", data, name, size, *numbers)]
        return own if on_cpu else own + _apart("training", data, "mr2ct_pix2pix", "published", "64", *numbers)
    if part == "inference":
        return [row for name in inference.BUNDLES for row in _apart("inference", data, name)]
    if part == "stitching":
        return stitching.rows(options.side, options.stride, options.repeats)
    if part == "growth":
        return growth.rows(Path(data), options.repeats)
    return [row for mode in MODES for row in _apart("memory", data, mode, *options.memory_shape)]


if __name__ == "__main__":
    main()
