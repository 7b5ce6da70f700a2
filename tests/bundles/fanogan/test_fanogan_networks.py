"""Maps of anomalies and their scores by hand, and the two parts of the training."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from brain_fanogan.baselines import GRID, TrainingMean, brightness
from brain_fanogan.method import FAnoGanMethod, VaeMethod, residual
from brain_fanogan.networks import AnomalyMap, FAnoGan, Vae, halvings
from brain_fanogan.scores import best_threshold, detection_scores, slice_auroc

from common.errors import ConfigError
from common.losses import AdversarialLoss, weighted_sum


class Halved(AnomalyMap):
    """Reconstructs half of each value."""

    def reconstruct(self, x):
        return x / 2


def test_the_map_is_the_difference_inside_the_brain() -> None:
    x = torch.tensor([[[[-1.0, 0.5], [1.0, -0.5]]]])
    assert Halved()(x).tolist() == [[[[0.0, 0.25], [0.5, 0.25]]]]


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


BATCH = {"image": torch.rand(4, 1, 16, 16) * 2 - 1}
LOSSES = {name: {"weight": 1} for name in ("adversarial", "image", "features")}


def method(adversarial: float = 1, gan_steps: int = 5) -> FAnoGanMethod:
    loss = AdversarialLoss("wasserstein", gradient_penalty=10)
    losses = {**LOSSES, "adversarial": {"weight": adversarial}}
    return FAnoGanMethod(FAnoGan(16, 8, 2), losses, loss, gan_steps)


def learning(of: FAnoGanMethod, step: int) -> tuple[set[str], set[str]]:
    """Names of the generators' losses at a step, and of the networks that their gradient reaches."""
    of.train()
    of.begin_step(step)
    with of.frozen_discriminators():
        losses = of.generator_losses(BATCH, of.generate(BATCH))
        weighted_sum(losses, of.loss_weights).backward()
    reached = {name.split(".")[0] for name, weight in of.deployed.named_parameters() if weight.grad is not None}
    return set(losses), reached


def test_the_gan_is_trained_first() -> None:
    own = method()
    assert learning(own, 5) == ({"adversarial"}, {"generator"})
    assert own.has_adversary
    assert set(own.discriminator_losses(BATCH, own.generate(BATCH))) == {"critic", "critic_penalty"}


def test_the_encoder_is_trained_then_and_all_else_stays() -> None:
    own = method()
    assert learning(own, 6) == ({"image", "features"}, {"encoder"})
    assert not own.has_adversary
    assert own.discriminator_losses(BATCH, own.generate(BATCH)) == {}
    before = {name: value.clone() for name, value in own.deployed.generator.state_dict().items()}
    own.generate(BATCH)
    after = own.deployed.generator.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items()), "batch statistics are fixed"


def test_without_an_adversary_the_generator_learns_with_the_encoder() -> None:
    own = method(adversarial=0)
    assert learning(own, 1) == ({"image", "features"}, {"encoder", "generator"})


def test_the_losses_of_the_encoder_are_mean_squares() -> None:
    own = method()
    own.begin_step(6)
    made = {"pred": BATCH["image"] + 0.5}
    assert float(own.loss("image", BATCH, made)) == pytest.approx(0.25)
    assert float(own.loss("features", BATCH, {"pred": BATCH["image"]})) == 0


def test_the_divergence_of_codes_is_counted_by_pixel() -> None:
    """Of a code with mean 1 and variance 1 it is 1/2 a number: 8 / 2 over 256 pixels."""
    own = VaeMethod(Vae(16, 8, 2), {"image": {"weight": 1}, "kl": {"weight": 1}})
    codes = {"mean": torch.ones(4, 8), "log_variance": torch.zeros(4, 8)}
    assert float(own.loss("kl", BATCH, codes)) == 8 / 2 / 256
    assert set(own.generate(BATCH)) == {"pred", "mean", "log_variance"}


def test_the_threshold_has_the_best_overlap() -> None:
    """From 3 on: Dice 2 x 2 / (3 + 2); from 4 on 2 x 1 / (2 + 2), from 2 on 2 x 2 / (4 + 2)."""
    scores, lesion = np.array([1.0, 2.0, 3.0, 4.0, 5.0]), np.array([False, False, True, False, True])
    assert best_threshold(scores, lesion) == 3


def test_scores_of_four_voxels_by_hand() -> None:
    """Two of the four pairs of lesion and healthy voxel are in order; a voxel outside the brain does not count."""
    pred = np.array([0.0, 2.0, 1.0, 3.0, 9.0]).reshape(5, 1, 1)
    mask = np.array([True, True, True, True, False]).reshape(5, 1, 1)
    lesion = np.array([False, True, True, False, False]).reshape(5, 1, 1)
    found = detection_scores(pred, mask, lesion, threshold=2)
    # precision 1/2 at the first lesion voxel, 2/3 at the second, each for half of the recall
    assert found == pytest.approx({"auroc": 0.5, "auprc": (1 / 2 + 2 / 3) / 2, "dice": 2 / 4, "best_dice": 4 / 5})


def test_slices_are_ranked_by_the_sum_of_squares_over_the_brain() -> None:
    """8, 1 (a voxel outside does not count), 5 and none; of the two pairs one is in order."""
    pred = np.array([[[2.0, 2.0]], [[1.0, 1.0]], [[1.0, 2.0]], [[9.0, 9.0]]])
    mask = np.array([[[True, True]], [[True, False]], [[True, True]], [[False, False]]])
    lesion = np.array([[[False, False]], [[False, False]], [[True, False]], [[False, False]]])
    assert slice_auroc(pred, mask, lesion) == 0.5


def test_the_residual_is_the_mean_inside_the_brain() -> None:
    assert residual(np.array([1.0, 2.0, 9.0]), np.zeros(3), np.array([1, 1, 0])) == 1.5


def brain(bright: float = 0.0) -> np.ndarray:
    """A ball of two tissues with air around it, and a bright spot."""
    x, y, z = np.indices((24, 26, 22)) - np.array([12, 13, 11])[:, None, None, None]
    volume = np.where(x**2 + y**2 + z**2 < 80, np.where(z > 0, 600.0, 400.0), 0.0)
    volume[14:16, 12:14, 8:10] += bright
    return volume


def test_brightness_is_a_z_score_with_the_least_outside() -> None:
    scores, inside = brightness(brain(300.0)), brain() > 0
    assert scores[inside].mean() == pytest.approx(0, abs=1e-9)
    assert scores[inside].std(ddof=1) == pytest.approx(1)
    assert np.all(scores[~inside] == scores[inside].min())


def test_distance_from_the_training_mean() -> None:
    def load(item):
        return {"image": torch.from_numpy(item["image"])[None]}

    healthy, ill = {"image": brain()}, {"image": brain(300.0), "lesion": "a.nii.gz"}
    found = TrainingMean([healthy, ill], load)
    assert np.abs(found(brain())).max() == pytest.approx(0, abs=1e-9), "the ill one does not count"
    marked = found(brain(300.0))
    assert np.unravel_index(marked.argmax(), marked.shape) in [
        (x, y, z) for x in (14, 15) for y in (12, 13) for z in (8, 9)
    ]
    assert np.all(marked[brain() == 0] == 0)
    assert found._moments is not None
    assert found._moments[0].shape == GRID
