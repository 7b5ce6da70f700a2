"""Settings that are unknown, of another type than their default or out of range are refused, and no others."""

import pytest

from common.config import checks
from common.config.files import BundleFiles
from common.errors import ConfigError

SHIPPED = {
    "max_epochs": [200, 6],
    "constant_epochs": [100],
    "batch_size": [1],
    "learning_rate": [2.0e-4],
    "resume": [False],
    "plane": ["sagittal"],
    "source_window": [[0, 3500]],
    "spacing": [None],
    "losses": [{"adversarial": {"weight": 1}, "l1": {"weight": 100}}],
    "dataset_dir": ["@demo_data"],
    "network_def": [{"_target_": "Net"}],
    "train": [{"trainer": {}}],
}


def check(config: dict, shipped: dict) -> None:
    files = [{key: values[k] for key, values in shipped.items() if k < len(values)} for k in range(2)]
    checks.check(config, BundleFiles({"train.yaml": files[0], "mine.yaml": files[1]}))


def refused(config: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check(config, SHIPPED)


class TestNames:
    @pytest.mark.parametrize(("typo", "meant"), [("max_epoch", "max_epochs"), ("batchsize", "batch_size")])
    def test_nearest_match(self, typo, meant):
        refused({typo: 3}, rf"^--{typo} is not a setting of this bundle \(value 3\): did you mean --{meant}\?$")

    def test_a_part_of_a_component_of_the_configuration(self):
        files = BundleFiles({"train.yaml": {"reader": {"_target_": "R", "phase": 1}, "losses": {"phase": 2}},
                             "more.yaml": {"reader": None, "losses": None}})  # fmt: skip
        for config, remedy in (({"reader": None}, "did you mean --reader::phase"), ({}, "see docs/reference")):
            with pytest.raises(ConfigError, match=rf"^--phase is not a setting of this bundle \(value 3\): {remedy}"):
                checks.check({"phase": 3, **config}, files)

    def test_nothing_near_names_the_page_of_all(self):
        refused({"zzz": 3}, "see docs/reference/settings.md or the output of synthesize config BUNDLE")

    def test_an_overlay_is_a_config_file_of_monais_command(self):
        refused({"overlay": "demo"}, r"^--overlay .* \(value 'demo'\): list its file in --config_file$")

    @pytest.mark.parametrize("use", ["@mine", "$@mine + 1", "%mine", "$@mine::part", {"deep": ["@mine"]}])
    def test_names_that_an_overlay_uses_itself(self, use):
        check({"mine": 3, "network_def": {"_target_": "Net", "width": use}}, SHIPPED)

    def test_a_longer_name_is_no_use(self):
        refused({"max_epoch": 3, "plane": "@max_epochs"}, "--max_epoch is not a setting")

    @pytest.mark.parametrize("key", ["tracking_uri", "experiment_name", "run_name", "save_execute_config"])
    def test_tracking(self, key):
        check({key: "x"}, SHIPPED)


class TestTypes:
    @pytest.mark.parametrize(
        ("key", "value", "kind"),
        [
            ("max_epochs", "ten", "a whole number: pass a number such as"),
            ("max_epochs", 1.5, "a whole number: pass a number such as"),
            ("max_epochs", True, "a whole number: pass a number such as"),
            ("max_epochs", None, "a whole number: pass a number such as"),
            ("learning_rate", True, "a number: pass a number such as"),
            ("resume", 1, "true or false: pass true or false"),
            ("resume", "true", "true or false: pass true or false"),
            ("plane", 3, "a text: pass a text such as"),
            ("source_window", 3500, "of the form .*: pass a list of that form"),
            ("source_window", "0,3500", "of the form .*: pass a list of that form"),
            ("source_window", [[0, None], [True, 1]], "of the form .*: pass a list of that form"),
            ("losses", [1, 100], "a section: pass --losses::NAME VALUE"),
        ],
    )
    def test_another_type_than_the_default(self, key, value, kind):
        refused({key: value}, rf"--{key} is .*, not {kind}")

    def test_yaml_s_number_that_is_a_text(self):
        message = r"--learning_rate is '1e-4', not a number: write 1.0e-4, not 1e-4, in YAML"
        refused({"learning_rate": "1e-4"}, message)

    @pytest.mark.parametrize(
        ("key", "value"),
        [
            ("learning_rate", 1),
            ("source_window", None),
            ("source_window", [[0, 1], [0, "@batch_size"]]),
            ("losses", None),
            ("spacing", [1, 1, 1]),
            ("max_epochs", "$2 * 3"),
            ("plane", "%other.yaml::plane"),
            ("dataset_dir", "/data"),
            ("source_window", [[0, 50], [0, 1.5]]),
            ("source_window", ["@seed", 1]),
        ],
    )
    def test_accepted(self, key, value):
        check({key: value}, SHIPPED)


class TestWindowsAndPaths:
    @pytest.mark.parametrize("value", [[100], [1400, -600], [3, 3], [[0, 1], [2, 1]], [0, 1, 2], [], [[0, 1], 2]])
    def test_a_window_is_low_and_high(self, value):
        refused({"source_window": value}, "--source_window is .*, not two numbers, the lower first: write ")

    def test_an_empty_path_is_not_the_working_directory(self):
        refused({"dataset_dir": ""}, "--dataset_dir has no value: write the path after it")


class TestRanges:
    @pytest.mark.parametrize(
        ("key", "value"), [("max_epochs", 0), ("learning_rate", -1.0e-4), ("learning_rate", float("nan"))]
    )
    def test_above_zero(self, key, value):
        refused({key: value}, f"--{key} is {value}, not above zero: give a positive number")

    def test_zero_where_it_means_something(self):
        check({"constant_epochs": 0, "losses": {"adversarial": {"weight": 0}, "l1": {"weight": 1}}}, SHIPPED)
        refused({"constant_epochs": -1}, "--constant_epochs is -1, not zero or above")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"crop_size": 200, "depth": 8}, "--crop_size is 200, not a multiple of 256 for --depth 8: change"),
        ({"crop_size": 96, "pad_size": 90, "depth": 5}, "--pad_size is 90, below --crop_size 96: raise it"),
    ],
)
def test_sizes_that_do_not_fit_each_other(given, message):
    with pytest.raises(ConfigError, match=message):
        check(given, {key: [value] for key, value in given.items()})


def test_another_target_needs_its_unit():
    shipped = {"output": [{"unit": "HU"}], "target_window": [[-600, 1400]]}
    with pytest.raises(ConfigError, match=r"^--target_window \[0, 255\] does not span -200 to 200, but --output::unit"):
        check({"output": {"unit": "HU"}, "target_window": [0, 255]}, shipped)
    check({"output": {"unit": "a.u."}, "target_window": [0, 255]}, shipped)
    for window in ([-1024, 2000], ["$-1024", 255], [[0, 255], [0, 1]]):  # what is no two numbers others check
        check({"output": {"unit": "HU"}, "target_window": window}, shipped)


@pytest.mark.parametrize("key", ["dataset_dir", "output_dir", "datalist", "weights"])
def test_a_path_that_was_forgotten(key):
    with pytest.raises(ConfigError, match=f"--{key} has no value: write the path"):
        check({key: True}, {key: ["@demo_data", None]})


BEFORE = {"mode": "fast", "size": 3, "inferer": {"_target_": "Patches", "mode": "@mode", "roi": "$2 * @size"}}
WHOLE = {"mode": "fast", "size": 3, "inferer": {"_target_": "Whole", "roi": "$2 * @size"}}
ALL = {"mode", "size", "inferer"}


@pytest.mark.parametrize(
    "option", [pytest.param("mode", id="no longer named"), pytest.param("inferer::mode", id="inside what they replace")]
)
def test_an_option_is_refused_that_the_settings_of_the_weights_leave_without_an_effect(option):
    message = f"^--{option} has no effect on the network of the weights in use: omit it, or"
    with pytest.raises(ConfigError, match=message):
        checks.refuse_idle(WHOLE, ["size", option], ALL, BundleFiles({}), BEFORE)


@pytest.mark.parametrize(
    ("config", "before", "options"),
    [
        (WHOLE, BEFORE, ["size", "inferer::roi"]),
        (WHOLE, WHOLE, ["mode"]),  # named by neither, which is another rule
        (BEFORE, BEFORE, ["mode"]),
        ({**WHOLE, "initialize": "%prepare"}, None, ["initialize"]),  # which MONAI takes, in any bundle
    ],
)
def test_other_options_are_taken(config, before, options):
    checks.refuse_idle(config, options, ALL, BundleFiles({}), before)
