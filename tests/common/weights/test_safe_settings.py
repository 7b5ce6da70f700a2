"""What settings of weights may hold, and what would execute."""

from __future__ import annotations

import json

import pytest

from common.errors import CheckpointError
from common.weights import checkpoints
from common.weights.info import read_info
from common.weights.safe_settings import require_safe


@pytest.mark.parametrize(
    "value",
    [
        *("$2 ** @depth", "$len(@classes)", "$@channels * @neighbours", "$@a::b + 2", "$-1.5 * (@width // 2)"),
        *("%network_def", "%train::trainer", "@reader", "a $ within", {"_target_": "Orientationd", "axcodes": "RAS"}),
        {"_target_": "monai.networks.nets.BasicUNet"},
        {"_target_": "mr2ct_pix2pix.networks.UNetGenerator", "depth": "$2 + @x"},
        {
            "_target_": "cect2ct_rescyclegan.simulation.CectCtPair",
            "heads": {"_target_": "common.simulation.simulate.AverageHeads"},
        },
        {"_target_": "common.transforms.ScaleWindowd", "keys": ["image"]},
        *({"_target_": f"mr2ct_pix2pix.{name}"} for name in ("label_maps.channel_count", "networks.ResidualUNet")),
        {"_target_": "mri_dagan.networks.UnrolledNetwork"},
        *({"_target_": name} for name in ("torch.nn.LeakyReLU", "torch.nn.functional.mse_loss", "other.networks.Net")),
    ],
)
def test_data_and_arithmetic_pass(value):
    require_safe({"x": value}, "model.json")


@pytest.mark.parametrize(
    ("value", "place"),
    [
        ("$__import__('os').system('touch x')", "x"),
        ("$(lambda: 1)()", "x"),
        ("$len(len)", "x"),
        ("$@a.b", "x"),
        ("$[1 for _ in @a]", "x"),
        ("$import os", "x"),
        ("$reference", "x"),
        ("%other.yaml::x", "x"),
        ([{"a": "$open('x', 'w')"}], "x::0::a"),
        ({"_target_": "os.system", "command": "touch x"}, "x::_target_"),
        ({"_target_": "common.files.write_text", "path": "x"}, "x::_target_"),
        ({"_target_": "monai.bundle.run"}, "x::_target_"),
        ({"_target_": "CheckpointLoader"}, "x::_target_"),
        ({"_target_": "SaveImaged", "keys": "image", "output_dir": "/home"}, "x::_target_"),
        ({"_target_": "common.simulation.mr_ct_pairs.write_mr2ct", "root": "x", "cases": 1}, "x::_target_"),
        ({"_target_": ["os", "system"]}, "x::_target_"),
        ({"_target_": "subprocess.networks"}, "x::_target_"),
        ({"_target_": "$__import__('os').system"}, "x::_target_"),
        ({"_target_": "monai.networks.nets.hovernet.os.system", "command": "touch x"}, "x::_target_"),
        ({"_target_": "monai.networks.utils.save_state", "src": {}, "path": "x"}, "x::_target_"),
        ({"_target_": "monai.transforms.io.array.Path.unlink", "self": "x"}, "x::_target_"),
        ({"_target_": "torch.nn.modules.module.torch.load", "f": "x"}, "x::_target_"),
        ({"_target_": "common.networks.slabs.torch.load", "f": "x"}, "x::_target_"),
        ({"_target_": "mr2ct_pix2pix.label_maps.load_case"}, "x::_target_"),
    ],
)
def test_what_would_execute_is_refused_with_its_place(value, place):
    with pytest.raises(CheckpointError, match=f"model.json: {place} is "):
        require_safe({"x": value}, "model.json")


def test_a_class_that_the_command_names_is_the_users_own():
    settings = {"network_def": {"_target_": "mine.Net"}}
    require_safe(settings, "model.json", given="network_def: {_target_: mine.Net}")
    with pytest.raises(CheckpointError, match=r"'mine\.Net', a class of neither the bundle nor MONAI: pass the"):
        require_safe(settings, "model.json", given="network_def: {_target_: mine}")


def test_settings_next_to_weights_are_checked(tmp_path):
    weights = tmp_path / "model.pt"
    weights.write_bytes(b"weights")
    about = {"schema_version": 1, "sha256": checkpoints.sha256(weights), "bundle": "", "trained_on": {}}
    weights.with_suffix(".json").write_text(json.dumps({**about, "settings": {"depth": "$exec('1')"}}))
    with pytest.raises(CheckpointError, match=r"^settings of .*model\.pt: depth is "):
        read_info(weights).require_safe()
