"""Checks of each network: definition, output against the metadata, weights, export to TorchScript and ONNX."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

import torch
from monai.networks import convert_to_onnx, convert_to_torchscript
from torch import Tensor, nn

from tools.verify.files import read_weights
from tools.verify.metadata import LABELS
from tools.verify.networks import SEED, Network, outputs
from tools.verify.shapes import choices, sizes
from tools.verify.verdicts import Fault, Found, NotApplicableError, check, expect, one_line

ZOO = "model zoo, verify_bundle.py"
SLACK = 1e-5
"""Of the stated range: float32 rounds."""
NESTED = ("model", "state_dict", "network")
"""Keys under which a checkpoint may hold what should stand alone."""
TORCHSCRIPT_TOLERANCE = 1e-5
ONNX_TOLERANCE = 1e-4
"""Largest difference, as a share of the largest value (or of 1, if that is larger)."""
SHAKE = 0.01
"""Standard deviation of what is added to every weight: layers that start at zero would hide any difference."""
REMEDY = "correct metadata or network"


@check("network.defined", "zoo", f"{ZOO}: verify_data_shape", "network")
def defined(network: Network) -> Found:
    """A config defines it and it can be built."""
    if network.place is None:
        names = ", ".join(path.name for path in network.bundle.config_files)
        remedy = f"define {network.id}, or remove {network.name}_data_format from the metadata"
        yield Fault(network.id, "is defined by a config", f"none of {names}", remedy)
        return
    parameters = sum(value.numel() for value in network.module.parameters())
    yield f"{parameters / 1e6:.2f} M parameters, from {network.place[0].name}"


@check("network.output", "zoo", f"{ZOO}: verify_data_shape", "network")
def output(network: Network) -> Found:
    """Untrained, its output has the shape, type and range of the metadata and is finite, on every size tried."""
    given, stated = network.tensors("inputs"), network.tensors("outputs")
    if not given or not stated:
        raise NotApplicableError("metadata name no tensor that goes in and none that comes out")
    smallest, *larger = max((choices(tensor["spatial_shape"]) for tensor in given.values()), key=len)
    tried = []
    for batch, choice in [(1, smallest), (2, smallest), *((1, choice) for choice in larger)]:
        inputs = network.inputs(batch, **choice)
        tried.append("x".join(map(str, inputs[0].shape)))
        made = outputs(network.module, inputs)
        enough = len(made) >= len(stated)
        yield expect(enough, network.id, f"returns {len(stated)} tensors", len(made), REMEDY)
        for (key, tensor), pred in zip(stated.items(), made, strict=False):
            name = f"{network.id} {key} for inputs {tried[-1]}"
            shape = (batch, tensor["num_channels"], *sizes(tensor["spatial_shape"], **choice))
            yield expect(tuple(pred.shape) == shape, name, f"has shape {shape}", tuple(pred.shape), REMEDY)
            same = pred.dtype == getattr(torch, tensor["dtype"])
            yield expect(same, name, f"has dtype {tensor['dtype']}", pred.dtype, REMEDY)
            yield _sound_values(name, tensor, pred)
    yield f"inputs {', '.join(tried)}"


def _sound_values(name: str, tensor: Mapping[str, Any], pred: Tensor) -> Fault | None:
    """A fault where values are not finite or leave the stated range; that of labels holds after postprocessing."""
    if count := int((~torch.isfinite(pred)).sum()):
        return Fault(name, "is finite", f"{count} values that are not", "correct the network, or use other weights")
    if not tensor["value_range"] or tensor["format"] in LABELS:
        return None
    lowest, highest = tensor["value_range"]
    slack = SLACK * (highest - lowest)
    inside = pred.min() >= lowest - slack and pred.max() <= highest + slack
    found, remedy = (
        f"[{pred.min().item():.4g}, {pred.max().item():.4g}]",
        "bound the output, or write [] as value_range",
    )
    return expect(inside, name, f"lies in {[lowest, highest]}", found, remedy)


@check("network.weights", "zoo", f"{ZOO}: ckpt_export", "network")
def fitting(network: Network) -> Found:
    """Its weights fit, key by key, and give finite values in range."""
    file = f"models/{network.weights.name}"
    if not network.weights.is_file():
        raise NotApplicableError(f"no {file}")
    content = read_weights(network.weights)
    nested = [key for key in NESTED if isinstance(content, dict) and isinstance(content.get(key), dict)]
    yield f"under the key {nested[0]}" if nested else "raw state_dict"
    try:
        network.trained.load_state_dict(content[nested[0]] if nested else content)
    except RuntimeError as error:
        remedy = "give weights of this network, or the network of these weights"
        yield Fault(file, f"has the weights of {network.id}, key by key", one_line(error, 600), remedy)
        return
    made = outputs(network.trained.eval(), network.inputs())
    for (key, tensor), pred in zip(network.tensors("outputs").items(), made, strict=False):
        fault = _sound_values(f"{network.id} {key}, trained,", tensor, pred)
        # a one-hot class is part of a latent vector, and random numbers are none
        yield str(fault) if fault and network.bundle.latent and fault.rule != "is finite" else fault


@check("network.torchscript", "zoo", f"{ZOO}: verify_torchscript", "network")
def torchscript(network: Network) -> Found:
    """TorchScript, scripted or else traced, gives the same."""
    module, inputs = _shaken(network), network.inputs()
    try:
        script, how = convert_to_torchscript(module), "scripted"
    except Exception as error:  # the compiler's errors are of many types
        script = convert_to_torchscript(module, inputs=inputs, use_trace=True)
        how = f"traced, since scripting says: {one_line(error, 120)}"
    yield how
    made = outputs(script, inputs)
    yield from _same(f"{network.id} as TorchScript", made, outputs(module, inputs), TORCHSCRIPT_TOLERANCE)


@check("network.onnx", "zoo", "MONAI bundle specification, model.onnx", "network")
def onnx(network: Network) -> Found:
    """ONNX, run by onnxruntime, gives the same."""
    for package in ("onnx", "onnxruntime"):
        if find_spec(package) is None:
            raise NotApplicableError(f"{package} is not installed")
    import onnxruntime

    module, inputs = _shaken(network), network.inputs()
    # torch.export refuses networks whose code looks at sizes; the tracer takes them. MONAI's own comparison seeds
    # both sides alike, so that a random network would pass
    exported = convert_to_onnx(module, inputs, dynamo=False).SerializeToString()
    session = onnxruntime.InferenceSession(exported, providers=["CPUExecutionProvider"])
    given = {one.name: value.numpy() for one, value in zip(session.get_inputs(), inputs, strict=True)}
    made = [torch.from_numpy(part) for part in session.run(None, given)]
    yield from _same(f"{network.id} as ONNX", made, outputs(module, inputs), ONNX_TOLERANCE)


def _shaken(network: Network) -> nn.Module:
    module = copy.deepcopy(network.module)
    generator = torch.Generator().manual_seed(SEED)
    with torch.no_grad():
        for parameter in filter(torch.is_floating_point, module.parameters()):
            parameter.add_(SHAKE * torch.randn(parameter.shape, generator=generator))
    return module


def _same(name: str, made: list[Tensor], expected: list[Tensor], tolerance: float) -> Found:
    for one, other in zip(made, expected, strict=True):
        if one.shape != other.shape:
            yield Fault(name, f"has shape {tuple(other.shape)}", tuple(one.shape), "correct the network")
            continue
        limit, difference = tolerance * max(1.0, other.abs().max().item()), (one - other).abs().max().item()
        rule = f"differs by at most {limit:.1e}"
        yield expect(difference <= limit, name, rule, f"{difference:.1e}", "correct network or export")
        yield f"largest difference {difference:.1e}"
