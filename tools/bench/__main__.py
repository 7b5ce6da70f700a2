"""Benchmarks of inference, commands, memory, peers and training: ``make bench``.

Only ratios compare between machines. Seconds on a CPU are processor time of one thread, which other programs on the
machine disturb least.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch

from tools.bench import commands, inference, memory, peers, training, training_memory
from tools.bench.clock import Timing, save, show


def _apart(work: Callable[..., list[Timing]], *words: Any) -> list[Timing]:
    """Rows measured in a process of its own, whose peak memory is then its own."""
    with ProcessPoolExecutor(1, get_context("spawn"), torch.set_num_threads, (1,)) as pool:
        return pool.submit(work, *words).result()


def _inference(data: Path, options: argparse.Namespace) -> list[Timing]:
    return [row for name in inference.BUNDLES for row in _apart(inference.end_to_end, name, data, options.repeats)]


def _memory(data: Path, options: argparse.Namespace) -> list[Timing]:
    shapes = [options.memory_shape] if options.memory_shape else memory.SHAPES
    return memory.rows(data, shapes, options.memory_bundles or inference.BUNDLES)


def _peers(data: Path, options: argparse.Namespace) -> list[Timing]:
    timed = [row for shape in peers.SHAPES for row in _apart(peers.rows, shape, options.repeats)]
    names = [row.case.partition(f"{peers.MONAI}, ")[2] for row in timed[: len(timed) // len(peers.SHAPES)]]
    return timed + [row for name in names for row in _apart(peers.alone, name, peers.SHAPES[-1])]


PARTS: dict[str, Callable[[Path, argparse.Namespace], list[Timing]]] = {
    "inference": _inference,
    "memory": _memory,
    "peers": _peers,
    "commands": lambda data, options: commands.rows(data, options.repeats, options.against, dict(options.image)),
    "training": lambda data, options: training.rows(data, options.repeats, options.against),
    "training_memory": lambda data, options: training_memory.rows(data, options.training_volumes),
}
AGAINST = ("commands", "training")
"""Parts that need another folder."""

HEADS = {"memory": memory.HEADS, "training_memory": training_memory.HEADS}
"""What the columns of a part are called, if not before and after."""


def main() -> int:
    """Print a table for each part; 1 where an estimate of memory is far from the peak."""
    parser = argparse.ArgumentParser(prog="python -m tools.bench", description=__doc__)
    parser.add_argument("parts", nargs="*", help=f"some of {', '.join(PARTS)} (default: all)")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--memory-shape", nargs=3, type=int, help="volume shape of the memory part")
    parser.add_argument("--memory-bundles", nargs="+", choices=inference.BUNDLES, help="bundles of the memory part")
    others = f"folder of an older commit with its .venv, for {', '.join(AGAINST)}"
    parser.add_argument("--against", type=Path, help=others)
    parser.add_argument(
        "--image", nargs=2, action="append", default=[], help="command and its volume, for the part commands"
    )
    parser.add_argument("--training-volumes", nargs="+", type=int, default=[40, 80], help="of the part training_memory")
    parser.add_argument("--json", type=Path, help="JSON file for the rows")
    options = parser.parse_args()
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"no part {', '.join(sorted(unknown))}: choose from {', '.join(PARTS)}")
    parts = options.parts or [part for part in PARTS if options.against or part not in AGAINST]
    if not options.against and (needing := set(parts) & set(AGAINST)):
        parser.error(f"{', '.join(needing)} compares with another folder: add --against FOLDER")
    torch.set_num_threads(1)
    tables: dict[str, list[Timing]] = {}
    with tempfile.TemporaryDirectory() as data:
        for part in parts:
            tables[part] = PARTS[part](Path(data), options)
            show(part, tables[part], *([HEADS[part]] if part in HEADS else []))
    if options.json:
        save(options.json, tables)
    if wrong := memory.wrong(tables.get("memory", [])):
        least, most = memory.RATIOS
        print(f"error: estimate over peak is not {least:g} to {most:g}: {'; '.join(wrong)}", file=sys.stderr)
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
