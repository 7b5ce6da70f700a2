"""Acceleration options: memory layout, compilation, CUDA graphs and fused optimisers.

None changes what a step computes. Unsupported options are skipped with a log line.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from .. import devices
from ..errors import ConfigError, choose

logger = logging.getLogger(__name__)
AUTO = "auto"
InstanceNorm = nn.InstanceNorm2d | nn.InstanceNorm3d
INSTANCE_NORMS = (nn.InstanceNorm2d, nn.InstanceNorm3d)
MEMORY_FORMATS = {4: torch.channels_last, 5: torch.channels_last_3d}
"""Channels-last formats by the number of dimensions, (B, C, H, W) and (B, C, X, Y, Z)."""


@dataclass(frozen=True)
class Acceleration:
    """The acceleration options of a run.

    Args:
        channels_last: weights and batches are stored with the channels innermost, as tensor cores read them.
        compile: networks are compiled by ``torch.compile``, which makes the first steps slow.
        cuda_graph: the whole step with its updates is recorded once and replayed; at batch size 1 a GPU would
            otherwise wait for kernel launches.
        fused: optimisers update all weights in one kernel.
    """

    channels_last: bool = False
    compile: bool = False
    cuda_graph: bool = False
    fused: bool = False

    @classmethod
    def of(
        cls,
        settings: Mapping[str, bool | str] | None,
        device: torch.device,
        optimizer: Callable[..., Optimizer] | None = None,
        precision: str = "fp32",
        accumulation_steps: int = 1,
    ) -> Acceleration:
        """The options of the settings that this run supports; a log line for each one asked for that it does not.

        Args:
            settings: by the names above; ``auto`` is on where supported on a CUDA device, for ``fused`` on any, and
                for the ``channels_last`` of an inference on a CPU too.
            device: of the run.
            optimizer: creates an optimiser; None for inference.
            precision: of the run; the gradient scaler of fp16 excludes a CUDA graph.
            accumulation_steps: of the run; a graph holds one update.

        Raises:
            ConfigError: for an unknown name, or another value than true, false and auto.
        """
        wanted = cls(**dict.fromkeys(cls.__dataclass_fields__, False))
        obstacles = _obstacles(device, optimizer, precision, accumulation_steps)
        fast_on = {"fused": (device.type,), "channels_last": ("cuda",) if optimizer else ("cuda", "cpu")}
        for name, value in (settings or {}).items():
            if name not in cls.__dataclass_fields__:
                raise ConfigError(f"--acceleration::{name} is not a setting", choose(cls.__dataclass_fields__))
            if value not in (True, False, AUTO):
                raise ConfigError(f"--acceleration::{name} is {value!r}", "give true, false or auto")
            obstacle = obstacles.get(name)
            if value is True and obstacle:
                logger.warning(f"--acceleration::{name} is off: {obstacle}")
            automatic = device.type in fast_on.get(name, ("cuda",))
            asked = automatic if value == AUTO else value
            wanted = replace(wanted, **{name: bool(asked and not obstacle)})
        if wanted.compile and (reason := _cannot_compile(device)):
            logger.warning(f"--acceleration::compile is off: {reason}")
            wanted = replace(wanted, compile=False)
        return wanted

    def optimizer(self, make: Callable[..., Optimizer], parameters: Iterable[nn.Parameter]) -> Optimizer:
        """An optimiser of these parameters, fused and capturable where those options are on."""
        options = {"fused": True} if self.fused else {}
        return make(parameters, **options, **({"capturable": True} if self.cuda_graph else {}))

    def rate_on_device(self, optimizer: Optimizer, device: torch.device) -> None:
        """Keep the learning rate on the device where steps are replayed, so that a schedule still takes effect."""
        if self.cuda_graph:
            for group in optimizer.param_groups:
                group["lr"] = torch.tensor(float(group["lr"]), device=device)

    def prepare(self, networks: Iterable[nn.Module]) -> None:
        """Set the memory format of networks and compile them; call it before optimisers take their parameters."""
        for network in networks:
            for parameter in network.parameters():
                parameter.data = self.laid_out(parameter.data)
            if self.channels_last and all(parameter.device.type == "cpu" for parameter in network.parameters()):
                for layer in network.modules():
                    if isinstance(layer, INSTANCE_NORMS) and not layer.track_running_stats:
                        layer.forward = partial(_normalised, layer)  # type: ignore[method-assign]
            if self.compile:
                network.compile()

    def laid_out(self, tensor: Tensor) -> Tensor:
        """The tensor in channels-last format where that is on."""
        layout = MEMORY_FORMATS.get(tensor.dim()) if self.channels_last else None
        return tensor if layout is None else tensor.contiguous(memory_format=layout)


def _normalised(layer: InstanceNorm, x: Tensor) -> Tensor:
    """Instance normalisation that keeps the channels-last format: PyTorch's own copies into the other one and back.

    The variance is taken about the mean, in two passes: by PyTorch's batch normalisation, which takes the format,
    outputs are 50 times as far from those in float64 as by its instance normalisation, and by this one as near. A
    training, which needs gradients, has PyTorch's own.
    """
    if torch.is_grad_enabled():
        return type(layer).forward(layer, x)
    made = torch.empty_like(x)
    for image, place in zip(x, made, strict=True):
        values = image.float().movedim(0, -1).flatten(0, -2)  # (voxels, C): a view where it is channels-last
        mean = values.mean(0)
        scale = (values - mean).square_().mean(0).add_(layer.eps).rsqrt_()
        scale = scale if layer.weight is None else scale * layer.weight
        shift = -mean * scale if layer.bias is None else layer.bias - mean * scale
        scale, shift = (each.view(-1, *[1] * (image.dim() - 1)) for each in (scale, shift))
        torch.addcmul(shift, image, scale, out=place)
    return made


def _obstacles(
    device: torch.device, optimizer: Callable[..., Optimizer] | None, precision: str, accumulation_steps: int
) -> dict[str, str]:
    """Reasons why options are not supported, by option."""
    if optimizer is None:
        return dict.fromkeys(("fused", "cuda_graph"), "it applies to training only")
    known = inspect.signature(optimizer).parameters
    reasons = {}
    if "fused" not in known:
        reasons["fused"] = "this optimiser has no fused kernel"
    if device.type != "cuda":
        reasons["cuda_graph"] = f"graphs need a CUDA device, this is {device.type}"
    elif "capturable" not in known:
        reasons["cuda_graph"] = "this optimiser cannot be captured"
    elif accumulation_steps > 1:
        reasons["cuda_graph"] = f"accumulation_steps is {accumulation_steps}"
    elif precision == "fp16":
        reasons["cuda_graph"] = "the gradient scaler of fp16 decides on the host; bf16 needs none"
    elif devices.world_size() > 1:
        reasons["cuda_graph"] = f"{devices.world_size()} processes average their gradients"
    return reasons


def _cannot_compile(device: torch.device) -> str | None:
    """The reason why ``torch.compile`` fails, found by compiling a network of one weight; None where it works."""
    trial = nn.Linear(1, 1).to(device)
    trial.compile()
    try:
        trial(torch.ones(1, 1, device=device)).sum().backward()
    except Exception as error:  # a missing compiler, an old GPU, a driver: training continues without
        lines = str(error).strip().splitlines()
        return f"torch.compile failed here ({type(error).__name__}: {lines[0] if lines else 'no message'})"
    finally:
        torch.compiler.reset()
    return None
