"""Networks in OpenVINO, for a CPU."""

from __future__ import annotations

import importlib.util
import sys
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

Run = Callable[[Tensor], Tensor]
HINTS = {"fp32": "f32", "bf16": "bf16"}
"""Precisions by their names in OpenVINO, which would take bfloat16 unasked where a processor has it."""
TRACED = (64, 32)
"""Sides of a volume that is traced, where its own are multiples: up to five halvings leave whole numbers."""


def is_there() -> bool:
    """Whether OpenVINO is installed."""
    return importlib.util.find_spec("openvino") is not None


def openvino_of(network: nn.Module, example: Tensor, precision: str) -> Run:
    """The network in OpenVINO, for inputs (B, C, ...) of any batch and any size, on as many threads as PyTorch.

    Args:
        network: in eval mode.
        example: of the inputs; the first of the batch is traced, of a volume a corner of it.
        precision: ``fp32`` or ``bf16``.
    """
    no_reports: Any = None  # openvino_telemetry would tell Intel of each use
    sys.modules.setdefault("openvino_telemetry", no_reports)
    import openvino  # optional, and slow to import
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    sides = [next((small for small in TRACED if side % small == 0), side) for side in example.shape[2:]]
    first = example[:1, :, : sides[0], : sides[1], : sides[2]] if example.ndim == 5 else example[:1]
    with warnings.catch_warnings(), torch.no_grad(), torch.autocast("cpu", enabled=False):  # read when decoded, too
        warnings.simplefilter("ignore")  # about branches on a shape: each shape is compared with PyTorch
        # deprecated from PyTorch 2.15 on; torch.export takes 12.7 s of a small U-Net where this takes .85 [measured]
        traced = torch.jit.trace(network, first, check_trace=False)
        decoder = TorchScriptPythonDecoder(traced, example_input=(first,))
    reader = FrontEndManager().load_by_framework("pytorch")  # convert_model takes six times as long
    model = reader.convert(reader.load(decoder))
    _normalise_in_steps(model)
    model.reshape([-1, first.shape[1], *[-1] * (first.ndim - 2)])
    options = {"INFERENCE_PRECISION_HINT": HINTS[precision], "INFERENCE_NUM_THREADS": torch.get_num_threads()}
    request = openvino.Core().compile_model(model, "CPU", options).create_infer_request()

    def run(x: Tensor) -> Tensor:
        return torch.from_numpy(request.infer([x.contiguous().numpy()], share_inputs=True)[0])

    return run


def _normalise_in_steps(model: Any) -> None:
    """Replace each normalisation by its formula: OpenVINO's own kernel loses digits where a mean is large.

    For a real head the outputs of the network that ``mr2ct_pix2pix`` ships differ by up to 2e-2 of their scale with it,
    and by 1e-4 without [measured]. With a quotient in place of the reciprocal OpenVINO would join the steps.
    """
    from openvino import opset13 as ops

    for node in model.get_ordered_ops():
        if node.get_type_name() == "MVN" and node.get_attributes()["eps_mode"] == "INSIDE_SQRT":
            x, axes = node.input_value(0), node.input_value(1)
            centred = ops.subtract(x, ops.reduce_mean(x, axes, keep_dims=True))
            variance = ops.reduce_mean(ops.multiply(centred, centred), axes, keep_dims=True)
            deviation = ops.sqrt(ops.add(variance, np.float32(node.get_attributes()["eps"])))
            normal = ops.multiply(centred, ops.divide(np.float32(1), deviation))
            node.output(0).replace(normal.output(0))
