"""An overlay's values stand in a config's text where its own stood."""

from __future__ import annotations

import pytest

from common.errors import ConfigError
from tools.release.pack.overlay import merge, require_mergeable

TRAIN = """# What it is.
# The command.
# Published size: a week.
width: 64

# Sizes, explained.
patch: [32, 32,
        32]
weights: {adversarial: 1, l1: 100}   # by name
rate: 2.0e-4
run: "%training"
"""
DEMO = """# Small.
# The demo's command.
# Two minutes.
width: 8
patch: [16, 16, 16]
weights: {l1: 400}
rate: 1.0e-3
"""


def test_values_change_and_nothing_else_does() -> None:
    assert (
        merge(TRAIN, DEMO, "demo")
        == """# What it is.
# The command.
# With the settings of demo, whose sizes are not the published ones. Two minutes.
width: 8

# Sizes, explained.
patch: [16, 16, 16]
weights: {l1: 400}   # by name
rate: 1.0e-3
run: "%training"
"""
    )


def test_a_config_takes_the_settings_it_has() -> None:
    inference = "# a\n# b\n# c\nwidth: 64\nrun: x\n"
    assert merge(inference, DEMO, "demo").split("\n")[3:] == ["width: 8", "run: x", ""]


def test_a_block_is_replaced_to_its_end() -> None:
    config = "# a\n# b\n# c\ninferer:\n  part: [1,\n     2]  # why\n# next\nrun: x\n"
    merged = merge(config, "# a\n# b\n# c\ninferer: {part: [3]}\n", "demo")
    assert merged.split("\n")[3:] == ["inferer:", "  {part: [3]}", "# next", "run: x", ""]


@pytest.mark.parametrize("style", ["|", ">", "|-"])
def test_a_block_of_text_is_replaced_to_its_end(style: str) -> None:
    config = f"# a\n# b\n# c\nx: {style}\n  one\n  two\n\n# next\nrun: x\n"
    assert merge(config, "# a\n# b\n# c\nx: 2\n", "demo").split("\n")[3:] == ["x: 2", "", "# next", "run: x", ""]


@pytest.mark.parametrize(
    ("overlay", "message"),
    [
        ("variant: unpaired\nwidth: 8\n", "--overlay small is the variant unpaired of the method"),
        ("width: 8\nnew: 1\ntrain::x: 2\n", "sets new, train::x, which train.yaml does not have: choose"),
        ("patch:\n  - 16\n", r"patch in small.yaml is a block: write it in brackets"),
        ("run: |\n  a\n", r"run in small.yaml is a block: write it in .* quotes"),
    ],
)
def test_what_cannot_be_merged_is_refused(overlay: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        require_mergeable(overlay, "small", TRAIN)
    require_mergeable(DEMO, "demo", TRAIN)
