"""The losses of the residual CycleGAN by hand, with the toys of ``cect2ct_toys``, and what its discriminators see."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
from cect2ct_rescyclegan import method as under_test
from cect2ct_rescyclegan.method import JITTER
from cect2ct_toys import ALL, MODES, A, B, batch, by_hand, gradients, numbers, residual
from torch import Tensor

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


def test_what_lies_outside_the_window_of_the_source_counts_as_minus_one() -> None:
    source = torch.tensor([-3.0, -1.0, 0.5, 1.0, 1.01, 0.2, 0.2])
    image = torch.tensor([0.5, 0.6, 0.7, 0.8, 0.9, 1.7, -1.7])
    expected = torch.tensor([-1, 0.6, 0.7, 0.8, -1, 1, -1])
    method = by_hand("cross")
    row = (1, 1, 1, -1)
    assert torch.equal(method.seen(image.view(row), source.view(row)).flatten(), expected)
    own = torch.tensor([-1, -1, 0.5, 1, -1, 0.2, 0.2])
    assert torch.equal(method.seen(source.view(row), source.view(row)).flatten(), own)


@pytest.mark.parametrize(("margin", "hidden"), [(0, 1), (1, 9), (2, 25)])
def test_the_surroundings_of_what_lies_outside_are_hidden_too(margin: int, hidden: int) -> None:
    """One voxel of bone hides a square of 2 margin + 1 pixels; the slice's border hides nothing."""
    source = torch.zeros(2, 1, 8, 9)
    source[1, 0, 3, 5] = 2.5
    image = torch.full_like(source, 0.4)
    seen = by_hand("cross", margin=margin).seen(image, source)
    assert torch.equal(seen[0], image[0])
    assert int((seen[1] == -1).sum()) == hidden
    rows, columns = slice(3 - margin, 4 + margin), slice(5 - margin, 6 + margin)
    assert bool((seen[1, 0, rows, columns] == -1).all())


@pytest.mark.parametrize("mode", ["registered", "cross"])
def test_each_image_is_hidden_where_its_own_source_lies_outside(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(under_test, "_shifted", lambda image: image)
    method = by_hand(mode)
    # bone in the first pixel of a, in the second of b; G_AB halves, G_BA triples, both could bring it into the window
    given = {"image": torch.tensor([[[[1.6, A]]]]), "label": torch.tensor([[[[B, -1.2]]]])}
    fakes = method.generate(given)
    method.discriminator_losses(given, fakes)
    method.generator_losses(given, fakes)

    def seen(kind: str) -> list[list[float]]:
        given = method.discriminators[f"discriminator_{kind}"].given
        return sorted([round(value, 6) for value in x.flatten().tolist()] for x in given)  # type: ignore[union-attr]

    assert seen("a") == [[-1, 0.2], [0.9, -1], [0.9, -1]]
    assert seen("b") == [[-1, 0.1], [-1, 0.1], [0.3, -1]]
    pairs = [[-1, 0.2, -1, 0.1]] * 2 + [[0.9, -1, 0.3, -1]] * 2
    assert seen("pair") == sorted(pairs + ([[-1, 0.2, 0.3, -1]] if mode == "registered" else []))


@pytest.mark.parametrize("mode", MODES)
def test_bone_and_air_change_no_verdict(mode: str) -> None:
    """Values beyond the window are multiplied by another factor; every loss stays, to the bit."""

    def losses(beyond: float) -> dict[str, float]:
        torch.manual_seed(0)
        method = residual(mode, moved=True).eval()
        plain = {key: torch.randn(2, 1, 16, 16) for key in ("image", "label")}
        given = {key: torch.where(x.abs() > 1, beyond * x, x) for key, x in plain.items()}
        fakes = method.generate(given)
        return numbers({**method.discriminator_losses(given, fakes), **method.generator_losses(given, fakes)})

    found = losses(1.0)
    assert losses(7.0) == found
    assert len(found) == (5 if mode == "off" else 7)


# ---- the shift of synthetic pairs ----------------------------------------------------------------------------------


def _moved(image: Tensor, rows: int, columns: int) -> Tensor:
    """Row i, column j of the result is row i + rows, column j + columns of the image, or the nearest there is."""
    height, width = image.shape[-2:]
    over = np.clip(np.arange(height) + rows, 0, height - 1)
    across = np.clip(np.arange(width) + columns, 0, width - 1)
    return image[:, :, over][..., across]


def test_shifts_are_of_whole_batches_and_evenly_up_to_three_pixels_each_way() -> None:
    torch.manual_seed(0)
    image = torch.arange(2 * 9 * 9.0).reshape(2, 1, 9, 9)
    counts = np.zeros((7, 7))
    for _ in range(1000):
        shifted = under_test._shifted(image)
        rows, columns = divmod(int(shifted[0, 0, 4, 4]), 9)
        assert torch.equal(shifted, _moved(image, rows - 4, columns - 4))
        counts[rows - 4 + 3, columns - 4 + 3] += 1
    assert JITTER == 3
    # 1000 / 49 = 20.4 a shift, standard deviation 4.5; 142.9 a row or column, standard deviation 11.1
    assert counts.min() >= 5
    assert counts.sum(0) == pytest.approx(np.full(7, 1000 / 7), abs=45)
    assert counts.sum(1) == pytest.approx(np.full(7, 1000 / 7), abs=45)


@pytest.mark.parametrize("mode", ["registered", "cross"])
def test_only_synthetic_images_are_shifted_and_only_of_registered_pairs(
    mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "randint", lambda *size, **options: torch.tensor(JITTER + 1))
    method = by_hand(mode)
    given = {key: 0.3 * torch.rand(1, 1, 8, 8) for key in ("image", "label")}
    fakes = method.generate(given)
    method.discriminator_losses(given, fakes)
    move = partial(_moved, rows=1, columns=1) if mode == "registered" else (lambda image: image)
    pairs = [(given["image"], move(fakes["pred"])), (move(fakes["fake_a"]), given["label"])]
    if mode == "registered":
        pairs.append((given["image"], given["label"]))
    expected = [torch.cat(pair, 1) for pair in pairs]
    judged = method.discriminators["discriminator_pair"].given
    assert len(judged) == len(expected)  # type: ignore[arg-type]
    assert all(any(torch.equal(one, other) for other in judged) for one in expected)  # type: ignore[union-attr]
    for kind, fake in (("a", "fake_a"), ("b", "pred")):
        assert torch.equal(method.discriminators[f"discriminator_{kind}"].given[1], fakes[fake])  # type: ignore[index]
