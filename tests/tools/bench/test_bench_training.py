"""Training benchmarks at toy size: which rows there are, and that both sides of a ratio compute the same step."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.bench.training import PlainLoop, batch_of, trainer_of

TOY = {"width": 4, "depth": 4, "crop_size": 32, "pad_size": 40, "batch_size": 2}
PHANTOMS = {"phantoms::cases": 3, "phantoms::spacing": 5}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("phantoms")


def test_the_plain_loop_and_the_engine_make_the_same_update(data: Path) -> None:
    settings = {"learning_rate": 2e-4, "network_def::dropout": 0.0}
    trainer = trainer_of("mr2ct_pix2pix", "demo", data, 1, **TOY, **PHANTOMS, **settings)
    plain, batch = PlainLoop(trainer), batch_of(trainer)
    start = [weight.detach().clone() for weight in plain.method.parameters()]
    trainer.method.train()
    trainer.finite.begin(1, "case")
    trainer.step(batch)
    plain.step(batch)
    pairs = [*zip(plain.method.parameters(), trainer.method.parameters(), start, strict=True)]
    assert max(float((one - first).detach().abs().max()) for one, _, first in pairs) > 1e-4
    assert max(float((one - other).detach().abs().max()) for one, other, _ in pairs) < 1e-6
