"""The text of options is read, and ids are refused that reach into sections that the configuration does not have."""

from __future__ import annotations

from typing import Any

import pytest
from monai.bundle import ConfigParser

from common.config.command import merged, read_option, set_options
from common.errors import ConfigError

CONFIG = {"losses": {"l1": {"weight": 1}, "adversarial": {}}, "augmentation": None, "steps": [{}, {"c": 1}], "depth": 5}


def set_in(options: dict[str, Any]) -> Any:
    """The content of the configuration with some options."""
    parser = ConfigParser({**CONFIG, "losses": dict(CONFIG["losses"])})
    set_options(parser, options)
    return parser.get()


def test_options_are_set_one_after_the_other() -> None:
    found = set_in({"augmentation": {"scale": 2}, "augmentation::rotation": 5, "losses::gdl": {"weight": 2}})
    assert found["augmentation"] == {"scale": 2, "rotation": 5}
    assert found["losses"] == {"l1": {"weight": 1}, "adversarial": {}, "gdl": {"weight": 2}}


@pytest.mark.parametrize(
    ("option", "message"),
    [
        (
            "losses::gdl::weight",
            "losses::gdl, which this configuration does not have: choose adversarial or l1 in losses, or pass "
            "--losses::gdl '{weight: 5}'",
        ),
        ("augmentation::rotation", "augmentation, which is null: pass --augmentation '{rotation: 5}'"),
        ("augmentation::noise::level", "augmentation, which is null: pass --augmentation '{noise: {level: 5}}'"),
        ("loses::l1::weight", "loses, which this configuration does not have: did you mean losses?"),
        (
            "zzz::a",
            "zzz, which this configuration does not have: see docs/reference/settings.md or the output of "
            "synthesize config BUNDLE",
        ),
        ("steps::2::name", "steps, which is a list of 2: count its parts from 0"),
        (
            "steps::1::a::b",
            "steps::1::a, which this configuration does not have: choose c in steps::1, or pass --steps::1::a '{b: 5}'",
        ),
        ("depth::x", "depth, which is 5: pass --depth VALUE"),
    ],
)
def test_an_id_that_reaches_too_far_is_refused(option: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        set_in({option: 5})
    assert str(caught.value) == f"--{option} reaches into {message}"


@pytest.mark.parametrize(
    ("key", "message"),
    [
        (
            "losses::gdl::weight",
            "reaches into losses::gdl, which this configuration does not have: choose adversarial or l1 in losses, or "
            "write losses::gdl: {weight: 5}",
        ),
        ("augmentation::rotation", "reaches into augmentation, which is null: write augmentation: {rotation: 5}"),
        ("depth::x", "reaches into depth, which is 5: write depth: VALUE"),
        ("+losses", "adds 5 to a setting of another kind: add a section to one, or a list"),
    ],
)
def test_a_setting_of_an_overlay_that_reaches_too_far_is_refused_with_its_file(key: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        merged({"train.yaml": CONFIG, "own.yaml": {key: 5}})
    assert str(caught.value) == f"{key} in own.yaml {message}"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True),
        ("null", None),
        ("[true, null, [a, 1]]", [True, None, ["a", 1]]),
        ("{overwrite: false}", {"overwrite": False}),
        ("1e-4", 1e-4),
        ("-3", -3),
        ("0,255", (0, 255)),
        ("t1, fa", ("t1", "fa")),
        ("007", "007"),
        ("res#1", "res#1"),
        ("out_\u00b5", "out_\u00b5"),
        ("'5'", "5"),
        ("1+2j", "1+2j"),
        ("$len", "$len"),
        ("", ""),
        (" ", " "),
    ],
)
def test_texts_are_python_with_words(text: str, value: Any) -> None:
    found = read_option("depth", text)
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(("key", "text"), [("suffix", "1.50"), ("variant", "true"), ("data::output_dir", "1,2")])
def test_names_stay_as_they_were_typed(key: str, text: str) -> None:
    assert read_option(key, text) == text
    assert read_option(key, "null") is None
