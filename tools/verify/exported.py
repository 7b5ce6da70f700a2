"""Each network as TorchScript and as ONNX, computing what it computes in Python."""

from __future__ import annotations

import copy
import io
import warnings
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from monai.networks import convert_to_torchscript
from torch import Tensor, nn

from tools.verify.networks import SEED, Network, outputs
from tools.verify.verdicts import Fault, Found, NetworkCheck, NotApplicableError

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


def _compare(name: str, made: list[Tensor], expected: list[Tensor], tolerance: float) -> Found:
    for one, other in zip(made, expected, strict=True):
        if one.shape != other.shape:
            yield Fault(name, f"has shape {tuple(other.shape)}", tuple(one.shape), "mend the network")
            return
        limit = tolerance * max(1.0, other.abs().max().item())
        difference = (one - other).abs().max().item()
        if not difference <= limit:
            yield Fault(name, f"differs by at most {limit:.1e}", f"{difference:.1e}", "mend the network or the export")
        yield f"largest difference {difference:.1e}"


def torchscript(network: Network) -> Found:
    """Scripted, or traced where it cannot be scripted."""
    module, inputs = _shaken(network), network.inputs()
    try:
        script, how = convert_to_torchscript(module), "scripted"
    except Exception as error:  # the compiler's errors are of many types
        script = convert_to_torchscript(module, inputs=inputs, use_trace=True)
        how = f"traced, since scripting says: {' '.join(str(error).split())[:120]}"
    buffer = io.BytesIO()
    torch.jit.save(script, buffer)
    buffer.seek(0)
    yield how
    made = outputs(torch.jit.load(buffer), inputs)
    yield from _compare(f"{network.id} as TorchScript", made, outputs(module, inputs), TORCHSCRIPT_TOLERANCE)


def onnx(network: Network) -> Found:
    """Traced to ONNX and run by onnxruntime."""
    for package in ("onnx", "onnxruntime"):
        if find_spec(package) is None:
            raise NotApplicableError(f"{package} is not installed")
    import onnxruntime

    module, inputs = _shaken(network), network.inputs()
    names = [f"input_{index}" for index in range(len(inputs))]
    with TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = str(Path(folder, "model.onnx"))
        # torch.export refuses networks whose code looks at sizes; the tracer takes them
        torch.onnx.export(module, tuple(inputs), path, input_names=names, dynamo=False)
        session: Any = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        given = {name: value.numpy() for name, value in zip(names, inputs, strict=True)}
        made = [torch.from_numpy(part) for part in session.run(None, given)]
    yield from _compare(f"{network.id} as ONNX", made, outputs(module, inputs), ONNX_TOLERANCE)


ZOO = "model zoo, verify_bundle.py: verify_torchscript"
CHECKS = (
    NetworkCheck("network.torchscript", "TorchScript gives the same", ZOO, "zoo", torchscript),
    NetworkCheck("network.onnx", "ONNX gives the same", "MONAI bundle specification, model.onnx", "zoo", onnx),
)
