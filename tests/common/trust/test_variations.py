"""The spread of an inference under changes of its input, by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from common.trust.variations import PASSES, spread_of, variations, with_gamma


class Direct:
    """Applies a network to a whole volume."""

    def __call__(self, inputs: Tensor, network: nn.Module) -> Tensor:
        return network(inputs)


class Place(nn.Module):
    """The place along x, whatever the input."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.arange(x.shape[2], dtype=x.dtype)[:, None, None].expand(x.shape)


class Power(nn.Module):
    """The input to the power of 4, so that it shows a contrast."""

    def forward(self, x: Tensor) -> Tensor:
        return x**4


def values(output: Tensor) -> np.ndarray:
    return output[0].numpy()


def test_spread_is_the_root_mean_square_of_differences():
    """Contrasts change nothing; moved by three voxels and back, and mirrored and back, each place is another."""
    place = np.arange(8.0)[:, None, None] * np.ones((8, 4, 4))
    spread = spread_of(torch.zeros(1, 8, 4, 4), place, Direct(), Place(), values)
    moved, mirrored = np.array([3, 4, 5, 6, 7, 0, 1, 2]), np.arange(8)[::-1]
    expected = np.sqrt(((moved - np.arange(8)) ** 2 + (mirrored - np.arange(8)) ** 2) / 4)
    np.testing.assert_allclose(spread[:, 0, 0], expected, rtol=1e-6)
    assert (PASSES, spread.dtype) == (4, np.float32)


def test_contrasts_keep_the_range_of_each_channel():
    image = torch.tensor([1.0, 2.0, 5.0]).reshape(1, 1, 3, 1, 1)
    torch.testing.assert_close(with_gamma(image, 0.5).flatten(), torch.tensor([1.0, 3.0, 5.0]))
    both = torch.cat([image, 100 * image], dim=1)
    torch.testing.assert_close(with_gamma(both, 0.5)[:, 1], 100 * with_gamma(image, 0.5)[:, 0])


@pytest.mark.parametrize("number", range(PASSES))
def test_a_network_that_gives_its_input_back_gives_what_was_varied(number: int):
    vary, undo = variations()[number]
    image = torch.rand(1, 1, 8, 8, 8, generator=torch.Generator().manual_seed(0))
    expected = with_gamma(image, (0.8, 1.25)[number]) if number < 2 else image
    torch.testing.assert_close(undo(vary(image)), expected, rtol=0, atol=0)
    assert not torch.equal(vary(image), image)


def test_a_spread_sees_the_contrast_of_a_network_that_answers_to_it():
    image = torch.full((1, 4, 4, 4), 0.5)
    image[0, 0], image[0, 1] = 0.0, 1.0
    spread = spread_of(image, values(Power()(image)), Direct(), Power(), values)
    expected = [np.sqrt(sum((0.5 ** (4 * gamma) - 0.5**4) ** 2 for gamma in (0.8, 1.25)) / 4)] * 2
    np.testing.assert_allclose(spread[:, 0, 0], [0, 0, *expected], atol=1e-6)


def test_batch_statistics_of_a_network_in_training_stay_as_they_are():
    network, seen = nn.BatchNorm3d(1).train(), []

    def restore(output: Tensor) -> np.ndarray:
        seen.append(output)
        return values(output)

    image = torch.full((1, 2, 2, 2), 3.0)
    image[..., 0] = 1.0
    spread_of(image, np.zeros((2, 2, 2)), Direct(), network, restore)
    assert (float(network.running_mean), float(network.running_var), network.training) == (0, 1, True)
    torch.testing.assert_close(seen[-1], image / (1 + 1e-5) ** 0.5)
    assert not seen[0].requires_grad
