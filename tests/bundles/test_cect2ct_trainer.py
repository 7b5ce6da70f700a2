"""The residual CycleGAN: the losses of pairs by hand, what discriminators see, its start, its data, and going on.

By hand: a = 0.2, b = 0.3; G_AB(x) = 0.5 x, G_BA(x) = 3 x, so G_AB(a) = 0.1, G_BA(b) = 0.9; D_C(x, y) = 2 x + 5 y, so
D_C(a, b) = 1.9, D_C(a, G_AB(a)) = 0.9, D_C(G_BA(b), b) = 3.3; least squares.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from cect2ct_rescyclegan import trainer as under_test
from cect2ct_rescyclegan.networks import PatchDiscriminator, ResidualGenerator
from cect2ct_rescyclegan.trainer import JITTER, ResCycleGan, pair_mode, slices
from ignite.engine import Events
from monai.transforms import Identityd, RandSpatialCropd
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from common import checkpoints
from common.data.sampling import EpochSampler
from common.data.slices import SliceDataset, UnpairedSliceDataset
from common.engines import GanTrainer
from common.errors import ConfigError
from common.losses import AdversarialLoss

CPU = torch.device("cpu")
ADAM = partial(torch.optim.Adam, lr=1e-2, betas=(0.5, 0.999))
ALL = {"adversarial": 1.0, "pair": 1.0, "cycle": 10.0, "identity": 5.0}
MODES = ["registered", "cross", "off"]
A, B = 0.2, 0.3


class Scale(nn.Module):
    """``weight * x``; remembers what it was given."""

    def __init__(self, weight: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(weight))
        self.given: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        self.given.append(x.detach())
        return self.weight * x


class Pair(nn.Module):
    """``2 x + 5 y`` of the channels x and y: tells their order; remembers what it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([2.0, 5.0]))
        self.given: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        self.given.append(x.detach())
        return (x * self.weight[:, None, None]).sum(1, keepdim=True)


def by_hand(mode: str, pool_size: int = 0, margin: int = 0, **weights: float) -> ResCycleGan:
    networks = {
        "generator_ab": Scale(0.5),
        "generator_ba": Scale(3.0),
        "discriminator_a": Scale(3.0),
        "discriminator_b": Scale(4.0),
    }
    loss = AdversarialLoss("least_squares")
    return ResCycleGan(Pair(), mode, weights or ALL, loss, pool_size, margin, **networks)


def batch(a: float = A, b: float = B) -> dict[str, Tensor]:
    return {"image": torch.full((2, 1, 4, 4), a), "label": torch.full((2, 1, 4, 4), b)}


def gradients(method: ResCycleGan) -> dict[str, list[float]]:
    """Of the networks that have one; None is no gradient, 0 would be one."""
    weights = {name: network.weight for name, network in [*method.generators.items(), *method.discriminators.items()]}
    return {name: weight.grad.flatten().tolist() for name, weight in weights.items() if weight.grad is not None}


def numbers(losses: dict[str, Tensor]) -> dict[str, float]:
    return {name: loss.item() for name, loss in losses.items()}


# ---- losses by hand -----------------------------------------------------------------------------------------------

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
    judge = method.discriminators["discriminator_pair"]
    seen = sorted(tuple(round(value, 6) for value in x[0, :, 0, 0].tolist()) for x in judge.given)  # type: ignore[union-attr]
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
    judges = [method.discriminators[f"discriminator_{kind}"] for kind in ("a", "b")]
    assert [len(judge.given) for judge in judges] == list(calls[:2])  # type: ignore[arg-type]
    assert ("pair" in losses) == (calls[2] is not None)
    assert set(method.discriminators) == {"discriminator_a", "discriminator_b"} | (
        set() if calls[2] is None else {"discriminator_pair"}
    )
    if calls[2] is not None:
        assert len(method.discriminators["discriminator_pair"].given) == calls[2]  # type: ignore[arg-type]


def test_both_directions_are_kept() -> None:
    method = by_hand("cross")
    assert method.kept() == {
        "model": method.generators["generator_ab"],
        "model_backward": method.generators["generator_ba"],
    }


# ---- what discriminators see --------------------------------------------------------------------------------------


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


# ---- the shift of synthetic pairs ---------------------------------------------------------------------------------


def _moved(image: Tensor, rows: int, columns: int) -> Tensor:
    """Row i, column j of the result is row i + rows, column j + columns of the image, or the nearest there is."""
    height, width = image.shape[-2:]
    over = np.clip(np.arange(height) + rows, 0, height - 1)
    across = np.clip(np.arange(width) + columns, 0, width - 1)
    return image[:, :, over][..., across]


def test_a_shift_repeats_the_edges(monkeypatch: pytest.MonkeyPatch) -> None:
    image = torch.randn(2, 1, 9, 6)
    for rows in range(-JITTER, JITTER + 1):
        for columns in range(-JITTER, JITTER + 1):
            drawn = iter([rows + JITTER, columns + JITTER])
            monkeypatch.setattr(torch, "randint", lambda *size, drawn=drawn, **options: torch.tensor(next(drawn)))
            assert torch.equal(under_test._shifted(image), _moved(image, rows, columns))
    assert torch.equal(_moved(image, 0, 0), image)


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


# ---- mode and data ------------------------------------------------------------------------------------------------


def items(count: int, first: int = 0, depth: int = 2, key: str | None = None) -> list[dict[str, Any]]:
    """Cases of (1, 20, 20, depth): air at -3, tissue inside the window, bone above; the target is the negative."""
    found = []
    for number in range(first, first + count):
        values = torch.randn(1, 20, 20, depth, generator=torch.Generator().manual_seed(number))
        volume = torch.where(values.abs() > 1.2, torch.sign(values) * 3, values)
        item = {"case": f"case_{number}", "image": volume, "label": -volume, "mask": torch.ones(1, 20, 20, depth)}
        found.append({name: value for name, value in item.items() if key in (None, name) or name in ("case", "mask")})
    return found


def cases(pairs: bool) -> dict[str, list[dict[str, Any]]]:
    """Four slices of pairs, or pools of two cases each that share none."""
    paired = items(2)
    if pairs:
        return {"training": paired, "training_A": paired, "training_B": paired}
    return {"training": [], "training_A": items(2, key="image"), "training_B": items(2, 10, key="label")}


def dataset(mode: str, pairs: bool) -> Dataset:
    listed = cases(pairs)
    crop = RandSpatialCropd(["image", "label"], [16, 16], random_size=False, allow_missing_keys=True)
    return slices(mode, listed, listed["training_A"], transform=Identityd(["mask"]), augmentation=crop, plane="axial")


@pytest.mark.parametrize(
    ("mode", "pairs", "expected"),
    [("auto", True, "registered"), ("auto", False, "cross")]
    + [(mode, True, mode) for mode in MODES]
    + [("cross", False, "cross"), ("off", False, "off")],
)
def test_the_mode(mode: str, pairs: bool, expected: str) -> None:
    assert pair_mode(mode, cases(pairs)) == expected


def test_registered_without_pairs_is_refused_and_cross_recommended() -> None:
    rule = "pair_mode: registered needs scans paired .*, but got no pairs; list pairs .* or use --pair_mode cross,"
    with pytest.raises(ConfigError, match=rule):
        pair_mode("registered", cases(pairs=False))


@pytest.mark.parametrize("pairs", [True, False])
def test_an_unknown_mode_is_named(pairs: bool) -> None:
    rule = "pair_mode: is auto or one of registered, cross, off, but got 'aligned'; choose one of them"
    with pytest.raises(ConfigError, match=rule):
        pair_mode("aligned", cases(pairs))


def test_registered_slices_are_pairs() -> None:
    found = dataset("registered", pairs=True)
    assert type(found) is SliceDataset
    assert len(found) == 4
    for index in range(4):
        sample = found[1, index]
        assert torch.equal(sample["label"], -sample["image"])
        assert sample["case"] == f"case_{index // 2}"


@pytest.mark.parametrize("mode", ["cross", "off"])
@pytest.mark.parametrize("pairs", [True, False])
def test_other_slices_are_of_two_pools(mode: str, pairs: bool) -> None:
    found = dataset(mode, pairs)
    assert type(found) is UnpairedSliceDataset
    assert len(found) == 4
    drawn = [found[epoch, index] for epoch in range(20) for index in range(4)]
    # the same crop of the same slice would be a rare chance
    assert sum(torch.equal(sample["label"], -sample["image"]) for sample in drawn) < 10
    partners = {tuple(sample["case"].split(", ")) for sample in drawn}
    targets = ("case_0", "case_1") if pairs else ("case_10", "case_11")
    assert partners == {(source, target) for source in ("case_0", "case_1") for target in targets}


# ---- training -----------------------------------------------------------------------------------------------------


def residual(
    mode: str, pool_size: int = 1, weights: dict[str, float] | None = None, moved: bool = False, width: int = 4
) -> ResCycleGan:
    """Residual U-Nets of depth 3 and small patch discriminators; ``moved``: as after some training."""
    generators = {name: ResidualGenerator(3, width) for name in ("generator_ab", "generator_ba")}
    judges = {name: PatchDiscriminator(1, width, 1) for name in ("discriminator_a", "discriminator_b")}
    for generator in generators.values() if moved else ():
        for weight in generator.parameters():
            nn.init.normal_(weight, 0.0, 0.3)
    loss = AdversarialLoss("least_squares")
    return ResCycleGan(PatchDiscriminator(2, width, 1), mode, weights or ALL, loss, pool_size, **generators, **judges)


def once(*given: dict[str, Tensor]) -> list[dict[str, Any]]:
    return [{**each, "case": "case"} for each in given]


def noise(seed: int = 5) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {key: torch.randn(1, 1, 16, 16, generator=generator) for key in ("image", "label")}


def train(method: ResCycleGan, data: Any, epochs: int = 1) -> GanTrainer:
    trainer = GanTrainer(CPU, epochs, data, method, ADAM)
    trainer.run()
    return trainer


def parameters(method: ResCycleGan) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in method.generators.named_parameters()}


def changed(method: ResCycleGan, before: dict[str, Tensor]) -> set[str]:
    return {name for name, value in parameters(method).items() if not torch.equal(value, before[name])}


LAST = {f"{name}.unet.decoder.2.1.{kind}" for name in ("generator_ab", "generator_ba") for kind in ("weight", "bias")}


@pytest.mark.parametrize("mode", MODES)
def test_at_the_start_cycle_and_identity_are_zero_and_push_nowhere(mode: str) -> None:
    torch.manual_seed(0)
    method = residual(mode)
    losses = method.generator_losses(noise(), method.generate(noise()))
    assert losses["cycle"].item() == 0
    assert losses["identity"].item() == 0
    (losses["cycle"] + losses["identity"]).backward()
    found = [weight.grad for weight in method.generators.parameters()]
    assert all(gradient is not None and not gradient.any() for gradient in found)


@pytest.mark.parametrize(
    ("mode", "weights", "moved"),
    [
        ("cross", {"adversarial": 0, "pair": 0, "cycle": 10, "identity": 5}, set()),
        ("off", {"adversarial": 0, "pair": 1, "cycle": 10, "identity": 5}, set()),
        ("off", {"adversarial": 1, "cycle": 10, "identity": 5}, LAST),
        ("registered", {"adversarial": 0, "pair": 1, "cycle": 10, "identity": 5}, LAST),
        ("cross", {"adversarial": 0, "pair": 1, "cycle": 10, "identity": 5}, LAST),
    ],
)
def test_only_adversaries_move_the_generators_at_first(mode: str, weights: dict, moved: set) -> None:
    torch.manual_seed(0)
    method = residual(mode, weights=weights)
    before = parameters(method)
    train(method, once(noise()))
    assert changed(method, before) == moved


def test_from_the_second_step_on_all_weights_move() -> None:
    torch.manual_seed(0)
    method = residual("cross")
    before = parameters(method)
    trainer = train(method, once(noise(5), noise(6)))
    assert changed(method, before) == set(before)
    assert trainer.state.metrics["cycle"] > 0
    assert trainer.state.metrics["identity"] > 0


@pytest.mark.parametrize(("mode", "pairs"), [("registered", True), ("cross", False), ("cross", True), ("off", False)])
def test_every_mode_trains_with_finite_named_losses(mode: str, pairs: bool) -> None:
    torch.manual_seed(0)
    method, data = residual(mode), dataset(mode, pairs)
    before = {name: value.clone() for name, value in method.named_parameters()}
    trainer = train(method, DataLoader(data, 2, sampler=EpochSampler(data)))  # type: ignore[arg-type]
    assert trainer.state.iteration == 2
    names = {"discriminator_a", "discriminator_b", "adversarial", "cycle", "identity", "loss", "learning_rate"}
    names |= set() if mode == "off" else {"discriminator_pair", "pair"}
    metrics = trainer.state.metrics
    assert set(metrics) == names
    assert all(math.isfinite(value) for value in metrics.values())
    expected = sum(weight * metrics[name] for name, weight in ALL.items() if name in metrics)
    assert metrics["loss"] == pytest.approx(expected, rel=1e-5)
    assert all(not torch.equal(value, before[name]) for name, value in method.named_parameters())


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("value", [-3.0, -1.0, 0.0])
def test_flat_slices_leave_everything_finite(mode: str, value: float) -> None:
    torch.manual_seed(0)
    method = residual(mode, moved=True)
    flat = torch.full((1, 1, 16, 16), value)
    given = [{"image": flat, "label": flat}, {"image": noise()["image"], "label": flat}]
    trainer = train(method, once(*given), epochs=2)  # a loss or gradient that is not finite would stop it
    assert trainer.state.iteration == 4
    assert all(math.isfinite(loss) for loss in trainer.state.metrics.values())
    assert all(torch.isfinite(weight).all() for weight in method.state_dict().values())


@pytest.mark.parametrize("mode", MODES)
def test_air_alone_is_left_alone(mode: str) -> None:
    torch.manual_seed(0)
    method = residual(mode, moved=True)
    before = parameters(method)
    air = torch.full((1, 1, 16, 16), -3.0)
    trainer = train(method, once(*[{"image": air, "label": air}] * 2))
    assert torch.equal(trainer.state.output["pred"], air)
    assert trainer.state.metrics["cycle"] == trainer.state.metrics["identity"] == 0
    assert changed(method, before) == set()


# ---- going on -----------------------------------------------------------------------------------------------------

EPOCHS = 4
"""Of two steps each."""


def _resumable(mode: str, epochs: int, seed: int) -> GanTrainer:
    torch.manual_seed(seed)
    data = dataset(mode, pairs=mode == "registered")
    loader = DataLoader(data, 2, sampler=EpochSampler(data))  # type: ignore[arg-type]
    return GanTrainer(CPU, epochs, loader, residual(mode, pool_size=3), ADAM, seed=7)


def _same(one: Any, other: Any) -> bool:
    """Equal bit for bit, through dictionaries and lists."""
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(_same, one, other))
    return torch.equal(one, other) if isinstance(one, Tensor) else one == other


@pytest.fixture(scope="module", params=["registered", "cross"])
def uninterrupted(request: pytest.FixtureRequest) -> tuple[str, dict]:
    trainer = _resumable(request.param, EPOCHS, seed=0)
    trainer.run()
    return request.param, trainer.state_to_save()


def _go_on(mode: str, path: Path, change: Callable[[dict], None] = lambda networks: None) -> dict:
    saved = checkpoints.load(path)
    change(saved["networks"])
    trainer = _resumable(mode, EPOCHS, seed=99)  # other initial weights, to be replaced
    trainer.load_saved_state(saved)
    trainer.run()
    return trainer.state_to_save()


def _interrupted(mode: str, path: Path, step: int) -> None:
    trainer = _resumable(mode, EPOCHS, seed=0)

    def stop(engine: GanTrainer) -> None:
        checkpoints.save(engine.state_to_save(), path)
        engine.terminate()

    trainer.add_event_handler(Events.ITERATION_COMPLETED(once=step), stop)
    trainer.run()
    assert trainer.state.iteration == step


@pytest.mark.parametrize("step", [1, 2, 4, 5], ids=lambda step: f"after step {step}")
def test_a_resumed_run_repeats_an_uninterrupted_one(uninterrupted: tuple, tmp_path: Path, step: int) -> None:
    mode, expected = uninterrupted
    assert {name for name in expected["networks"] if name.startswith("pools.") and name.endswith("images")} == {
        f"pools.{name}.images" for name in ("a", "b", "pair_ab", "pair_ba")
    }
    _interrupted(mode, tmp_path / "last.pt", step)
    found = _go_on(mode, tmp_path / "last.pt")
    assert found["iteration"] == 2 * EPOCHS
    assert _same(found, expected)


@pytest.mark.parametrize("pool", ["a", "b", "pair_ab", "pair_ba"])
def test_a_lost_pool_would_be_noticed(uninterrupted: tuple, tmp_path: Path, pool: str) -> None:
    mode, expected = uninterrupted
    _interrupted(mode, tmp_path / "last.pt", 4)
    found = _go_on(mode, tmp_path / "last.pt", lambda networks: networks[f"pools.{pool}.images"].zero_())
    kind = pool.partition("_")[0]
    names = [name for name in expected["networks"] if name.startswith(f"discriminators.discriminator_{kind}.")]
    assert names
    assert not all(torch.equal(found["networks"][name], expected["networks"][name]) for name in names)
