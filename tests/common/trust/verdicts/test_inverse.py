"""The network of the opposite direction: loaded with its settings, and no other than the grading was made with."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from test_quality_record import record
from torch import nn

from common.errors import CheckpointError, ConfigError
from common.trust.verdicts.cases import CaseVerdicts
from common.trust.verdicts.inverse import InverseNetwork, inverse_of
from common.trust.verdicts.record import inverse_for, read_record
from common.weights import info

CPU = torch.device("cpu")
CONVOLUTION = {"_target_": "torch.nn.Conv3d", "in_channels": 1, "out_channels": 2, "kernel_size": "@side"}


def backward(weights: Path, bias: float, **further: int) -> Path:
    """Gives 2 x and 3 x + bias."""
    values = {"weight": torch.tensor([2.0, 3.0]).reshape(2, 1, 1, 1, 1), "bias": torch.tensor([0.0, bias])}
    settings = {"network_def": CONVOLUTION, "side": 1, **further}
    path = inverse_of(weights)
    info.save(values, path, {"bundle": "any", "settings": settings, "trained_on": {}})
    return path


def test_it_is_built_from_its_own_settings_and_inferred_by_the_inferer_that_is_given(weights):
    inverse = InverseNetwork(backward(weights, 1.0), CPU)
    seen = []

    def inferer(batch: torch.Tensor, network: nn.Module) -> torch.Tensor:
        seen.append(tuple(batch.shape))
        return network(batch)

    output = torch.arange(24.0).reshape(1, 2, 3, 4)
    given_back = inverse(output, inferer)
    assert seen == [(1, 1, 2, 3, 4)]
    torch.testing.assert_close(given_back, torch.cat([2 * output, 3 * output + 1]))


def test_slabs_of_slices_are_refused(weights):
    InverseNetwork(backward(weights, 1.0, neighbours=1), CPU)
    with pytest.raises(ConfigError, match="--quality::inverse: is for networks of single slices, but got neighbours 3"):
        InverseNetwork(backward(weights, 1.0, neighbours=3), CPU)


def test_a_grading_without_it_asks_for_none(weights):
    record(weights).write(weights)
    verdicts = CaseVerdicts.of(weights, CPU)
    assert verdicts is not None
    assert verdicts.inverse is None


def test_no_verdicts_with_another_than_was_graded_with(weights, caplog):
    backward(weights, 1.0)
    graded = InverseNetwork(inverse_of(weights), CPU).sha256
    record(weights, inverse=graded).write(weights)
    verdicts = CaseVerdicts.of(weights, CPU)
    assert verdicts is not None
    assert verdicts.inverse is not None
    backward(weights, 2.0)
    rule = rf"model_backward\.pt: are those that model_quality\.json was made with, {graded[:12]}"
    with pytest.raises(CheckpointError, match=rule):
        inverse_for(read_record(weights), weights, CPU)
    assert CaseVerdicts.of(weights, CPU) is None
    inverse_of(weights).unlink()
    assert CaseVerdicts.of(weights, CPU) is None
    assert caplog.text.count("no verdicts, and no case is refused: ") == 2
