"""Options that the settings of the weights leave without an effect."""

from __future__ import annotations

import pytest

from common.config.idle import refuse_lost
from common.errors import ConfigError

BEFORE = {"mode": "fast", "size": 3, "inferer": {"_target_": "Patches", "mode": "@mode", "roi": "$2 * @size"}}
WHOLE = {"mode": "fast", "size": 3, "inferer": {"_target_": "Whole", "roi": "$2 * @size"}}


def test_an_option_is_refused_where_the_settings_of_the_weights_no_longer_name_it() -> None:
    with pytest.raises(ConfigError, match=r"^--mode has no effect on the network of the weights in use: omit it, or"):
        refuse_lost(BEFORE, WHOLE, ["size", "mode"])


def test_so_is_one_inside_a_component_that_they_replace() -> None:
    with pytest.raises(ConfigError, match=r"^--inferer::mode has no effect on the network of the weights in use"):
        refuse_lost(BEFORE, WHOLE, ["inferer::mode"])


def test_others_are_taken() -> None:
    refuse_lost(BEFORE, WHOLE, ["size", "inferer::roi"])
    refuse_lost(WHOLE, WHOLE, ["mode"])  # named by neither, which is another rule
    refuse_lost(BEFORE, BEFORE, ["mode"])
