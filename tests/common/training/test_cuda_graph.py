"""A step that cannot be recorded as a CUDA graph goes on eagerly: shown without CUDA, whose parts are replaced."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from common.training.cuda_graph import WARM_UP, GraphedStep

REFUSED = "operation not permitted when stream is capturing"


class Step:
    """Draws a number and moves a weight by it; refuses to be recorded, after it has drawn and made a gradient."""

    def __init__(self) -> None:
        self.method = SimpleNamespace(variation=None)
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.optimizers = {"generators": torch.optim.SGD([self.weight], lr=0.5)}
        self.recording = False
        self.attempts = 0

    def __call__(self, batch: dict[str, torch.Tensor]) -> Any:
        (self.weight * torch.rand(1) * batch["image"]).sum().backward()
        if self.recording:
            self.attempts += 1
            raise RuntimeError(f"{REFUSED}\nmore")
        self.optimizers["generators"].step()
        self.optimizers["generators"].zero_grad(set_to_none=True)
        return self.weight.detach().clone()


def steps(step: Any, count: int) -> list[torch.Tensor]:
    made = []
    for number in range(count):
        torch.manual_seed(number)
        made.append(step({"image": torch.full((2,), 1.0 + number)}))
    return made


def without_cuda(monkeypatch: pytest.MonkeyPatch, **parts: Any) -> None:
    waiting = SimpleNamespace(wait_stream=lambda other: None)
    fakes = {"Stream": lambda _: waiting, "current_stream": lambda: waiting, "stream": lambda _: nullcontext()}
    for name, fake in {**fakes, **parts}.items():
        monkeypatch.setattr(torch.cuda, name, fake)


def test_a_step_that_cannot_be_recorded_goes_on_eagerly(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    step = Step()

    @contextmanager
    def recording(graph: Any, stream: Any, capture_error_mode: str) -> Iterator[None]:
        step.recording = True
        try:
            yield
        finally:
            step.recording = False

    without_cuda(monkeypatch, CUDAGraph=SimpleNamespace, graph=recording)
    with caplog.at_level(logging.WARNING):
        made = steps(GraphedStep(step, torch.device("cuda")), WARM_UP + 3)
    assert made == steps(Step(), WARM_UP + 3)
    assert step.attempts == 1
    assert caplog.messages == [f"--acceleration::cuda_graph is off: the step cannot be recorded here ({REFUSED})"]


def test_critics_alone_have_a_recording_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    recorded: list[str] = []
    replayed: list[str] = []

    class Graph:
        def replay(self) -> None:
            replayed.append(self.kind)

    @contextmanager
    def recording(graph: Any, stream: Any, capture_error_mode: str) -> Iterator[None]:
        count = len(calls)
        yield
        graph.kind = calls[count]
        recorded.append(graph.kind)

    calls: list[str] = []

    def step(batch: Any, critics_alone: bool = False) -> str:
        calls.append("critics" if critics_alone else "both")
        return calls[-1]

    step.method = SimpleNamespace(variation=None)  # type: ignore[attr-defined]
    without_cuda(monkeypatch, CUDAGraph=Graph, graph=recording)
    graphed = GraphedStep(step, torch.device("cuda"))  # type: ignore[arg-type]
    order = [True, True, False] * (WARM_UP + 2)
    made = [graphed({"image": torch.zeros(1)}, critics_alone=alone) for alone in order]
    assert made == ["critics" if alone else "both" for alone in order]
    assert recorded == ["critics", "both"]
    assert replayed == [
        kind for place, kind in enumerate(made) if kind in made[:place] and made[:place].count(kind) >= WARM_UP
    ]
    assert graphed.recordings == 2
