"""Checkpoints are written atomically, and damaged or foreign ones are refused with the reason."""

from __future__ import annotations

import copy
import hashlib
import json
import os
import pickle
import resource
from pathlib import Path
from typing import Any

import pytest
import torch
from ignite.engine import Engine
from monai.bundle import ckpt_export
from torch import nn

from common.errors import CheckpointError, OutputError
from common.networks.strict_loading import refuse_other_weights
from common.runs import WeightsLoader
from common.weights import checkpoints, info
from tools.repository import ROOT


def _network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """The sound weights of :func:`_network`."""
    path = tmp_path / "model.pt"
    checkpoints.save(_network().state_dict(), path)
    return path


def _altered(path: Path, **changes: Any) -> Path:
    content = torch.load(path, weights_only=True) | changes
    checkpoints.save({name: value for name, value in content.items() if value is not None}, path)
    return path


# ---- writing ------------------------------------------------------------------------------------------------------


def test_what_is_saved_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "folder" / "last.pt"
    checkpoints.save({"a": torch.tensor([1.5, -2.0]), "b": {"c": "text", "d": 7, "e": None, "f": [1, 2]}}, path)
    loaded = checkpoints.load(path)
    assert loaded["a"].tolist() == [1.5, -2.0]
    assert loaded["b"] == {"c": "text", "d": 7, "e": None, "f": [1, 2]}
    assert [each.name for each in path.parent.iterdir()] == ["last.pt"]


def test_a_full_disk_is_an_output_error(weights: Path, tmp_path: Path) -> None:
    before = weights.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))  # a real short write, deep inside torch's writer
    try:
        with pytest.raises(OutputError, match=r"cannot write .*model\.pt \(.*\): free space"):
            checkpoints.save({"large": torch.zeros(100_000)}, weights)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert weights.read_bytes() == before
    assert os.listdir(tmp_path) == ["model.pt"]


# ---- reading ------------------------------------------------------------------------------------------------------


def test_the_handler_loads_at_the_start(weights: Path) -> None:
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
    seen: list[torch.Tensor] = []
    engine = Engine(lambda engine, batch: seen.append(network.state_dict()["0.weight"].clone()))
    WeightsLoader(network, str(weights)).attach(engine)
    engine.run([0])
    assert torch.equal(seen[0], _network().state_dict()["0.weight"])


def test_missing(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"^no weights at .*no\.pt: train the bundle first, or pass --output_"):
        checkpoints.load(tmp_path / "no.pt")
    with pytest.raises(CheckpointError, match="^no weights at "):
        checkpoints.load(tmp_path)  # a folder is no checkpoint either


def test_a_flipped_bit_in_a_tensor_is_found(weights: Path) -> None:
    content = bytearray(weights.read_bytes())
    place = content.index(_network().state_dict()["0.weight"].numpy().tobytes())
    content[place + 2] ^= 0b100
    weights.write_bytes(bytes(content))
    # torch itself would load it without a word, which is why the checksums are compared
    silent = torch.load(weights, weights_only=True)["0.weight"]
    assert not torch.equal(silent, _network().state_dict()["0.weight"])
    with pytest.raises(CheckpointError, match=r"has a damaged record, .*data/\d"):
        checkpoints.load(weights)


class _Hostile:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return Path.touch, (self.path,)


def test_code_is_not_executed(tmp_path: Path) -> None:
    proof = tmp_path / "executed"
    torch.save({"weight": torch.zeros(1), "payload": _Hostile(proof)}, tmp_path / "model.pt")
    with pytest.raises(CheckpointError, match=r"is not a PyTorch state_dict \(another object\): train"):
        checkpoints.load(tmp_path / "model.pt")
    (tmp_path / "raw.pt").write_bytes(pickle.dumps({"payload": _Hostile(proof)}))
    with pytest.raises(CheckpointError, match=r"is not a PyTorch state_dict \(File is not a zip"):
        checkpoints.load(tmp_path / "raw.pt")
    assert not proof.exists()
    torch.load(tmp_path / "model.pt", weights_only=False)
    assert proof.exists(), "the file was not hostile after all"


def test_another_kind_of_content(tmp_path: Path) -> None:
    torch.save([torch.zeros(1)], tmp_path / "model.pt")
    with pytest.raises(CheckpointError, match=r"model\.pt holds a list, not a dictionary"):
        checkpoints.load(tmp_path / "model.pt")


def test_tensors_saved_on_an_accelerator_come_to_the_cpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "model.pt"
    monkeypatch.setattr(torch.serialization, "location_tag", lambda storage: "cuda:0")
    checkpoints.save({"weight": torch.tensor([3.0, 4.0])}, path)
    monkeypatch.undo()
    assert checkpoints.load(path)["weight"].tolist() == [3.0, 4.0]
    assert checkpoints.load(path)["weight"].device.type == "cpu"
    if not torch.cuda.is_available():
        with pytest.raises(RuntimeError, match="CUDA device"):
            torch.load(path, weights_only=True)


# ---- weights of another network -----------------------------------------------------------------------------------


def _refused(path: Path, match: str) -> None:
    network = _network()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    with pytest.raises(CheckpointError, match=match):
        checkpoints.load_weights(network, path)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items()), "partly loaded"


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        (
            {"0.bias": None, "1.weight": None},
            r" does not fit the network \(2 weights missing, first 0\.bias\): pass the",
        ),
        ({"7.weight": torch.zeros(2)}, r" does not fit the network \(1 weights unexpected, first 7\.weight\)"),
        ({"0.weight": torch.zeros(2, 1, 5, 5)}, r": 0\.weight has shape \(2, 1, 5, 5\), not shape \(2, 1, 3, 3\)"),
        ({"0.weight": "text"}, r": 0\.weight has type str, not shape \(2, 1, 3, 3\)"),
        (
            {"0.bias": torch.zeros(2, dtype=torch.complex64)},
            r": 0\.bias is strided, complex64, not torch\.float32: pass",
        ),
        ({"0.bias": torch.zeros(2, dtype=torch.int8)}, r": 0\.bias is strided, int8, not torch\.float32: pass"),
        ({"0.bias": torch.zeros(2).to_sparse()}, r": 0\.bias is sparse_coo, float32, not torch\.float32: pass"),
        ({"0.bias": torch.zeros(2, device="meta")}, r": 0\.bias is meta, not torch\.float32: pass the weights of this"),
    ],
)
def test_weights_of_another_network(weights: Path, changes: dict[str, Any], fault: str) -> None:
    _refused(_altered(weights, **changes), rf"model\.pt{fault}")


def test_half_precision_is_no_other_kind(weights: Path) -> None:
    network = _network()
    checkpoints.load_weights(network, _altered(weights, **{"0.bias": torch.ones(2, dtype=torch.float16)}))
    assert network.state_dict()["0.bias"].tolist() == [1, 1]


def test_statistics_of_batchnorm_are_not_halved() -> None:
    layer = nn.BatchNorm2d(2)
    layer.running_var = torch.tensor([7.0e6, 1.0e-9])
    small = checkpoints.halved(layer.state_dict())
    assert small["weight"].dtype == torch.float16
    assert small["running_var"].tolist() == layer.running_var.tolist()
    assert small["num_batches_tracked"].dtype == torch.int64


@pytest.mark.parametrize("trainer", [None, 3, {"networks": {}}, {"ema": {"module.a": 1}, "networks": None}, {"ema": 5}])
def test_a_broken_trainer(tmp_path: Path, trainer: object) -> None:
    checkpoints.save({"trainer": trainer, "deployed": "generators.a"}, tmp_path / "last.pt")
    _refused(tmp_path / "last.pt", r"last\.pt (has a damaged trainer|does not fit the network)")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("name", ["0.bias", "1.running_var"])
def test_not_finite(weights: Path, name: str, value: float) -> None:
    path = _altered(weights, **{name: torch.tensor([1.0, value])})
    _refused(path, rf"model\.pt: {name} has NaN or infinity: use an earlier checkpoint")


def test_described_weights_are_loaded_where_their_hash_is_right(weights: Path) -> None:
    own = hashlib.sha256(weights.read_bytes()).hexdigest()
    for about in ({"sha256": own}, {"sha256": "0" * 64, "replaces": own}):
        weights.with_name("model.json").write_text(json.dumps(about))
        assert checkpoints.load(weights).keys() == _network().state_dict().keys()


@pytest.mark.parametrize(
    ("about", "fault"),
    [
        ({"sha256": "0" * 64}, rf"model\.pt has the SHA-256 [0-9a-f]{{64}}, not the {'0' * 64} of model\.json: "),
        *((content, r"model\.json has no sha256 of the weights next") for content in ({}, [], None, "sha256")),
    ],
)
def test_weights_with_another_hash_than_described_are_refused(weights: Path, about: object, fault: str) -> None:
    weights.with_name("model.json").write_text(json.dumps(about))
    with pytest.raises(CheckpointError, match=fault):
        checkpoints.load(weights)


def test_contrasts_that_are_no_list_are_refused(weights: Path) -> None:
    about = {"sha256": checkpoints.sha256(weights), "schema_version": 1, "bundle": "", "settings": {}, "trained_on": {}}
    weights.with_name("model.json").write_text(json.dumps({**about, "contrasts": ["T1"]}))
    assert info.known_contrasts(weights) == ["T1"]
    weights.with_name("model.json").write_text(json.dumps({**about, "contrasts": 5}))
    with pytest.raises(
        CheckpointError, match=r"model\.json does not describe its weights \(TypeError\('contrasts is 5'"
    ):
        info.known_contrasts(weights)


def test_the_deployed_network_of_a_checkpoint_is_loaded(weights: Path, tmp_path: Path) -> None:
    own = checkpoints.load(weights)
    networks = {f"generators.a.{name}": value for name, value in own.items()} | {"discriminators.b": torch.ones(1)}
    averaged = {"n_averaged": torch.tensor(1)} | {f"module.{name}": value * 2 for name, value in own.items()}
    for ema, factor in ((None, 1), (averaged, 2)):
        content = {"trainer": {"networks": networks, "ema": ema}, "deployed": "generators.a"}
        checkpoints.save(content, tmp_path / "last_checkpoint.pt")
        network = _network()
        checkpoints.load_weights(network, tmp_path / "last_checkpoint.pt")
        assert all(torch.equal(network.state_dict()[name], value * factor) for name, value in own.items())


# ---- weights that another program loads ---------------------------------------------------------------------------


def _guarded() -> nn.Sequential:
    network = _network()
    refuse_other_weights(network)
    return network


def test_a_program_that_is_not_strict_cannot_load_other_weights() -> None:
    """MONAI Label deep-copies the network and loads with ``strict=False``."""
    other = {"0.weight": torch.zeros(2, 1, 3, 3), "head.bias": torch.zeros(1)}
    message = r"weights do not fit Sequential \(5 missing_keys, first 0\.bias; 1 unexpec"
    for network in (_guarded(), copy.deepcopy(_guarded()), pickle.loads(pickle.dumps(_guarded()))):
        with pytest.raises(CheckpointError, match=message):
            network.load_state_dict(other, strict=False)


def test_shipped_weights_of_another_network_are_exported_by_the_settings_that_the_refusal_names(tmp_path: Path) -> None:
    bundle = ROOT / "bundles" / "mr2ct_pix2pix"
    weights = bundle / "models" / "pretrained_mr2ct_basicunet.pt"
    files = {
        "config_file": str(bundle / "configs" / "inference.yaml"),
        "meta_file": str(bundle / "configs" / "metadata.json"),
        "ckpt_file": str(weights),
        "filepath": str(tmp_path / "model.ts"),
    }
    with pytest.raises(CheckpointError, match=r'or --NAME "%WEIGHTS\.json::settings::NAME" for network_def and'):
        ckpt_export(**files)
    named = {name: f"%{weights.with_suffix('.json')}::settings::{name}" for name in ("network_def", "neighbours")}
    ckpt_export(**files, **named)
    exported = torch.jit.load(tmp_path / "model.ts").state_dict()
    assert all(torch.equal(exported[name], value.float()) for name, value in checkpoints.load(weights).items())


def test_its_own_weights_are_loaded_and_exported_as_before(weights: Path) -> None:
    network = _guarded()
    wanted = {name: value + 1 for name, value in network.state_dict().items()}
    network.load_state_dict(wanted, strict=False)
    assert all(torch.equal(network.state_dict()[name], value) for name, value in wanted.items())
    image = torch.rand(1, 1, 5, 5)
    torch.testing.assert_close(torch.jit.script(network.eval())(image), network(image), rtol=0, atol=0)


def test_a_guarded_part_of_a_whole_refuses_too() -> None:
    whole = nn.ModuleDict({"generator": _guarded(), "discriminator": nn.Linear(2, 1)})
    weights = {name: value for name, value in whole.state_dict().items() if name != "generator.0.bias"}
    with pytest.raises(CheckpointError, match=r"1 missing_keys, first generator\.0\.bias\): pass its weights, or"):
        whole.load_state_dict(weights, strict=False)
