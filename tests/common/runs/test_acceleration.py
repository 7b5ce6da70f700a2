"""Every acceleration option trains to the same weights; unsupported options are skipped with one log line."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from loss_settings import losses_of
from monai.engines.utils import IterationEvents
from torch import Tensor, nn
from torch.utils.data import Dataset

from common.data.loader import EpochLoader
from common.errors import ConfigError
from common.losses import AdversarialLoss
from common.runs import acceleration
from common.runs.acceleration import Acceleration
from common.training import SynthesisTrainer
from common.training.methods.conditional import ConditionalGan

ADAM = partial(torch.optim.Adam, lr=2.0**-10, betas=(0.5, 0.999))
"""The rate is one that 32 bits hold exactly, as a recorded step has it on the device."""
CPU = torch.device("cpu")
HAS_CUDA = torch.cuda.is_available()


class Doubling(Dataset):
    """Six random images (1, 8, 8[, 8]) and their doubles."""

    def __init__(self, dimensions: int) -> None:
        self.images = torch.randn(6, 1, *([8] * dimensions), generator=torch.Generator().manual_seed(0))

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, key: tuple[int, int]) -> dict[str, Tensor | str]:
        return {"image": self.images[key[1]], "label": 2 * self.images[key[1]], "case": f"case_{key[1]}"}


def method(dimensions: int = 2, adversarial: float = 1.0) -> ConditionalGan:
    """Two convolutions with a batch norm between, against one convolution."""
    torch.manual_seed(0)
    convolution, norm = (nn.Conv2d, nn.BatchNorm2d) if dimensions == 2 else (nn.Conv3d, nn.BatchNorm3d)
    # no bias before the norm: its gradient is nothing but rounding, which Adam would magnify
    first = convolution(1, 8, 3, padding=1, bias=False)
    generator = nn.Sequential(first, norm(8), nn.LeakyReLU(0.2), convolution(8, 1, 3, padding=1))
    losses = losses_of({"adversarial": adversarial, "l1": 10.0})
    return ConditionalGan(generator, convolution(2, 1, 4), losses, AdversarialLoss("least_squares"))


def trained(dimensions: int = 2, epochs: int = 2, device: torch.device = CPU, **settings) -> SynthesisTrainer:
    """After two epochs of three steps."""
    data = EpochLoader(Doubling(dimensions), batch_size=2)
    trainer = SynthesisTrainer(device, epochs, data, method(dimensions), ADAM, **settings)
    trainer.run()
    return trainer


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Lines of the log about accelerations."""
    return [record.getMessage() for record in caplog.records if record.name == acceleration.__name__]


def distance(one: SynthesisTrainer, other: SynthesisTrainer) -> float:
    """Largest difference of two trainers' weights; floating-point noise is 1e-6, a lost update at least 1e-3."""
    pairs = zip(one.method.parameters(), other.method.parameters(), strict=True)
    return max(float((a - b).detach().abs().max()) for a, b in pairs)


@pytest.mark.parametrize("dimensions", [2, 3])
@pytest.mark.parametrize(("channels_last", "fused"), [(True, False), (False, True), (True, True)])
def test_layout_and_fused_optimisers_change_nothing(dimensions: int, channels_last: bool, fused: bool) -> None:
    plain = trained(dimensions)
    fast = trained(dimensions, acceleration={"channels_last": channels_last, "fused": fused})
    assert distance(plain, fast) < 2e-5
    layout = torch.channels_last if dimensions == 2 else torch.channels_last_3d
    assert fast.method.deployed[3].weight.is_contiguous(memory_format=layout) == channels_last
    assert all(bool(o.param_groups[0]["fused"]) == fused for o in fast.optimizers.values())


@pytest.mark.parametrize("dimensions", [2, 3])
def test_a_channels_last_normalisation_is_as_exact_as_pytorchs(dimensions: int) -> None:
    layer = [nn.InstanceNorm2d, nn.InstanceNorm3d][dimensions - 2](3, affine=True)
    nn.init.uniform_(layer.weight), nn.init.uniform_(layer.bias)
    generator = torch.Generator().manual_seed(0)
    x = 1000 + torch.rand(2, 3, *[16] * dimensions, generator=generator)  # mean 1000, deviation .29
    mean = x.double().flatten(2).mean(2)[(..., *[None] * dimensions)]
    variance = (x.double() - mean).square().flatten(2).mean(2)[(..., *[None] * dimensions)]
    over = (slice(None), *[None] * dimensions)
    expected = (x.double() - mean) / (variance + 1e-5).sqrt() * layer.weight[over] + layer.bias[over]
    Acceleration(channels_last=True).prepare([layer])
    layout = torch.channels_last if dimensions == 2 else torch.channels_last_3d
    with torch.no_grad():
        normal, other = layer(x.contiguous(memory_format=layout)), layer(x)
    assert normal.is_contiguous(memory_format=layout)
    assert float((normal - expected.detach()).abs().max()) < 1e-3  # a variance of E[x^2] - E[x]^2 is off by 1
    torch.testing.assert_close(other, normal, rtol=0, atol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("dimensions", [2, 3])
def test_compiled_networks_learn_the_same(dimensions: int) -> None:
    plain = trained(dimensions)
    fast = trained(dimensions, acceleration={"compile": True, "channels_last": True, "fused": True}, ema_decay=0.5)
    assert fast.acceleration.compile
    assert distance(plain, fast) < 2e-5
    assert list(fast.method.state_dict()) == list(plain.method.state_dict())


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_all_settings_train_together(precision: str) -> None:
    torch.manual_seed(0)
    fast = {"channels_last": True, "compile": False, "cuda_graph": "auto", "fused": True}
    settings = {"accumulation_steps": 2, "ema_decay": 0.9, "clip_norm": 1.0}
    trainer = trained(epochs=60, acceleration=fast, precision=precision, **settings)
    first = trained(epochs=1, precision=precision)
    # the label is twice the image: 1.6 on average at the start
    assert float(trainer.state.metrics["l1"]) < 0.55 * float(first.state.metrics["l1"])


def test_on_a_cpu_auto_fuses_optimisers_and_nothing_else(caplog: pytest.LogCaptureFixture) -> None:
    chosen = Acceleration.of(dict.fromkeys(Acceleration.__dataclass_fields__, "auto"), CPU, ADAM)
    assert chosen == Acceleration(fused=True)
    assert not said(caplog)


@pytest.mark.parametrize(
    ("device", "optimizer", "more", "reason"),
    [
        ("cpu", ADAM, {}, "graphs need a CUDA device, this is cpu"),
        ("cuda", ADAM, {"accumulation_steps": 4}, "accumulation_steps is 4"),
        ("cuda", ADAM, {"precision": "fp16"}, "the gradient scaler of fp16 decides on the host; bf16 needs none"),
        ("cuda", partial(torch.optim.LBFGS, lr=1.0), {}, "this optimiser cannot be captured"),
    ],
)
def test_what_a_graph_cannot_hold(device, optimizer, more, reason, caplog: pytest.LogCaptureFixture) -> None:
    chosen = Acceleration.of({"cuda_graph": True}, torch.device(device), optimizer, **more)
    assert not chosen.cuda_graph
    assert said(caplog) == [f"--acceleration::cuda_graph is off: {reason}"]
    caplog.clear()
    assert not Acceleration.of({"cuda_graph": "auto"}, torch.device(device), optimizer, **more).cuda_graph
    assert not said(caplog)


def test_a_machine_that_cannot_compile_trains_all_the_same(monkeypatch, caplog: pytest.LogCaptureFixture) -> None:
    def broken(self: nn.Module, *args: object, **kwargs: object) -> None:
        raise RuntimeError("no C++ compiler found\nlong story")

    plain = trained()
    monkeypatch.setattr(nn.Linear, "forward", broken)
    same = trained(acceleration={"compile": True})
    assert distance(plain, same) == 0
    (line,) = said(caplog)
    assert line.startswith("--acceleration::compile is off: torch.compile failed here (")
    assert "long story" not in line


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"turbo": True},
            "--acceleration::turbo is not a setting: choose channels_last, compile, cuda_graph or fused",
        ),
        ({"fused": "yes"}, "--acceleration::fused is 'yes': give true, false or auto"),
    ],
)
def test_mistakes_are_named(settings: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Acceleration.of(settings, CPU, ADAM)


def test_a_run_goes_on_with_its_own_way_of_updating() -> None:
    fused = trained(acceleration={"fused": True})
    own = fused.optimizers["generators"].param_groups[0]  # as a recorded step has it, half way down a schedule
    own["initial_lr"], own["lr"] = 0.5, torch.tensor(0.25)
    saved = fused.state_to_save()
    assert saved["optimizers"]["generators"]["param_groups"][0]["lr"] == 0.25
    plain = trained()
    plain.load_saved_state(saved)
    group = plain.optimizers["generators"].param_groups[0]
    assert not group["fused"]
    assert type(group["lr"]) is float
    assert group["lr"] == 2.0**-11  # half of its own
    fused.load_saved_state(plain.state_to_save())
    rate = fused.optimizers["generators"].param_groups[0]["lr"]
    assert isinstance(rate, Tensor)  # the very tensor that a recorded step reads
    assert fused.optimizers["generators"].param_groups[0]["fused"]


@pytest.mark.gpu
@pytest.mark.skipif(not HAS_CUDA, reason="needs a CUDA device")
class TestGraph:
    @pytest.mark.parametrize("precision", ["fp32", "bf16"])
    def test_replayed_steps_are_the_eager_ones_bit_for_bit(self, precision: str, monkeypatch) -> None:
        device = torch.device("cuda", 0)
        monkeypatch.setattr(torch.backends.cudnn, "deterministic", True)
        settings = {"epochs": 4, "device": device, "precision": precision}
        eager = trained(**settings, acceleration={"fused": True})
        graph = trained(**settings, acceleration={"fused": True, "cuda_graph": True})
        assert graph.acceleration.cuda_graph
        assert distance(eager, graph) == 0
        assert eager.state.metrics == graph.state.metrics

    @pytest.mark.parametrize("cuda_graph", [False, True])
    def test_compiled_networks_learn_the_same_on_a_gpu(self, cuda_graph: bool, monkeypatch) -> None:
        device = torch.device("cuda", 0)
        monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)  # whose convolutions round to ten bits
        plain = trained(device=device)
        fast = trained(device=device, acceleration={"compile": True, "fused": True, "cuda_graph": cuda_graph})
        assert fast.acceleration.compile
        assert not cuda_graph or fast.run_step.recordings == 1
        assert distance(plain, fast) < 2e-5

    def test_a_listening_handler_keeps_steps_eager(self, caplog: pytest.LogCaptureFixture) -> None:
        class Listener:
            heard = 0

            def attach(self, engine: SynthesisTrainer) -> None:
                engine.add_event_handler(IterationEvents.LOSS_COMPLETED, self)

            def __call__(self, engine: SynthesisTrainer) -> None:
                self.heard += 1

        listener = Listener()
        settings = {"cuda_graph": True}
        trained(device=torch.device("cuda", 0), acceleration=settings, train_handlers=[listener])
        assert listener.heard == 6
        assert "is off: a handler listens to loss_completed" in caplog.text
