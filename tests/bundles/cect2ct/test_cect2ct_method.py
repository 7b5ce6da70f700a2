"""The losses of the residual CycleGAN by hand, with the networks and numbers of ``cect2ct_toys``."""

from __future__ import annotations

import pytest
from cect2ct_toys import ALL, batch, by_hand, gradients, numbers

from common.errors import ConfigError

# registered: half of (0.9 - 1)^2 and of (3.3 - 1)^2; cross: D_C holds (a, G_AB(a)) for real, so half of 0.9^2
G_PAIR = {"registered": (0.01 + 5.29) / 2, "cross": (0.81 + 5.29) / 2}
# registered: half each of 0.5 [(1.9 - 1)^2 + 0.9^2] and 0.5 [(1.9 - 1)^2 + 3.3^2]; cross: 0.5 [(0.9 - 1)^2 + 3.3^2]
D_PAIR = {"registered": (0.81 + 5.85) / 2, "cross": 5.45}


@pytest.mark.parametrize("mode", ["registered", "cross"])
def test_losses_by_hand(mode: str) -> None:
    method = by_hand(mode)
    fakes = method.generate(batch())
    # those of CycleGAN: see its own tests
    expected = {"adversarial": 3.25, "cycle": 0.25, "identity": 0.55, "pair": G_PAIR[mode]}
    assert numbers(method.generator_losses(batch(), fakes)) == pytest.approx(expected)
    expected = {"discriminator_a": 3.725, "discriminator_b": 0.1, "discriminator_pair": D_PAIR[mode]}
    assert numbers(method.discriminator_losses(batch(), fakes)) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        # G_AB: (0.9 - 1) 5 a, wants it larger; G_BA: (3.3 - 1) 2 b
        ("registered", {"generator_ab": [-0.1], "generator_ba": [1.38]}),
        # G_AB: 0.9 * 5 a, wants it smaller, where D_C says synthetic
        ("cross", {"generator_ab": [0.9], "generator_ba": [1.38]}),
    ],
)
def test_the_loss_of_pairs_moves_both_generators_and_no_discriminator(mode: str, expected: dict) -> None:
    method = by_hand(mode, pair=1)
    fakes = method.generate(batch())
    with method.frozen_discriminators():
        losses = method.generator_losses(batch(), fakes)
        losses["pair"].backward()
    assert list(losses) == ["pair"]
    assert gradients(method) == {name: pytest.approx(value, rel=1e-5) for name, value in expected.items()}


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        # half each of 0.9 (a, b) + 0.9 (a, 0.1) = (0.36, 0.36) and 0.9 (a, b) + 3.3 (0.9, b) = (3.15, 1.26)
        ("registered", [1.755, 0.81]),
        # -0.1 (a, 0.1) + 3.3 (0.9, b)
        ("cross", [2.95, 0.98]),
    ],
)
@pytest.mark.parametrize("pool_size", [0, 4])
def test_the_discriminator_of_pairs_learns_alone_from_its_loss(mode: str, expected: list, pool_size: int) -> None:
    method = by_hand(mode, pool_size)
    method.discriminator_losses(batch(), method.generate(batch()))["discriminator_pair"].backward()
    assert gradients(method) == {"discriminator_pair": pytest.approx(expected, rel=1e-5)}


def test_pairs_are_cect_then_ct() -> None:
    method = by_hand("registered")
    fakes = method.generate(batch())
    method.discriminator_losses(batch(), fakes)
    discriminator = method.discriminators["discriminator_pair"]
    seen = sorted(tuple(round(value, 6) for value in x[0, :, 0, 0].tolist()) for x in discriminator.given)  # type: ignore[union-attr]
    assert seen == [(0.2, 0.1), (0.2, 0.3), (0.9, 0.3)]


@pytest.mark.parametrize(
    ("mode", "weights", "calls"),
    [
        # discriminator's step: real, both fakes; generators' step: both fakes
        ("registered", ALL, (3, 3, 5)),
        ("cross", ALL, (3, 3, 4)),
        ("off", ALL, (3, 3, None)),
        ("registered", ALL | {"pair": 0}, (3, 3, None)),
        ("registered", ALL | {"adversarial": 0}, (0, 0, 5)),
        ("cross", {"adversarial": 0, "pair": 0, "cycle": 10}, (0, 0, None)),
    ],
)
def test_weight_zero_computes_nothing(mode: str, weights: dict, calls: tuple) -> None:
    method = by_hand(mode, **weights)
    fakes = method.generate(batch())
    method.discriminator_losses(batch(), fakes)
    losses = method.generator_losses(batch(), fakes)
    discriminators = [method.discriminators[f"discriminator_{kind}"] for kind in ("a", "b")]
    assert [len(discriminator.given) for discriminator in discriminators] == list(calls[:2])  # type: ignore[arg-type]
    assert ("pair" in losses) == (calls[2] is not None)
    assert set(method.discriminators) == {"discriminator_a", "discriminator_b"} | (
        set() if calls[2] is None else {"discriminator_pair"}
    )
    if calls[2] is not None:
        assert len(method.discriminators["discriminator_pair"].given) == calls[2]  # type: ignore[arg-type]


def test_the_distance_to_the_truth_by_hand() -> None:
    """(0.1 - 0.3)^2; G_AB wants its weight larger, by 2 (0.1 - 0.3) a, and G_BA is left alone."""
    method = by_hand("registered", l2=1)
    losses = method.generator_losses(batch(), method.generate(batch()))
    assert numbers(losses) == pytest.approx({"l2": 0.04})
    losses["l2"].backward()
    assert gradients(method) == {"generator_ab": pytest.approx([-0.08], rel=1e-5)}


@pytest.mark.parametrize("mode", ["cross", "off"])
def test_the_distance_to_the_truth_needs_pairs(mode: str) -> None:
    by_hand(mode, l2=0, cycle=1)
    with pytest.raises(ConfigError, match=r"images that are not paired cannot be compared \(from --losses::l2\)"):
        by_hand(mode, l2=1)


def test_both_directions_are_kept() -> None:
    method = by_hand("cross")
    assert method.networks_to_save() == {
        "model": method.generators["generator_ab"],
        "model_backward": method.generators["generator_ba"],
    }
