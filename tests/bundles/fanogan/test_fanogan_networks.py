"""Maps of anomalies: what they show where, and that a slice has one map."""

from __future__ import annotations

import pytest
import torch
from brain_fanogan.networks import AnomalyMap, Denoiser, FAnoGan, Vae, halvings

from common.errors import ConfigError


class Halved(AnomalyMap):
    """Reconstructs half of each value."""

    def reconstruct(self, x):
        return x / 2


def test_the_map_is_the_difference_inside_the_brain() -> None:
    x = torch.tensor([[[[-1.0, 0.5], [1.0, -0.5]]]])
    assert Halved()(x).tolist() == [[[[0.0, 0.25], [0.5, 0.25]]]]


@pytest.mark.parametrize(("size", "count"), [(8, 1), (64, 4), (128, 5)])
def test_halvings_down_to_four_pixels(size: int, count: int) -> None:
    assert halvings(size) == count


@pytest.mark.parametrize("size", [0, 4, 6, 48])
def test_other_sizes_are_refused(size: int) -> None:
    with pytest.raises(ConfigError, match=f"--size is {size}, not 8, 16, 32, 64"):
        halvings(size)


def test_the_map_of_f_anogan_is_that_of_its_reconstruction() -> None:
    network, x = FAnoGan(16, 8, 2).eval(), torch.rand(3, 1, 16, 16)
    made = torch.tanh(network.generator(network.encoder(x)))
    assert torch.equal(network(x), (x - made).abs())


def test_the_score_of_a_slice_sums_residuals_of_image_and_features() -> None:
    network, x = FAnoGan(16, 8, 2).eval(), torch.rand(2, 1, 16, 16)
    made = network.reconstruct(x)
    image = ((x - made) ** 2).mean((1, 2, 3))
    features = ((network.critic.net(x) - network.critic.net(made)) ** 2).mean((1, 2, 3))
    torch.testing.assert_close(network.scores(x), image + features)


def test_the_variational_autoencoder_reconstructs_from_the_mean() -> None:
    network, x = Vae(16, 8, 2).eval(), torch.rand(2, 1, 16, 16)
    assert torch.equal(network(x), network(x))
    mean, _ = network.vae.encode_forward(x)
    made = torch.tanh(network.vae.decode_forward(mean, use_sigmoid=False))
    torch.testing.assert_close(network.reconstruct(x), made)


@pytest.fixture
def denoiser() -> Denoiser:
    pytest.importorskip("einops")
    return Denoiser(8, steps=10, start=0.3).eval()


def test_noise_is_removed_from_the_given_step_on(denoiser: Denoiser) -> None:
    assert denoiser.times == [222, 111, 0]


def test_a_slice_has_one_map_whatever_its_batch(denoiser: Denoiser) -> None:
    x = torch.rand(3, 1, 16, 16)
    with torch.no_grad():
        torch.testing.assert_close(denoiser(x)[1:2], denoiser(x[1:2]), rtol=0, atol=1e-5)


def test_a_start_without_noise_is_refused() -> None:
    pytest.importorskip("einops")
    with pytest.raises(ConfigError, match="start is 0, not above 0 and at most 1"):
        Denoiser(8, start=0)


def test_steps_none_of_which_removes_noise_are_refused() -> None:
    pytest.importorskip("einops")
    with pytest.raises(ConfigError, match="steps is 2, none of them above 0 and below 250: raise steps or start"):
        Denoiser(8, steps=2)
