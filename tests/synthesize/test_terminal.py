"""Lines of a run for the user of ``synthesize``."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tools.repository import ROOT

PROGRAM = """
import logging
from monai.apps.utils import get_logger
get_logger("monai.bundle.workflows")
if {for_users}:
    from medical_image_synthesis.terminal import for_users
    for_users()
for name in ("common.data.cases", "monai.bundle.workflows", "monai.networks"):
    for level in ("info", "warning", "error"):
        getattr(logging.getLogger(name), level)(f"{{level}} of {{name}}")
"""


@pytest.mark.parametrize(
    ("for_users", "lines"),
    [
        (
            True,
            [
                "info of common.data.cases",
                "warning: warning of common.data.cases",
                "error: error of common.data.cases",
                "error of monai.bundle.workflows",
                "warning: warning of monai.networks",
                "error: error of monai.networks",
            ],
        ),
        (False, ["info", "warning", "error"]),
    ],
)
def test_lines(for_users: bool, lines: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROGRAM.format(for_users=for_users)],
        cwd=ROOT, check=True, capture_output=True, text=True,
    )  # fmt: skip
    # MONAI's own handler puts the time in front; without ours its INFO is printed
    printed = [line.rpartition(" - ")[2] for line in done.stdout.splitlines()]
    assert printed == (lines if for_users else [f"{level} of monai.bundle.workflows" for level in lines])
