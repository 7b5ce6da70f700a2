"""Settings of components and sections at any depth: unknown, of another type or out of range, and no others."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from common.config.checks import check_references, check_tree
from common.config.files import BundleFiles
from common.errors import ConfigError

TRAIN = {
    "optimizer": {"_target_": "torch.optim.Adam", "_mode_": "callable", "lr": 1.0e-3, "betas": [0.5, 0.999]},
    "spacing": None,
    "acceleration": {"fused": "auto", "compile": False},
    "losses": {"adversarial": {"weight": 1}, "l1": {"weight": 100, "function": {"_target_": "torch.nn.L1Loss"}}},
    "inferer": {"_target_": "common.stitching.MirrorInferer", "inferer": {"_target_": "common.stitching.PlaneInferer"}},
    "reader": {"_target_": "common.io.VolumeReader", "nan_fill": None, "series": None},
    "train": {
        "trainer": {"_target_": "common.training.SynthesisTrainer", "max_epochs": "@max_epochs", "precision": "fp32"},
        "augmentation": [{"_target_": "RandFlipd", "keys": ["image"], "prob": 0.5}],
    },
}
MORE = {"train::trainer::accumulation_steps": 2, "losses": {"cycle": {"weight": 1}}}
SHIPPED = BundleFiles({"train.yaml": TRAIN, "more.yaml": MORE, "below.yaml": {"ema": 0.9}})


def changed(place: str, value: Any) -> dict[str, Any]:
    config = copy.deepcopy(TRAIN)
    *above, name = place.split("::")
    part: Any = config
    for key in above:
        part = part[int(key) if isinstance(part, list) else key]
    part[name] = value
    return config


def check(place: str, value: Any) -> None:
    check_tree(changed(place, value), SHIPPED, {place: value})


def test_the_shipped_files_pass() -> None:
    check_tree(TRAIN, SHIPPED)


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("train::trainer::max_epoch", "argument of common.training.SynthesisTrainer .*: did you mean --train::tr"),
        ("optimizer::lrr", r"argument of torch.optim.Adam .* did you mean --optimizer::lr\?"),
        ("train::augmentation::0::probb", r"argument of RandFlipd .* --train::augmentation::0::prob\?"),
        ("train::augmentatoin", r"setting of train \(value 3\): did you mean --train::augmentation\?"),
        ("losses::gdl", r"setting of losses \(value 3\): choose adversarial, cycle or l1"),
        ("losses::l1::wieght", r"setting of losses::l1 \(value 3\): did you mean --losses::l1::weight\?"),
        ("reader::_taget_", "argument of common.io.VolumeReader"),
        ("inferer::roi_size", r"argument of common.stitching.MirrorInferer .* mean --inferer::inferer::roi_size\?"),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest(place: str, message: str) -> None:
    with pytest.raises(ConfigError, match=f"^--{place} is not an? {message}"):
        check(place, 3)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("optimizer::weight_decay", 0.1),  # no shipped file has it, but the signature
        ("train::trainer::accumulation_steps", 4),  # an overlay has it by its id
        ("train::trainer::max_epochs", 7),  # a reference in the shipped file
        ("losses::cycle", {"weight": 5}),
        ("losses::l1::weight", 0.5),  # a number, whole in the shipped file by chance
        ("losses::ssim", {"weight": 1, "function": {"_target_": "SSIMLoss", "spatial_dims": 2}}),  # brings its function
        ("optimizer", {"_target_": "torch.optim.SGD", "momentum": 0.9, "lr": 1}),  # a component of the user's choice
        ("reader", {"_target_": "dict", "anything": 1}),
        ("spacing", [1, 1, 1.5]),
        ("optimizer::lr", "@learning_rate"),
        ("reader::nan_fill", 0),
        ("train::augmentation::0::keys", "image"),  # MONAI's transforms take one key or several
        ("acceleration::fused", False),  # auto in the shipped file
        ("train::trainer::precision", ["fp32"]),  # which this one's own check refuses
    ],
)
def test_what_is_known_or_the_users_own_passes(place: str, value: Any) -> None:
    check(place, value)


def test_a_new_name_in_a_file_is_a_definition_and_so_is_one_that_is_used() -> None:
    config = changed("train::mine", 3)
    check_tree(config, SHIPPED)
    check_tree(changed("train::mine", 3) | {"max_epochs": "@train::mine"}, SHIPPED, {"train::mine": 3})
    with pytest.raises(ConfigError, match="--train::mine is not a setting of train"):
        check_tree(config, SHIPPED, {"train::mine": 3})


def test_a_slip_in_a_file_is_refused() -> None:
    with pytest.raises(ConfigError, match="--train::trianer is not a setting .*: did you mean --train::trainer"):
        check_tree(changed("train::trianer", 3), SHIPPED)
    check_tree(changed("train::trianer", 3) | {"max_epochs": "@train::trianer"}, SHIPPED)


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        ("train::trainer::precision", 16, "16, not a text: pass a text such as fp32"),
        ("train::trainer::accumulation_steps", "two", "'two', not a whole number: pass a number such as 2"),
        ("optimizer::betas", [0.5, 1.2], r"\[0.5, 1.2\], not from 0 to below 1: pass a number such as 0.9"),
        ("optimizer::lr", -1.0e-3, "-0.001, not above zero"),
        ("train::trainer::clip_norm", -1, "-1, not above zero"),
        ("train::trainer::ema_decay", 1, "1, not from 0 to below 1"),
        ("spacing", [1, 0, 1], r"\[1, 0, 1\], not above zero: give the distance of voxels in mm"),
        ("reader::nan_fill", "many", "'many', not a finite number"),
        ("train::augmentation::0::keys", {"value": ["image"]}, r"{'value': .*}, not of the form .*'image'\]"),
        ("train::augmentation::0::keys", ["image", 0], r"\['image', 0\], not of the form .*'image'\]"),
        ("seed", 2**64, f"{2**64}, not from 0 to below 2.64"),
        ("losses::l1::weight", -1, "-1, not zero or above: give zero or a positive number"),
        ("num_workers", 10**9, "1000000000, not a whole number from 0 to 1024"),
        ("max_memory_gb", [4, True], r"\[4, True\], not above zero: give a positive number"),
    ],
)
def test_values_of_another_type_or_out_of_range(place: str, value: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=f"^--{place} is {message}"):
        check(place, value)


@pytest.mark.parametrize(("place", "value"), [("keys", "nan"), ("keys::0", ["nan"]), ("orig_keys", "nan")])
def test_an_option_names_keys_that_cases_have(place: str, value: Any) -> None:
    section = "train::augmentation::0"
    name = place.removesuffix("::0")
    config = changed("train::augmentation", [{"_target_": "Invertd", "keys": "pred", name: value}])
    message = f"^--{section}::{name} names 'nan', not a key of a case or its prediction: choose body_part, case, "
    with pytest.raises(ConfigError, match=message):
        check_tree(config, SHIPPED, {f"{section}::{place}": "nan"})
    check_tree(config, SHIPPED)  # a file may have a transform that makes it


@pytest.mark.parametrize("key", ["label", "pred", "vessel", "@key"])
def test_keys_of_datalists_and_predictions_are_known(key: str) -> None:
    check("train::augmentation::0::keys", [key])


HANDLED = {
    "handlers": [{"_target_": "StatsHandler"}, "@exporter"],
    "use": {"_target_": "dict", "val_handlers": "@handlers"},
}


@pytest.mark.parametrize("place", ["handlers", "use::val_handlers"])
def test_lists_of_components_stay_lists_and_handlers_are_not_left_out(place: str) -> None:
    def given(value: Any) -> None:
        config = copy.deepcopy(HANDLED)
        holder = config if place == "handlers" else config["use"]
        holder[place.rpartition("::")[2]] = value
        check_tree(config, BundleFiles({"inference.yaml": HANDLED}), {place: value})

    for wrong in ("", "many", 0, True):
        with pytest.raises(ConfigError, match=f"^--{place} is .*, not (a list of sections|of the form .*)"):
            given(wrong)
    for none in (None, []):
        with pytest.raises(ConfigError, match=f"^--{place} has no handlers, .*: omit it, or"):
            given(none)
    for right in (["@exporter"], "@others", [{"_target_": "StatsHandler"}]):
        given(right)


def test_handlers_load_the_weights() -> None:
    loader = {"_target_": "common.runs.WeightsLoader", "network": "@network", "path": "@weights"}
    others = {"_target_": "StatsHandler"}
    shipped = BundleFiles(
        {
            "inference.yaml": {
                "handlers": [loader, others, "@exporter"],
                "use": {"_target_": "dict", "val_handlers": "@handlers"},
            }
        }
    )
    message = "handlers has no handler that loads the weights, such as .*: keep the bundle's, and do not disable it$"
    for none in ([{**loader, "_disabled_": True}, others], [others, "@exporter"], ["@exporter"], []):
        with pytest.raises(ConfigError, match=message):
            check_tree({"handlers": none}, shipped)
        with pytest.raises(ConfigError, match=message):
            check_tree({"use": {"_target_": "dict", "val_handlers": none}}, shipped)
    for one in ([others, loader], [{**loader, "_disabled_": "false"}], [{**others, "_target_": "CheckpointLoader"}],
                ["@mine", others]):  # fmt: skip
        check_tree({"handlers": one}, shipped)


def test_an_option_that_disables_a_component_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    name = "train::trainer::_disabled_"
    warning = f"--{name} skips common.training.SynthesisTrainer: results may look plausible and be wrong"
    for disabled, messages in ((False, []), (True, [warning])):
        check_tree(changed(name, disabled), SHIPPED, {name: disabled})
        check_tree(changed(name, disabled), SHIPPED)  # of a file
        assert caplog.messages == messages


REFERRED = {"epochs": 3, "step": ["@optimizer"], "run": "$@step"}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("@epoch", r"@epoch, which does not exist: did you mean @epochs\?"),
        ("$len(@spacing) + @losses::gan", "@losses::gan, which does not exist: "),
        ("@qqq", "@qqq, which does not exist: define it in a config file"),
        ("@ema", "@ema, which does not exist: below.yaml defines it: name that config before the one that refers"),
    ],
)
def test_a_reference_to_nothing_is_refused(value: str, message: str) -> None:
    config = changed("optimizer::lr", value) | REFERRED
    with pytest.raises(ConfigError, match=f"^--optimizer::lr refers to {message}"):
        check_references(config, "run", SHIPPED)


@pytest.mark.parametrize("value", ["@epochs", "@spacing", "$@train::augmentation::0::prob * 2", "me@home"])
def test_references_to_what_is_there_and_those_that_nothing_comes_to_are_taken(value: str) -> None:
    check_references(changed("optimizer::lr", value) | REFERRED | {"unused": "@nothing"}, "run", SHIPPED)
