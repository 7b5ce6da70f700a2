"""Inference time of whole cases, from file to file: reading, computing, writing."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from monai.bundle import ConfigParser
from monai.data import DataLoader
from torch import nn

from common.config import read_config
from common.inference import CaseEvaluator
from common.raw_settings import settings_of
from common.weights import info
from tools.bench.clock import Timing, peak_gib
from tools.repository import ROOT, config_path

BUNDLES = sorted(
    path.parents[1].name
    for path in ROOT.glob("bundles/*/configs/inference.yaml")
    if "CaseEvaluator" in path.read_text()
)
"""Those with a source volume."""
CASES = 4
TARGET_SCALE = (300.0, 120.0)
"""Mean and deviation of the training targets, where weights hold them."""


def save_random_weights(parser: ConfigParser, bundle: str, path: Path) -> None:
    """Weights of a configuration's network drawn from a seed, with its settings; layers keep the variance of the input.

    Initial weights are so small that a narrow network gives one value everywhere.
    """
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network: Any = parser.get_parsed_content("network_def")
        for weight in (each for each in network.parameters() if each.ndim > 2):
            nn.init.kaiming_normal_(weight, a=0.2)
    if hasattr(network, "target_scale"):
        network.target_scale.copy_(torch.tensor(TARGET_SCALE))
    info.save(network.state_dict(), path, info.described(settings_of(parser), bundle))


@contextmanager
def _timed(owner: Any, name: str, totals: dict[str, float], part: str) -> Iterator[None]:
    """Adds up the seconds that a method takes meanwhile, whichever thread calls it."""
    work = getattr(owner, name)

    def timed(*args: Any, **kwargs: Any) -> Any:
        start = time.perf_counter()
        try:
            return work(*args, **kwargs)
        finally:
            totals[part] += time.perf_counter() - start

    setattr(owner, name, timed)
    try:
        yield
    finally:
        setattr(owner, name, work)


def evaluator_of(bundle: str, data: Path, ahead: bool) -> CaseEvaluator:
    """The inference of a bundle at demo size with random weights on four phantoms; ``ahead``: reads the next case."""
    files = [str(config_path(bundle, name)) for name in ("inference", "demo")]
    folder, weights = data / f"{bundle}_inference", data / f"{bundle}.pt"
    places = {"dataset_dir": str(folder), "weights": str(weights), "predictions_dir": str(data / f"{bundle}_out")}
    parser = read_config(files, **places, **{"phantoms::cases": CASES, "overwrite": True})
    if not folder.exists():
        parser.get_parsed_content("phantoms")(folder)
        save_random_weights(parser, bundle, weights)
    evaluator: CaseEvaluator = parser.get_parsed_content("evaluator")
    if not ahead:
        loader: Any = evaluator.data_loader
        evaluator.data_loader = DataLoader(loader.dataset, batch_size=1)
    return evaluator


def _run(evaluator: CaseEvaluator) -> tuple[float, dict[str, float]]:
    """Seconds of a run over all cases, and those spent on reading, computing and writing."""
    totals = {"reading": 0.0, "computing": 0.0, "writing": 0.0}
    loader: Any = evaluator.data_loader
    with (
        _timed(loader.dataset, "transform", totals, "reading"),
        _timed(evaluator.inferer, "inferer", totals, "computing"),
        _timed(evaluator.exporter, "write", totals, "writing"),
    ):
        start = time.perf_counter()
        evaluator.run()
        return time.perf_counter() - start, totals


def _in_turn(evaluator: CaseEvaluator) -> None:
    """Let a case be written before the next is computed."""
    hand_over = evaluator._hand_over

    def wait(*case: Any) -> None:
        hand_over(*case)
        evaluator._settle()

    evaluator._hand_over = wait  # type: ignore[assignment,method-assign]


def end_to_end(bundle: str, data: Path, repeats: int) -> list[Timing]:
    """Wall seconds a case, one thing after the other and with reading and writing during the computation."""
    evaluators = [evaluator_of(bundle, data, ahead) for ahead in (False, True)]
    _in_turn(evaluators[0])
    for each in evaluators:
        _run(each)
    times = []
    for _ in range(repeats):
        before, parts = _run(evaluators[0])
        after, _ = _run(evaluators[1])
        times.append((before, after, parts))
    before, after, parts = sorted(times, key=lambda row: row[0])[len(times) // 2]
    shares = ", ".join(f"{name} {took / before:.0%}" for name, took in parts.items())
    shutil.rmtree(data / f"{bundle}_out")
    name = f"{bundle}, demo, a case of {CASES}: in turn, overlapped"
    return [Timing(name, before / CASES, after / CASES, f"in turn: {shares}; peak memory {peak_gib():.2f} GiB")]
