"""Losses of DAGAN against independent computations, their overlays, scores in an arbitrary unit."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from bundle_commands import Bundle
from loss_settings import losses_of
from monai.transforms import Compose
from mri_dagan.losses import frequency_distance, slice_variation
from mri_dagan.scores import relative_scores
from torch import Tensor, nn

from common.losses import AdversarialLoss, PerceptualDistance
from common.training.methods.conditional import ConditionalGan

BUNDLE = Bundle("mri_dagan")


def images(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def test_frequencies_are_compared_by_their_magnitudes() -> None:
    pred, target = images(2, 1, 6, 5), images(2, 1, 6, 5, seed=1)
    spectra = [np.abs(np.fft.fft2((image.numpy() + 1) / 2, axes=(2, 3))) / 30**0.5 for image in (pred, target)]
    assert float(frequency_distance(pred, target)) == pytest.approx(np.square(spectra[0] - spectra[1]).mean(), rel=1e-5)
    assert float(frequency_distance(pred, pred.roll(1, 3))) == pytest.approx(0, abs=1e-12), "a shift is a phase"


def test_an_empty_slice_has_finite_slopes() -> None:
    air = torch.full((1, 1, 4, 4), -1.0, requires_grad=True)
    frequency_distance(air, images(1, 1, 4, 4)).backward()
    assert torch.isfinite(air.grad).all()


def test_neighbouring_slices_are_compared_along_the_last_axis() -> None:
    volume = torch.zeros(2, 1, 3, 3, 4)
    volume[..., 2:] = 3
    assert float(slice_variation(volume, torch.zeros(1))) == 9
    assert float(slice_variation(volume.movedim(4, 2), torch.zeros(1))) == 0


def losses(**weights: float) -> dict[str, Tensor]:
    """Of a generator that leaves 1 and 3 as they are, which are to be 2 and 2, and a discriminator that adds them."""
    generator, discriminator = nn.Conv2d(1, 1, 1, bias=False), nn.Conv2d(1, 1, (1, 2), bias=False)
    nn.init.ones_(generator.weight)
    nn.init.ones_(discriminator.weight)
    features = lambda ours, theirs: (ours - theirs).abs().sum()  # noqa: E731
    given = losses_of(weights, frequency=frequency_distance, perceptual=features)
    adversary = AdversarialLoss("wasserstein", gradient_penalty=10)
    method = ConditionalGan(generator, discriminator, given, adversary, conditional=False)
    batch = {"image": torch.tensor([[[[1.0, 3.0]]]]), "label": torch.full((1, 1, 1, 2), 2.0)}
    return method.generator_losses(batch, method.generate(batch))


def test_each_loss_is_computed_where_it_has_a_weight() -> None:
    found = losses(adversarial=1, l2=1, frequency=1, perceptual=1)
    # of (1, 2) and (1.5, 1.5) the spectra are (3, -1) and (3, 0), over the root of 2
    expected = {"l2": 1, "frequency": 0.25, "perceptual": 2, "adversarial": -4}
    assert {name: float(value.detach()) for name, value in found.items()} == pytest.approx(expected)
    assert losses(adversarial=0, l2=1, perceptual=0).keys() == {"l2"}


@pytest.mark.parametrize(
    ("overlay", "used", "kind"),
    [
        (None, {"adversarial", "l2", "frequency", "perceptual"}, "bce"),
        ("published", {"adversarial", "l2", "frequency", "perceptual"}, "bce"),
        ("no_adversarial", {"l2", "frequency", "perceptual"}, None),
        ("super_resolution", {"adversarial", "l2", "slice_variation"}, "bce"),
        ("denoise", {"adversarial", "l2", "perceptual"}, "wasserstein"),
        ("motion", {"adversarial", "l1", "feature_matching"}, "bce"),
    ],
)
def test_overlays_train_the_rows_of_the_papers(overlay: str | None, used: set[str], kind: str | None) -> None:
    small = {"width": 4, "depth": 2, "discriminator_width": 2, "device": torch.device("cpu")}
    parser = BUNDLE.parser("train", *([overlay] if overlay else []), **small)
    method = parser.get_parsed_content("method")
    assert {name for name in method.loss_weights if method.uses(name)} == used
    assert method.has_adversary is (kind is not None)
    assert kind is None or method.adversarial_loss.kind == kind
    assert method.conditional is (overlay == "motion")
    functions = {name: loss.function for name, loss in method.losses.items() if name in used}
    assert isinstance(functions.get("perceptual"), PerceptualDistance) is ("perceptual" in used)
    assert functions.get("frequency", frequency_distance) is frequency_distance


def test_the_published_rate_halves_every_five_epochs() -> None:
    parser = BUNDLE.parser("train", "published", device=torch.device("cpu"))
    schedule = parser.get_parsed_content("schedule")(torch.optim.SGD([torch.zeros(1)], lr=parser.get("learning_rate")))
    rates = []
    for _ in range(11):
        rates += schedule.get_last_lr()
        schedule.optimizer.step()
        schedule.step()
    assert rates == pytest.approx([1e-4] * 5 + [5e-5] * 5 + [2.5e-5])


def test_the_published_augmentation_moves_source_and_target_alike() -> None:
    parser = BUNDLE.parser("train", "published", pad_size=32, crop_size=32, device=torch.device("cpu"))
    augmentation = Compose(parser.get_parsed_content("train::augmentation")).set_random_state(0)
    slices = images(1, 32, 32)
    moved = augmentation({"image": slices, "label": slices.clone()})
    assert torch.equal(moved["image"], moved["label"])
    assert not torch.allclose(moved["image"], slices, atol=0.1)


def test_the_relative_error_does_not_depend_on_the_unit() -> None:
    rng = np.random.default_rng(0)
    truth = rng.random((12, 12, 12)) + 0.1
    pred, mask = truth + 0.01, np.ones(truth.shape)
    first, second = relative_scores(pred, truth, mask), relative_scores(7 * pred, 7 * truth, mask)
    assert first["nmae"] == pytest.approx(0.01 / np.percentile(truth, 99.5))
    assert second["mae"] == pytest.approx(0.07)
    for name in ("nmae", "psnr", "ssim", "ms_ssim"):
        assert second[name] == pytest.approx(first[name], nan_ok=True)
