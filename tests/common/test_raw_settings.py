"""Raw settings are looked into by id, followed along references and copied without what they hold."""

from __future__ import annotations

import pytest

from common.raw_settings import components, copied, followed, lookup, put, references

CONFIG = {"a": {"b": [1, {"_target_": "Net", "depth": "@depth"}]}, "depth": "@deep", "deep": 4, "none": None}


@pytest.mark.parametrize(("value", "expected"), [("@depth", 4), ("@none", None), ("@absent", "@absent"), (3, 3)])
def test_a_reference_is_followed_to_its_value_and_null_is_one(value, expected):
    assert followed(CONFIG, value) == expected


def test_settings_are_found_and_set_by_their_id():
    config = copied(CONFIG)
    put(config, "a::b::1::depth", 5)
    put(config, "new::part", 6)
    assert (lookup(config, "a::b::1::depth"), lookup(config, "new::part"), lookup(config, "a::c")) == (5, 6, None)
    assert lookup(CONFIG, "a::b::1::depth") == "@depth", "the other is a copy"


def test_components_and_references_are_found_at_any_depth():
    assert [place for place, _ in components(CONFIG)] == ["a::b::1"]
    assert references(CONFIG, ["a"]) == {"a", "depth", "deep"}
