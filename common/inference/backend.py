"""Backend of an inference: OpenVINO in place of PyTorch on a CPU, where it is faster and its output is the same."""

from __future__ import annotations

import importlib.metadata
import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import ConfigError
from ..runs.acceleration import AUTO, OPENVINO, TORCH, backend_of
from ..weights import checkpoints
from .measurements import Measurement, Measurements
from .openvino_networks import HINTS, Run, is_there, openvino_of

logger = logging.getLogger(__name__)
AGREEMENT = 1.0e-3
"""Largest difference between the outputs of two backends, as a fraction of the scale of the output."""
WORTH_S = 2.0
"""Seconds that OpenVINO must save, since a conversion takes one to two [measured]."""
LIKELY_SAVED = 0.4
"""Share of PyTorch's seconds that it is taken to save before it was measured."""
NEVER = Measurement(math.inf, math.inf, 0.0)
"""Of a network that cannot be converted."""


class VolumeRun:
    """A network during the inference of one volume.

    Args:
        number: which of the stages of a cascade it is.
        network: whose forward is replaced meanwhile.
        voxels: of the volume.
    """

    def __init__(self, number: int, network: nn.Module, voxels: int) -> None:
        self.number = number
        self.network = network
        self.voxels = voxels
        self.torch: Callable[..., Any] = network.forward
        self.layout = "" if all(each.is_contiguous() for each in network.parameters()) else ", channels last"
        self.waiting: set[str] = set()

    def converted(self, x: Tensor, precision: str) -> Run:
        """The network in OpenVINO; its own forward is back meanwhile."""
        replaced = self.network.forward
        del self.network.forward
        try:
            return openvino_of(self.network, x, precision)
        finally:
            self.network.forward = replaced


class Backend:
    """Lets networks run on OpenVINO in place of PyTorch while a volume is inferred.

    ``auto`` compares both on one window of each size: OpenVINO is used where it is faster and its output differs by no
    more than :data:`AGREEMENT`. The measurement is remembered next to the hash of the weights. Volumes for which it
    would save less than a conversion takes are left to PyTorch. ``openvino`` is used wherever the outputs agree.

    Args:
        acceleration: the settings; ``backend`` is auto, torch or openvino.
        device: of the network.
        precision: ``bf16`` may differ by more; the difference is in the log. fp16 stays in PyTorch.
        weights: file of the network's weights.

    Attributes:
        used: the backends since :meth:`names` was called last.

    Raises:
        ConfigError: for another name, or OpenVINO that is not installed.
    """

    def __init__(
        self,
        acceleration: Mapping[str, Any] | None,
        device: torch.device,
        precision: str,
        weights: Path,
    ) -> None:
        self.asked = backend_of(acceleration)
        if self.asked == OPENVINO and not is_there():
            remedy = 'pip install "medical-image-synthesis-bundles[openvino]", or omit it'
            raise ConfigError("--acceleration::backend is openvino, which is not installed", remedy)
        obstacle = "it is for a CPU" if device.type != "cpu" else "" if precision in HINTS else f"it has no {precision}"
        if (acceleration or {}).get("compile") is True:
            obstacle = "acceleration::compile is on"
        if self.asked == OPENVINO and obstacle:
            logger.warning(f"--acceleration::backend openvino is off: {obstacle}")
        self.is_on = self.asked != TORCH and not obstacle and is_there()
        self.precision = precision
        self.weights = weights
        self.memory = Measurements()
        self.used: set[str] = set()
        self._runs: dict[tuple[str, int], Run | None] = {}
        self._choices: dict[str, bool] = {}
        self._not_saved_s = 0.0
        self._logged: set[str] = set()

    def names(self) -> str:
        """The backends of what was inferred since the last call, such as ``openvino``."""
        used, self.used = self.used or {TORCH}, set()
        return ", ".join(sorted(used))

    @contextmanager
    def running(self, network: Any, voxels: int) -> Iterator[None]:
        """Let a network, or the stages of a cascade, run on the backend that is chosen for each of its inputs."""
        parts: list[nn.Module] = list(getattr(network, "stages", [network])) if self.is_on else []
        parts = [part for part in parts if isinstance(part, nn.Module) and not _is_random(part)]
        for number, part in enumerate(parts):
            part.forward = partial(self._run, VolumeRun(number, part, voxels))
        try:
            yield
        finally:
            for part in parts:
                del part.forward

    def _run(self, volume: VolumeRun, *inputs: Any, **more: Any) -> Any:
        if len(inputs) != 1 or more or not isinstance(inputs[0], Tensor) or not inputs[0].is_floating_point():
            self.used.add(TORCH)
            return volume.torch(*inputs, **more)
        x = inputs[0].detach().as_subclass(Tensor)
        key = self._key(volume, x)
        is_flat = bool(x.amin() == x.amax())  # air, on which backends cannot be compared
        if key not in self._choices and key not in volume.waiting and not is_flat:
            return self._first(volume, key, x)
        run = self._runs.get((self._hash(), volume.number)) if self._choices.get(key) else None
        self.used.add(OPENVINO if run else TORCH)
        return run(x.float()) if run else volume.torch(x)

    def _first(self, volume: VolumeRun, key: str, x: Tensor) -> Tensor:
        """The output for the first window of its size in a run, which decides on the backend of the others."""
        measured = self.memory.read().get(key)
        expected, torch_s = None, 0.0
        if measured is None:
            expected, torch_s = self._timed(volume.torch, x)
        else:
            torch_s = measured.torch_s * x.numel()
        of_volume_s = torch_s * volume.voxels * x.shape[1] / x.numel()
        share = LIKELY_SAVED if measured is None else 1 - measured.ratio
        if self.asked == AUTO and share > 0 and self._not_saved_s + share * of_volume_s < WORTH_S:
            self._not_saved_s += share * of_volume_s
            volume.waiting.add(key)
            run = None
        elif measured is None:
            assert expected is not None
            run, output, measured = self._compared(volume, x, expected, torch_s)
            self.memory.add(key, measured)
            self._choices[key] = run is not None
            expected = output if run else expected
        else:
            run, fault = self._converted(volume, x) if self._accepts(measured) else (None, "")
            self._choices[key] = run is not None
            self._log(run, NEVER if fault else measured, x, fault or ", as measured earlier")
        self.used.add(OPENVINO if run else TORCH)
        if expected is not None:
            return expected
        return run(x.float()) if run else volume.torch(x)

    def _compared(
        self, volume: VolumeRun, x: Tensor, expected: Tensor, torch_s: float
    ) -> tuple[Run | None, Tensor, Measurement]:
        """OpenVINO where it is to be used, its output, and what was measured."""
        run, fault = self._converted(volume, x)
        if run is None:
            measured = NEVER._replace(torch_s=torch_s / x.numel())
            self._log(None, measured, x, fault)
            return None, expected, measured
        output, openvino_s = self._timed(run, x.float())
        if self.precision != "fp32":
            with torch.autocast("cpu", enabled=False):
                expected = volume.torch(x.float())
        measured = Measurement(openvino_s / torch_s, _difference(output, expected), torch_s / x.numel())
        run = run if self._accepts(measured) else None
        self._log(run, measured, x)
        return run, output, measured

    def _accepts(self, measured: Measurement) -> bool:
        agrees = measured.difference <= AGREEMENT or (self.precision != "fp32" and math.isfinite(measured.difference))
        return agrees and (measured.ratio < 1 or self.asked == OPENVINO)

    def _converted(self, volume: VolumeRun, x: Tensor) -> tuple[Run | None, str]:
        key, fault = (self._hash(), volume.number), ""
        if key not in self._runs:
            try:
                self._runs[key] = volume.converted(x.float(), self.precision)
            except Exception as error:  # an operation that OpenVINO lacks, an old processor: PyTorch computes it
                fault = f" ({type(error).__name__}: {' '.join(str(error).split())[:120]})"
                self._runs[key] = None
        return self._runs[key], fault

    def _timed(self, run: Callable[..., Any], x: Tensor) -> tuple[Tensor, float]:
        start = time.perf_counter()
        output: Tensor = run(x)
        return output, time.perf_counter() - start

    def _log(self, run: Run | None, measured: Measurement, x: Tensor, more: str = "") -> None:
        """One line for each backend of a run."""
        name, size = OPENVINO if run else TORCH, " x ".join(map(str, x.shape[2:]))
        why = f"{1 / measured.ratio:.1f} times as fast as torch" if run else "openvino is not faster"
        if math.isinf(measured.ratio):
            why = "openvino cannot convert the network"
        elif run is None and measured.ratio < 1:
            why = f"the output of openvino differs by {measured.difference:.1e} of its scale"
        elif run:
            of_fp32 = " from fp32" if self.precision != "fp32" else ""
            why += f", largest difference{of_fp32} {measured.difference:.1e} of the scale"
        if name not in self._logged:
            self._logged.add(name)
            report = logger.warning if self.asked == OPENVINO and run is None else logger.info
            report(f"backend {name}: {why} on a window of {size}{more}")

    def _hash(self) -> str:
        return checkpoints.sha256(self.weights)

    def _key(self, volume: VolumeRun, x: Tensor) -> str:
        """What a measurement holds for."""
        versions = f"openvino {importlib.metadata.version('openvino')}, torch {torch.__version__}"
        where = f"{torch.backends.cpu.get_cpu_capability()}, {torch.get_num_threads()} threads"
        size = "x".join(map(str, x.shape[1:]))
        return (
            f"{self._hash()[:16]}, part {volume.number}{volume.layout}, {size}, {self.precision}, {versions}, {where}"
        )


def _is_random(network: nn.Module) -> bool:
    """Whether a network, or a layer of it, trains, as dropout that is sampled does."""
    return any(part.training for part in network.modules())


def _difference(output: Tensor, expected: Tensor) -> float:
    """The largest difference as a fraction of the scale: the largest magnitude or the range, if that is larger."""
    exact = expected.float()
    scale = max(float(exact.abs().max()), float(exact.max() - exact.min()))
    if output.shape != exact.shape or not math.isfinite(scale):
        return math.inf
    largest = float((output - exact).abs().max())
    return largest / scale if scale else (math.inf if largest else 0.0)
