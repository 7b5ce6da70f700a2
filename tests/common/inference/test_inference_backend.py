"""The backend of an inference, by a clock and a conversion of the test, and OpenVINO itself where it is installed."""

from __future__ import annotations

import copy
import json
import logging
import re
import sys
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn

from common.inference import backend as backends
from common.inference.autocast import AutocastInferer
from common.inference.backend import AGREEMENT, OPENVINO, TORCH, Backend
from common.inference.measurements import Measurements, cache_file
from common.inference.openvino_networks import Run, is_there, openvino_of
from common.networks.cascade import Cascade
from common.stitching import CascadeInferer, FlowInferer, MirrorInferer, PatchStitchingInferer, PlaneInferer

CPU = torch.device("cpu")
needs_openvino = pytest.mark.skipif(not is_there(), reason="needs the extra openvino")


class Clock:
    """Seconds that pass only where a double says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Tripling(nn.Module):
    """y = 3 x, in ten seconds by the clock of the test, and how often it was asked."""

    def __init__(self, clock: Clock, seconds: float = 10.0) -> None:
        super().__init__()
        self.clock, self.seconds, self.calls = clock, seconds, 0
        self.factor = nn.Parameter(torch.tensor(3.0))

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        self.clock.now += self.seconds
        return self.factor * x


class Converter:
    """In the place of OpenVINO: the network's values times ``factor``, in so many seconds."""

    def __init__(self, clock: Clock, seconds: float = 4.0, factor: float = 1.0, fails: bool = False) -> None:
        self.clock, self.seconds, self.factor, self.fails = clock, seconds, factor, fails
        self.examples: list[Tensor] = []
        self.calls = 0

    def __call__(self, network: nn.Module, example: Tensor, precision: str) -> Run:
        self.examples.append(example)
        if self.fails:
            raise RuntimeError("no such operation")
        assert "forward" not in vars(network)  # what is converted is the network's own forward

        def run(x: Tensor) -> Tensor:
            self.calls += 1
            self.clock.now += self.seconds
            return 3.0 * self.factor * x

        return run


@pytest.fixture(autouse=True)
def installed(monkeypatch, tmp_path):
    """As where the extra is installed, so that the doubles are asked everywhere, with a cache of the test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in ("openvino_of", "time"):  # of which backend_of puts doubles in the place
        monkeypatch.setattr(backends, name, getattr(backends, name))
    monkeypatch.setattr(backends, "is_there", lambda: True)
    if not sys.modules.get("openvino"):
        version = backends.importlib.metadata.version
        monkeypatch.setattr(
            backends.importlib.metadata, "version", lambda name: "1" if name == "openvino" else version(name)
        )


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def weights(tmp_path):
    path = tmp_path / "model.pt"
    path.write_bytes(b"weights")
    return path


def volume(*shape: int) -> Tensor:
    """(1, 1, X, Y, Z) of values from -1 to 1; its first two slices span 242 of the 254 steps of (4, 4, 8)."""
    return torch.linspace(-1, 1, torch.Size(shape).numel()).reshape(1, 1, *shape)


def backend_of(weights, clock, convert, asked="auto", precision="fp32", device=CPU) -> Backend:
    backends.openvino_of, backends.time = convert, SimpleNamespace(perf_counter=clock)
    return Backend({"backend": asked}, device, precision, weights)


def infer(backend, network, inputs, inferer=None, precision="fp32"):
    inferer = inferer or PlaneInferer("axial", batch_size=2, multiple_of=1)
    return AutocastInferer(inferer, CPU, precision, backend)(inputs, network.eval())


class TestChoiceOfBackend:
    def test_the_faster_one_that_agrees_takes_all_further_windows(self, weights, clock, caplog):
        caplog.set_level(logging.INFO)
        network, convert = Tripling(clock), Converter(clock)
        backend = backend_of(weights, clock, convert)
        assert torch.equal(infer(backend, network, volume(4, 4, 8)), 3 * volume(4, 4, 8))
        assert (network.calls, convert.calls) == (1, 4)  # four batches of two slices, the first by both
        assert backend.names() == OPENVINO
        lines = [record.message for record in caplog.records]
        assert lines == [
            "backend openvino: 2.5 times as fast as torch, largest difference 0.0e+00 of the scale on a window of 4 x 4"
        ]
        assert "forward" not in vars(network)

    @pytest.mark.parametrize(
        ("changes", "line"),
        [
            ({"seconds": 11.0}, "backend torch: openvino is not faster on a window of 4 x 4"),
            ({"factor": 1 + 4 * AGREEMENT}, "the output of openvino differs by 2.1e-03 of its scale on a window"),
            ({"factor": float("nan")}, "the output of openvino differs by nan of its scale"),
            ({"fails": True}, r"openvino cannot convert the network on a window of 4 x 4 \(RuntimeError: no such op"),
        ],
    )
    def test_torch_stays_where_openvino_does_not_serve(self, weights, clock, caplog, changes, line):
        caplog.set_level(logging.INFO)
        network, convert = Tripling(clock), Converter(clock, **changes)
        backend = backend_of(weights, clock, convert)
        assert torch.equal(infer(backend, network, volume(4, 4, 8)), 3 * volume(4, 4, 8))
        assert (network.calls, backend.names()) == (4, TORCH)
        assert len(convert.examples) == 1
        assert len(caplog.records) == 1
        assert re.search(line, caplog.text)

    def test_the_next_run_does_not_measure(self, weights, clock):
        infer(backend_of(weights, clock, Converter(clock)), Tripling(clock), volume(4, 4, 8))
        network, convert = Tripling(clock), Converter(clock, seconds=99.0)  # slower now, but nobody asks
        infer(backend_of(weights, clock, convert), network, volume(4, 4, 8))
        assert (network.calls, convert.calls) == (0, 4)
        (row,) = json.loads(cache_file().read_text()).values()
        assert row == [0.4, 0.0, 10.0 / 32]  # ratio, difference, seconds of torch for an element

    @pytest.mark.parametrize("change", ["weights", "size", "threads"])
    def test_other_weights_sizes_and_threads_are_measured(self, weights, clock, change, monkeypatch):
        infer(backend_of(weights, clock, Converter(clock)), Tripling(clock), volume(4, 4, 8))
        if change == "weights":
            weights.write_bytes(b"other weights")
        elif change == "threads":
            monkeypatch.setattr(torch, "get_num_threads", lambda: 17)
        network = Tripling(clock)
        infer(backend_of(weights, clock, Converter(clock)), network, volume(4, 6 if change == "size" else 4, 8))
        assert network.calls == 1

    @pytest.mark.parametrize("content", ["", "[1]", '{"a": [1, "x", 2]}', "{" * 9])
    def test_a_spoilt_cache_is_one_without_measurements(self, weights, clock, content):
        cache_file().parent.mkdir(parents=True)
        cache_file().write_text(content)
        network = Tripling(clock)
        infer(backend_of(weights, clock, Converter(clock)), network, volume(4, 4, 8))
        assert network.calls == 1
        assert len(Measurements().read()) == 1

    def test_what_saves_less_than_a_conversion_takes_is_left_to_torch_until_it_adds_up(self, weights, clock):
        for turn in range(3):  # a volume takes torch 4 windows of 2.5 s; measured in the first process, it saves .75 s
            network, convert = Tripling(clock, seconds=2.5), Converter(clock, seconds=2.3125)
            backend = backend_of(weights, clock, convert)
            for case in range(3):
                infer(backend, network, volume(4, 4, 8))
                assert backend.names() == (OPENVINO if turn == 0 or case == 2 else TORCH)

    def test_air_decides_nothing(self, weights, clock):
        inputs = torch.cat([torch.full((1, 1, 4, 4, 2), -1.0), volume(4, 4, 6)], dim=4)
        network, convert = Tripling(clock), Converter(clock)
        assert torch.equal(infer(backend_of(weights, clock, convert), network, inputs), 3 * inputs)
        assert (network.calls, convert.calls) == (2, 3)

    def test_bf16_may_differ_from_fp32_and_says_by_how_much(self, weights, clock, caplog):
        caplog.set_level(logging.INFO)
        backend = backend_of(weights, clock, Converter(clock, factor=1.0625), precision="bf16")
        assert torch.allclose(infer(backend, Tripling(clock), volume(4, 4, 8)), 3.1875 * volume(4, 4, 8), atol=1e-6)
        assert "largest difference from fp32 3.3e-02 of the scale" in caplog.text


class TestBackendAsked:
    def test_openvino_is_taken_even_if_slower(self, weights, clock):
        backend = backend_of(weights, clock, Converter(clock, seconds=11.0), OPENVINO)
        infer(backend, Tripling(clock, seconds=0.0001), volume(4, 4, 8))
        assert backend.names() == OPENVINO

    def test_openvino_that_differs_gives_way_with_a_warning(self, weights, clock, caplog):
        backend = backend_of(weights, clock, Converter(clock, factor=1.1), OPENVINO)
        assert torch.equal(infer(backend, Tripling(clock), volume(4, 4, 8)), 3 * volume(4, 4, 8))
        assert [record.levelname for record in caplog.records] == ["WARNING"]

    @pytest.mark.parametrize(
        ("settings", "why"),
        [({"precision": "fp16"}, "it has no fp16"), ({"device": torch.device("cuda")}, "it is for a CPU")],
    )
    def test_openvino_is_off_with_the_reason(self, weights, clock, caplog, settings, why):
        assert not backend_of(weights, clock, Converter(clock), OPENVINO, **settings).is_on
        assert caplog.messages == [f"--acceleration::backend openvino is off: {why}"]


class TestWhatGoesThroughTheBackend:
    def test_sampled_dropout_stays_in_torch(self, weights, clock):
        network = nn.Sequential(Tripling(clock), nn.Dropout(0.5)).eval()
        network[1].train()
        convert = Converter(clock)
        with backend_of(weights, clock, convert, OPENVINO).running(network, 128):
            network(torch.ones(1, 1, 4, 4))
        assert convert.examples == []

    def test_each_stage_of_a_cascade(self, weights, clock):
        class Sum(Tripling):
            def forward(self, x: Tensor) -> Tensor:
                return super().forward(x).sum(dim=1, keepdim=True)

        class Summing(Converter):
            def __call__(self, network: nn.Module, example: Tensor, precision: str) -> Run:
                run = super().__call__(network, example, precision)
                return lambda x: run(x).sum(dim=1, keepdim=True)

        network, convert = Cascade([Sum(clock), Sum(clock)]), Summing(clock)
        inferer = CascadeInferer(PatchStitchingInferer("faithful", 4, stride=4, batch_size=1))
        made = infer(backend_of(weights, clock, convert), network, volume(4, 4, 8), inferer)
        assert torch.equal(made, 12 * volume(4, 4, 8))  # 3 (x + 3 x)
        assert [example.shape[1] for example in convert.examples] == [1, 2]
        assert convert.calls == 4

    def test_mirrors_and_steps_of_a_flow(self, weights, clock):
        planes = PlaneInferer("axial", batch_size=8, multiple_of=1)
        network, convert = Tripling(clock), Converter(clock)
        backend = backend_of(weights, clock, convert)
        assert torch.equal(infer(backend, network, volume(4, 4, 8), MirrorInferer(planes, [0, 1])), 3 * volume(4, 4, 8))
        assert (network.calls, convert.calls) == (1, 4)

        class First(Tripling):
            def forward(self, x: Tensor) -> Tensor:
                return super().forward(x)[:, :1]

        class FirstOf(Converter):
            def __call__(self, network: nn.Module, example: Tensor, precision: str) -> Run:
                run = super().__call__(network, example, precision)
                return lambda x: run(x)[:, :1]

        of_flow = FirstOf(clock)
        backend = backend_of(weights, clock, of_flow)
        flow = infer(backend, First(clock), volume(4, 4, 8), FlowInferer(planes, steps=2))
        assert torch.allclose(flow, 3 * volume(4, 4, 8), atol=1e-5)
        assert of_flow.calls == 2


def unet(dimensions: int) -> nn.Module:
    torch.manual_seed(0)
    convolution = nn.Conv2d if dimensions == 2 else nn.Conv3d
    up = nn.ConvTranspose2d if dimensions == 2 else nn.ConvTranspose3d
    down = nn.Sequential(convolution(1, 4, 3, 2, 1), nn.LeakyReLU(0.2))
    return nn.Sequential(down, up(4, 4, 2, 2), nn.ReLU(), convolution(4, 1, 3, 1, 1), nn.Tanh()).eval()


@needs_openvino
class TestOpenvinoItself:
    @pytest.mark.parametrize("dimensions", [2, 3])
    def test_one_conversion_for_all_batches_and_sizes(self, dimensions):
        network = unet(dimensions)
        run = openvino_of(network, torch.randn(2, 1, *[16] * dimensions), "fp32")
        for batch, side in ((2, 16), (1, 16), (3, 24), (1, 40), (1, 64)):
            x = torch.randn(batch, 1, *[side] * dimensions)
            torch.testing.assert_close(run(x), network(x), rtol=0, atol=1e-5)

    def test_a_corner_of_a_volume_is_traced(self):
        traced: list[tuple[int, ...]] = []
        network = unet(3)
        network.register_forward_pre_hook(lambda _, inputs: traced.append(tuple(inputs[0].shape)))
        x = torch.randn(2, 1, 128, 96, 40)
        run = openvino_of(network, x, "fp32")
        assert traced == [(1, 1, 64, 32, 40)]
        torch.testing.assert_close(run(x), network(x), rtol=0, atol=1e-5)

    @pytest.mark.parametrize("norm", [nn.InstanceNorm2d(16, affine=True), nn.GroupNorm(4, 16), nn.BatchNorm2d(16)])
    def test_a_small_object_in_air_keeps_its_digits_in_a_norm(self, norm):
        torch.manual_seed(0)
        network = nn.Sequential(nn.Conv2d(1, 16, 3, padding=1), norm).eval()
        x = -torch.ones(2, 1, 64, 64)
        x[:, :, 30:39, 30:39] = torch.rand(2, 1, 9, 9)
        exact = copy.deepcopy(network).double()(x.double()).float()
        run = openvino_of(network, x, "fp32")
        torch.testing.assert_close(run(x), exact, rtol=0, atol=1e-4)  # 3.5e-4 with the kernel of OpenVINO 2026.4

    def test_a_network_is_converted_under_autocast(self):
        network, x = unet(2), torch.randn(1, 1, 16, 16)
        with torch.autocast("cpu", torch.bfloat16):
            run = openvino_of(network, x, "bf16")
        torch.testing.assert_close(run(x), network(x), rtol=0, atol=2e-2)

    def test_a_volume_is_that_of_torch(self, weights):
        network, inputs = unet(2), volume(8, 8, 6)
        backend = Backend({"backend": OPENVINO}, CPU, "fp32", weights)
        made = infer(backend, network, inputs, PlaneInferer("axial", batch_size=4, multiple_of=8))
        expected = PlaneInferer("axial", batch_size=4, multiple_of=8)(inputs, network)
        torch.testing.assert_close(made, expected, rtol=0, atol=1e-5)
        assert backend.names() == OPENVINO

    def test_nothing_is_reported_to_its_makers(self):
        openvino_of(unet(2), torch.randn(1, 1, 16, 16), "fp32")
        assert sys.modules["openvino_telemetry"] is None
