"""Rectified flow: state, time and loss by hand, and Euler steps on whole volumes."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from monai.inferers import SimpleInferer
from torch import Tensor, nn

from common.errors import ConfigError
from common.networks.flow_input import flow_input
from common.seeds import derive
from common.stitching import FlowInferer, PlaneInferer
from common.training.methods.rectified_flow import RectifiedFlow

SOURCE = torch.linspace(-1, 1, 24).reshape(1, 1, 2, 3, 4)


class Recorded(nn.Module):
    """Answers with a function of its input; remembers what it was given."""

    def __init__(self, answer: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))
        self.answer = answer
        self.given: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        self.given.append(x.detach())
        return self.weight * self.answer(x)


def noise(number: int, shape: tuple[int, ...], seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(derive(seed, number)))


# ---- training -------------------------------------------------------------------------------------------------------


def test_the_network_sees_source_state_and_time_and_answers_for_the_target() -> None:
    method = RectifiedFlow(Recorded(lambda x: x[:, :1]), {"flow": {"weight": 1}}, time_floor=0.1)
    batch = {"image": torch.randn(64, 1, 4, 4), "label": torch.full((64, 1, 4, 4), 3.0)}
    torch.manual_seed(0)
    fakes = method.generate(batch)
    (given,) = method.generators["generator"].given
    assert given.shape == (64, 3, 4, 4)
    time = fakes["time"]
    torch.testing.assert_close(given[:, 0], batch["image"][:, 0])
    torch.testing.assert_close(given[:, 2], (2 * time - 1).reshape(-1, 1, 1).expand(64, 4, 4))
    drawn = (given[:, 1] - 3 * time.reshape(-1, 1, 1)) / (1 - time).reshape(-1, 1, 1)  # e of (1 - t) e + t y
    assert drawn.mean() == pytest.approx(0, abs=0.1)
    assert drawn.std() == pytest.approx(1, abs=0.1)
    assert time.min() < 0.1
    assert time.max() > 0.9
    squares = (batch["image"] - 3).square().mean(dim=(1, 2, 3))
    expected = (squares / torch.clamp(1 - time, min=0.1) ** 2).mean()
    torch.testing.assert_close(method.generator_losses(batch, fakes)["flow"], expected)
    assert method.discriminator_losses(batch, fakes) == {}


# ---- inference ------------------------------------------------------------------------------------------------------


def test_one_step_is_the_network_s_answer_to_noise() -> None:
    network = Recorded(lambda x: 2 * x[:, :1])
    made = FlowInferer(SimpleInferer(), steps=1)(SOURCE, network)
    torch.testing.assert_close(made, 2 * SOURCE)
    (given,) = network.given
    torch.testing.assert_close(given[0, 1], noise(0, (1, 2, 3, 4))[0])
    assert given[0, 2].unique().tolist() == [-1]


def test_steps_move_by_the_velocity_until_the_last_answer() -> None:
    """Two steps, answers 4 and then 10: y_1/2 = (e + 4) / 2, which the second one sees, and y_1 = 10."""
    answers = iter([4.0, 10.0])
    network = Recorded(lambda x: torch.full_like(x[:, :1], next(answers)))
    made = FlowInferer(SimpleInferer(), steps=2, seed=5)(SOURCE, network)
    torch.testing.assert_close(made, torch.full_like(SOURCE, 10.0))
    torch.testing.assert_close(network.given[1][0, 1], (noise(0, (1, 2, 3, 4), 5)[0] + 4) / 2)
    assert [each[0, 2, 0, 0, 0].item() for each in network.given] == [-1, 0]


def test_slices_at_a_time_do_not_matter() -> None:
    """The noise is that of the volume, whichever slices are computed together."""
    made = [
        FlowInferer(PlaneInferer("axial", 1, batch, multiple_of=1), 3)(
            SOURCE, Recorded(lambda x: x[:, :1] + x[:, 1:2] * x[:, 2:])
        )
        for batch in (1, 3, 4)
    ]
    torch.testing.assert_close(made[0], made[1])
    torch.testing.assert_close(made[0], made[2])


def test_slabs_and_no_steps_are_refused() -> None:
    with pytest.raises(ConfigError, match="--neighbours is 3, but a flow takes 1"):
        FlowInferer(PlaneInferer("axial", 3), 1)
    for steps in (0, 1001, 2.0):
        with pytest.raises(ConfigError, match="--steps is .*, not 1 to 1000"):
            FlowInferer(SimpleInferer(), steps)  # type: ignore[arg-type]


def test_less_memory_is_that_of_the_inner_inferer() -> None:
    inner = PlaneInferer("axial", 1, 4, multiple_of=1)
    flow = FlowInferer(inner, 2, seed=3)
    network = nn.Conv2d(3, 1, 1)
    voxels = 10 * 20 * 30
    assert flow.bytes_needed(network, 1, (10, 20, 30)) == 4 * 7 * voxels + inner.bytes_needed(network, 3, (10, 20, 30))
    found = [(words, other.inferer.batch_size, other.steps, other.seed) for words, other in flow.smaller()]  # type: ignore[attr-defined]
    assert found == [(f"inference_batch {size}", size, 2, 3) for size in (4, 2, 1)]


def test_the_input_has_the_source_s_type() -> None:
    made = flow_input(torch.zeros(2, 3, 4, 4, dtype=torch.bfloat16), torch.zeros(2, 1, 4, 4), torch.ones(2))
    assert made.dtype == torch.bfloat16
    assert made.shape == (2, 5, 4, 4)
    assert made[:, 4].unique().tolist() == [1]
