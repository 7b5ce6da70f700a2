"""Benchmarks of training, inference and stitching: ``python -m tools.bench``, or ``make bench``.

Only ratios compare between machines. Seconds on a CPU are processor time of one thread, which other programs on the
machine disturb least.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch

from common.devices import single_device
from tools.bench import inference, memory, stitching, training
from tools.bench.clock import Timing, save, show

STEPS = 10
"""Of an epoch of the part ``training``."""


def _apart(work: Callable[..., list[Timing]], *words: Any, **settings: Any) -> list[Timing]:
    """Rows measured in a process of its own, whose peak memory is then its own."""
    with ProcessPoolExecutor(1, get_context("spawn"), torch.set_num_threads, (1,)) as pool:
        return pool.submit(work, *words, **settings).result()


def _training(data: Path, options: argparse.Namespace) -> list[Timing]:
    numbers = {"data": data, "steps": STEPS, "repeats": options.repeats}
    named = [(name, size) for size in options.size for name in training.BUNDLES]
    rows = [row for name, size in named for row in _apart(training.steps_of, name, size, **numbers)]
    if single_device().type == "cpu":
        return rows
    return rows + _apart(training.steps_of, "mr2ct_pix2pix", "published", **numbers, batch_size=64)


def _inference(data: Path, options: argparse.Namespace) -> list[Timing]:
    return [row for name in inference.BUNDLES for row in _apart(inference.end_to_end, name, data, options.repeats)]


def _memory(data: Path, options: argparse.Namespace) -> list[Timing]:
    shapes = [options.memory_shape] if options.memory_shape else memory.SHAPES
    return memory.rows(data, shapes, options.memory_bundles or inference.BUNDLES)


PARTS: dict[str, Callable[[Path, argparse.Namespace], list[Timing]]] = {
    "training": _training,
    "options": lambda data, options: training.options_of(data, options.repeats),
    "inference": _inference,
    "stitching": lambda data, options: stitching.rows(options.repeats),
    "levels": lambda data, options: [stitching.levels(options.memory_shape or stitching.LEVELS_SHAPE, options.repeats)],
    "memory": _memory,
}


def main() -> None:
    """Print a table for each part."""
    parser = argparse.ArgumentParser(prog="python -m tools.bench", description=__doc__)
    parser.add_argument("parts", nargs="*", help=f"some of {', '.join(PARTS)} (default: all)")
    parser.add_argument(
        "--size", choices=training.SIZES, nargs="+", help="sizes (default: demo on a CPU, both on an accelerator)"
    )
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--memory-shape", nargs=3, type=int, help="volume shape of the parts memory and levels")
    parser.add_argument("--memory-bundles", nargs="+", choices=inference.BUNDLES, help="bundles of the memory part")
    parser.add_argument("--json", type=Path, help="JSON file for the rows")
    options = parser.parse_args()
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"no part {', '.join(sorted(unknown))}: choose from {', '.join(PARTS)}")
    options.size = options.size or (["demo"] if single_device().type == "cpu" else list(training.SIZES))
    torch.set_num_threads(1)
    tables: dict[str, list[Timing]] = {}
    with tempfile.TemporaryDirectory() as data:
        for part in options.parts or PARTS:
            tables[part] = PARTS[part](Path(data), options)
            show(part, tables[part])
    if options.json:
        save(options.json, tables)


if __name__ == "__main__":
    main()
