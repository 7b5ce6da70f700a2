"""Export of networks to TorchScript and ONNX, compared with PyTorch."""

from __future__ import annotations

import copy
import io
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any, cast

import torch
from monai.networks import convert_to_torchscript
from torch import Tensor, nn

from tools.verify.networks import SEED, Network, outputs
from tools.verify.verdicts import Fault, Found, NotApplicableError, check

ZOO = "model zoo, verify_bundle.py: verify_torchscript"
TORCHSCRIPT_TOLERANCE = 1e-5
ONNX_TOLERANCE = 1e-4
"""Largest difference, as a share of the largest value (or of 1, if that is larger)."""
SHAKE = 0.01
"""Standard deviation of what is added to every weight: layers that start at zero would hide any difference."""


def _shaken(network: Network) -> nn.Module:
    module = copy.deepcopy(network.module)
    generator = torch.Generator().manual_seed(SEED)
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.is_floating_point():
                parameter.add_(SHAKE * torch.randn(parameter.shape, generator=generator))
    return module


def _compare(name: str, made: list[Tensor], expected: list[Tensor], tolerance: float) -> Iterator[Fault | str]:
    for one, other in zip(made, expected, strict=True):
        if one.shape != other.shape:
            yield Fault(name, f"has shape {tuple(other.shape)}", tuple(one.shape), "correct the network")
            continue
        limit = tolerance * max(1.0, other.abs().max().item())
        difference = (one - other).abs().max().item()
        if not difference <= limit:
            yield Fault(name, f"differs by at most {limit:.1e}", f"{difference:.1e}", "correct network or export")
        yield f"largest difference {difference:.1e}"


@check("network.torchscript", "zoo", ZOO, "network")
def torchscript(network: Network) -> Found:
    """TorchScript, scripted or else traced, gives the same."""
    module, inputs = _shaken(network), network.inputs()
    try:
        script, how = convert_to_torchscript(module), "scripted"
    except Exception as error:  # the compiler's errors are of many types
        script = convert_to_torchscript(module, inputs=inputs, use_trace=True)
        how = f"traced, since scripting says: {' '.join(str(error).split())[:120]}"
    yield how
    made = outputs(script, inputs)
    yield from _compare(f"{network.id} as TorchScript", made, outputs(module, inputs), TORCHSCRIPT_TOLERANCE)


@check("network.onnx", "zoo", "MONAI bundle specification, model.onnx", "network")
def onnx(network: Network) -> Found:
    """ONNX, run by onnxruntime, gives the same."""
    for package in ("onnx", "onnxruntime"):
        if find_spec(package) is None:
            raise NotApplicableError(f"{package} is not installed")
    import onnxruntime

    module, inputs, file = _shaken(network), network.inputs(), io.BytesIO()
    # torch.export refuses networks whose code looks at sizes; the tracer takes them
    torch.onnx.export(module, tuple(inputs), cast(Any, file), dynamo=False)
    session = onnxruntime.InferenceSession(file.getvalue(), providers=["CPUExecutionProvider"])
    given = {one.name: value.numpy() for one, value in zip(session.get_inputs(), inputs, strict=True)}
    made = [torch.from_numpy(part) for part in session.run(None, given)]
    yield from _compare(f"{network.id} as ONNX", made, outputs(module, inputs), ONNX_TOLERANCE)
