"""The overlay that registers: rigid movements, the method and the random movements by hand, a training on phantoms."""

from __future__ import annotations

from math import pi, radians
from pathlib import Path
from typing import Any

import pytest
import torch
from bundle_commands import Bundle, ok
from loss_settings import losses_of
from mr2ct_pix2pix.registration import (
    RandMovementd,
    RegistrationGan,
    RigidRegistration,
    movement_of,
    point_error,
    resampled,
    rotation,
)
from scipy.spatial.transform import Rotation
from torch import Tensor
from toy_networks import Pair

from common.errors import ConfigError
from common.losses import AdversarialLoss
from common.weights import checkpoints

BUNDLE = Bundle("mr2ct_pix2pix")
SMALL = {
    "volume_size": [24, 24, 24], "spacing": [8, 8, 8], "depth": 2, "width": 4, "batch_size": 2,
    "samples_per_epoch": 4, "val_interval": 1, "constant_epochs": 2, "decay_epochs": 0, "keep": "last",
}  # fmt: skip


def movement(*numbers: float) -> Tensor:
    return torch.tensor([numbers], dtype=torch.float32)


def volume(*shape: int) -> Tensor:
    """Random values in [-1, 1], (1, 1, X, Y, Z)."""
    return torch.rand(1, 1, *shape, generator=torch.Generator().manual_seed(0)) * 2 - 1


# ---- movements ------------------------------------------------------------------------------------------------------


def test_a_quarter_turn_about_z_takes_x_to_y() -> None:
    """The value at (x, y) is that at (-y, x); the centre voxel stays."""
    given = volume(3, 3, 2)
    made = resampled(given, movement(0, 0, pi / 2, 0, 0, 0), (4, 4, 7))
    expected = torch.stack([torch.stack([given[..., 2 - j, i, :] for j in range(3)], -2) for i in range(3)], -3)
    torch.testing.assert_close(made, expected, atol=1e-5, rtol=0)
    back = resampled(made, movement(0, 0, pi / 2, 0, 0, 0), (4, 4, 7), inverse=True)
    torch.testing.assert_close(back, given, atol=1e-5, rtol=0)


def test_a_translation_by_whole_voxels_brings_air_from_outside() -> None:
    given = volume(4, 3, 5)
    made = resampled(given, movement(0, 0, 0, 4, 0, -6), (2, 3, 6))  # 2 voxels along x, -1 along z
    torch.testing.assert_close(made[..., :2, :, 1:], given[..., 2:, :, :-1], atol=1e-5, rtol=0)
    assert made[..., 2:, :, :].unique().tolist() == made[..., :1].unique().tolist() == [-1]


def test_angles_are_applied_about_x_then_y_then_z() -> None:
    angles = (0.3, -0.2, 0.4)
    expected = torch.tensor(Rotation.from_euler("xyz", angles).as_matrix(), dtype=torch.float32)
    torch.testing.assert_close(rotation(movement(*angles, 1, 2, 3))[0], expected)


def test_the_error_is_the_mean_distance_of_points_of_a_head() -> None:
    still = movement(0, 0, 0, 0, 0, 0)
    assert point_error(movement(0, 0, 0, 3, 4, 0), still).item() == pytest.approx(5)
    # half a turn moves a point by twice its distance from the axis: of nine, four at 60 and four at 60 sqrt(2) mm
    assert point_error(movement(0, 0, pi, 0, 0, 0), still).item() == pytest.approx((4 * 120 + 4 * 120 * 2**0.5) / 9)


# ---- random movements -----------------------------------------------------------------------------------------------


def sample() -> dict[str, Any]:
    image, label = torch.rand(2, 1, 12, 12, 12, generator=torch.Generator().manual_seed(1)) * 2 - 1
    return {"image": image, "label": label}


def drawn(seed: int, turn: float = 25, shift: float = 5) -> dict[str, Any]:
    transform = RandMovementd(turn, shift, [4, 4, 4])
    transform.set_random_state(seed=seed)
    return transform(sample())


def test_drawn_movements_fill_their_bounds_and_are_those_of_the_seed() -> None:
    found = torch.stack([drawn(seed)["movement"] for seed in range(60)]).abs().amax(0)
    largest = torch.tensor([radians(25)] * 3 + [5.0] * 3)
    assert (found <= largest).all()
    assert (found > 0.9 * largest).all()
    first, again, other = drawn(7), drawn(7), drawn(8)
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert not torch.equal(first["movement"], other["movement"])


def test_the_moving_scan_is_brought_back_by_its_movement() -> None:
    made, given = drawn(3), sample()
    assert torch.equal(made["image"][:1], given["image"])
    aligned = resampled(made["image"][None, 1:], made["movement"][None], [4, 4, 4])
    torch.testing.assert_close(made["label"][None], aligned)
    smooth = {key: torch.linspace(-1, 1, 12).expand(1, 12, 12, 12) for key in given}
    transform = RandMovementd(10, 5, [4, 4, 4])
    inner = (0, slice(4, 8), slice(4, 8), slice(4, 8))
    torch.testing.assert_close(transform(smooth)["label"][inner], smooth["label"][inner], atol=1e-4, rtol=0)


def test_amounts_of_0_leave_the_scans_as_they_are() -> None:
    made, given = drawn(3, 0, 0), sample()
    assert torch.equal(made["image"], torch.cat([given["image"], given["label"]]))
    assert torch.equal(made["label"], given["label"])
    assert made["movement"].tolist() == [0] * 6


@pytest.mark.parametrize(("name", "amounts"), [("rotation", (-1, 5)), ("translation", (25, float("inf")))])
def test_an_impossible_amount_names_its_setting(name: str, amounts: tuple[float, float]) -> None:
    with pytest.raises(ConfigError, match=rf"^--movement::{name} is .*, not 0 or more: give a number such as 5"):
        RandMovementd(*amounts, [4, 4, 4])


# ---- network and method ---------------------------------------------------------------------------------------------


class Voxel(Pair):
    """A discriminator of two channels of volumes."""

    def forward(self, x: Tensor) -> Tensor:
        self.given.append(x.detach())
        return (x * self.weight[:, None, None, None]).sum(1, keepdim=True)


def method(**weights: float) -> RegistrationGan:
    """Of a network that always estimates a translation of one voxel, 4 mm, along x."""
    network = RigidRegistration([8, 8, 8], [4, 4, 4], depth=2, width=2)
    last = network.encoder.final[-1]
    with torch.no_grad():
        last.weight.zero_()
        last.bias.copy_(torch.tensor([0, 0, 0, 0.8, 0, 0]))
    return RegistrationGan(network, Voxel(10.0, 1.0), losses_of(weights), AdversarialLoss("least_squares"))


def test_losses_by_hand() -> None:
    gan = method(transform=2, adversarial=1)
    batch = {"image": torch.rand(1, 2, 8, 8, 8), "label": torch.rand(1, 1, 8, 8, 8)}
    batch["movement"] = movement(0, 0, 0, 4, 3, 0)
    fakes = gan.generate(batch)
    torch.testing.assert_close(fakes["movement"], movement(0, 0, 0, 4, 0, 0))
    torch.testing.assert_close(fakes["pred"][0, 0, :7], batch["image"][0, 1, 1:])
    torch.testing.assert_close(gan.generators["generator"](batch["image"]), fakes["pred"])
    found = gan.generator_losses(batch, fakes)
    assert found["transform"].item() == pytest.approx(3)
    logits = 10 * batch["image"][:, :1] + fakes["pred"]
    assert found["adversarial"].item() == pytest.approx(((logits - 1) ** 2).mean().item(), rel=1e-5)
    gan.discriminator_losses(batch, fakes)
    real = gan.discriminators["discriminator"].given[1]
    assert torch.equal(real, torch.cat([batch["image"][:, :1], batch["label"]], 1))


def test_without_adversary_the_movement_alone_is_learnt() -> None:
    gan = method(transform=1, adversarial=0)
    batch = {"image": torch.rand(1, 2, 8, 8, 8), "label": torch.rand(1, 1, 8, 8, 8), "movement": torch.zeros(1, 6)}
    fakes = gan.generate(batch)
    assert gan.discriminator_losses(batch, fakes) == {}
    losses = gan.generator_losses(batch, fakes)
    assert losses.keys() == {"transform"}
    losses["transform"].backward()
    assert gan.generators["generator"].encoder.final[-1].bias.grad.abs().sum() > 0


# ---- the overlay ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("registration") / "data"
    settings = {"phantoms::cases": 4, "phantoms::spacing": 8}
    BUNDLE.parser("train", **settings).get_parsed_content("phantoms")(root)
    return root


def test_validation_has_fixed_movements_to_compare_with(data: Path, tmp_path: Path) -> None:
    settings = {**SMALL, "dataset_dir": str(data), "output_dir": str(tmp_path)}
    parser = BUNDLE.parser("train", "adversarial_registration", **settings)
    scored = parser.get_parsed_content("validate::dataset")
    assert len(scored) == 4
    assert [torch.equal(scored[place]["label"], scored[place]["label"]) for place in range(4)] == [True] * 4
    assert not torch.equal(scored[0]["label"], scored[1]["label"])
    network = parser.get_parsed_content("network_def")
    assert movement_of(scored[0]["image"][None], network).shape == scored[0]["label"][None].shape == (1, 6)


@pytest.mark.slow
def test_a_resumed_training_repeats_an_uninterrupted_one(data: Path, tmp_path: Path) -> None:
    def train(folder: str, epochs: int, **more: Any) -> dict[str, Tensor]:
        own = {**SMALL, "dataset_dir": data, "output_dir": tmp_path / folder, "max_epochs": epochs, **more}
        ok(BUNDLE.run("training", ["train", "adversarial_registration"], **own))
        return checkpoints.load(tmp_path / folder / "adversarial_registration" / "models" / "model.pt")

    whole, first = train("whole", 2), train("parts", 1)
    resumed = train("parts", 2, resume="true")
    assert all(torch.equal(resumed[name], whole[name]) for name in whole)
    assert not all(torch.equal(first[name], whole[name]) for name in whole)
    log = (tmp_path / "whole" / "adversarial_registration" / "log.csv").read_text().splitlines()
    assert {"transform", "adversarial", "discriminator", "val_error_mm"} <= set(log[0].split(","))
    assert len(log) == 3
