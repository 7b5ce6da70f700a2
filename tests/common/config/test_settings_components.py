"""What may stand in the place of a component: no plain value, whatever name or reference leads to it."""

from __future__ import annotations

from typing import Any

import pytest

from common.config.checks import check_tree
from common.config.files import BundleFiles
from common.errors import ConfigError

TRAIN = {
    "device": {"_target_": "common.devices.single_device"},
    "output_dir": {"_target_": "os.getcwd"},
    "value_range": {"_target_": "common.metrics.value_range", "unit": "HU", "window": [0, 1]},
    "optimizer": {"_target_": "torch.optim.Adam", "lr": 1.0e-3},
    "reader": {"_target_": "common.io.VolumeReader", "series": None},
    "handlers": [{"_target_": "StatsHandler"}],
    "train": {"trainer": {"_target_": "common.training.SynthesisTrainer", "max_epochs": 3}},
}
FILES = BundleFiles({"train.yaml": TRAIN})


def check(place: str, value: Any) -> None:
    check_tree({place: value}, FILES, {place: value})


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("optimizer", 5),
        ("optimizer", "adam"),
        ("optimizer", {"lr": 1}),
        ("reader", []),
        ("device", (1,)),
        ("value_range", 5),
    ],
)
def test_a_plain_value_is_refused(place: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=f"^--{place} is .*, not a section: pass --"):
        check(place, value)


def test_numbers_may_stand_for_what_a_function_computes() -> None:
    check("value_range", [0, 150])
    with pytest.raises(ConfigError, match=r"--optimizer is \[0, 150\], not a section"):
        check("optimizer", [0, 150])


def test_so_it_is_below_the_top() -> None:
    with pytest.raises(ConfigError, match="^--train::trainer is True, not a section: pass --"):
        check("train", {"trainer": True})
    with pytest.raises(ConfigError, match="^--handlers::0 is -, not a section: pass --"):
        check("handlers", ["-", {"_target_": "StatsHandler"}])


@pytest.mark.parametrize("blank", ["", " ", "\t"])
def test_a_blank_value_is_called_so(blank: str) -> None:
    with pytest.raises(ConfigError, match="--optimizer is an empty text, not a section: pass --"):
        check("optimizer", blank)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("optimizer", "@reader"),
        ("optimizer", "$5"),
        ("optimizer", None),
        ("optimizer", {"_target_": "torch.optim.SGD", "lr": 1}),
        ("device", "cuda:0"),
        ("output_dir", "out"),
        ("handlers", ["@reader"]),
    ],
)
def test_references_other_components_and_texts_of_places_pass(place: str, value: Any) -> None:
    check(place, value)


def test_the_name_of_a_component_is_a_text() -> None:
    with pytest.raises(ConfigError, match="^--optimizer::_target_ is 5, no class or function: write its"):
        check("optimizer", {"_target_": 5})


@pytest.mark.parametrize("other", ["builtins.dict", "torch.optim.Adam"])
def test_a_network_is_replaced_by_none_but_a_network(other: str) -> None:
    shipped = BundleFiles({"train.yaml": {"network_def": {"_target_": "torch.nn.Identity"}}})
    message = f"^--network_def::_target_ is {other}, not a torch.nn.Module: name a class of networks$"
    with pytest.raises(ConfigError, match=message):
        check_tree({"network_def": {"_target_": other}}, shipped)
    for allowed in ("torch.nn.Dropout", "torch.hub.load", "BasicUNet", "monai.networks.nets.BasicUNet"):
        check_tree({"network_def": {"_target_": allowed}}, shipped)


def test_references_lead_to_components() -> None:
    shipped = BundleFiles(
        {
            "train.yaml": {
                **TRAIN,
                "network": "$@optimizer.to(@device)",
                "use": {"_target_": "dict", "model": "@network"},
            }
        }
    )
    for value in ({"network": "many"}, {"use": {"_target_": "dict", "model": "many"}}):
        with pytest.raises(ConfigError, match=r"^--(network|use::model) is many, not a section: pass --"):
            check_tree(value, shipped)
    check_tree({"network": "@optimizer"}, shipped)


class TestLocated:
    """What a section names is importable, at any depth; the message says what is missing, and where it was named."""

    @pytest.fixture
    def own(self, tmp_path, monkeypatch):
        for name, text in (
            ("own_fine", "class Net:\n    pass"),
            ("own_torn", "import own_absent"),
            ("own_wrong", "1 / 0"),
        ):
            (tmp_path / f"{name}.py").write_text(text)
        monkeypatch.syspath_prepend(tmp_path)

    @pytest.mark.parametrize(
        ("target", "message"),
        [
            ("own_package.Net", "own_package.Net cannot be located {place}: put its folder on PYTHONPATH"),
            ("own_fine.Nets", "own_fine has no Nets {place}: did you mean Net?"),
            ("monai.nothing.Net", "monai has no nothing {place}: check the name"),
            (
                "Nett",
                "Nett cannot be located {place}: MONAI has none of that name; write its module before it, MODULE.Nett",
            ),
            (
                "own_torn.Net",
                "no module own_absent, which own_torn imports {place}: put its folder on PYTHONPATH, or pip",
            ),
            ("own_wrong.Net", "own_wrong cannot be imported {place}: ZeroDivisionError: division by zero; fix the"),
        ],
    )
    def test_not(self, own, target, message):
        for place, config in (("optimizer", {"_target_": target}), ("losses::0", [{"_target_": target}])):
            with pytest.raises(ConfigError) as caught:
                check_tree({place.partition("::")[0]: config}, FILES)
            assert str(caught.value).startswith(message.format(place=f"(from --{place}::_target_)"))

    @pytest.mark.parametrize("target", ["own_fine.Net", "RandFlipd", "dict", "collections.OrderedDict.fromkeys"])
    def test_so(self, own, target):
        check_tree({"losses": {"_target_": target}}, FILES)

    def test_a_component_that_is_switched_off_is_not_looked_for(self):
        check_tree({"losses": {"_target_": "own_package.Net", "_disabled_": True}}, FILES)


def test_a_list_in_the_place_of_a_component_is_refused() -> None:
    shipped = BundleFiles(
        {"train.yaml": {"steps": {"_target_": "Compose", "transforms": [{"_target_": "Identityd", "keys": "image"}]}}}
    )
    nested = {"_target_": "Compose", "transforms": [[{"_target_": "Identityd", "keys": "image"}]]}
    with pytest.raises(ConfigError, match=r"^--steps::transforms is \[\[.*, not a list of sections"):
        check_tree({"steps": nested}, shipped)
