"""Lines of a run for the user of ``synthesize``."""

from __future__ import annotations

import subprocess
import sys

from tools.repository import ROOT

PROGRAM = """
import logging
from monai.apps.utils import get_logger
get_logger("monai.bundle.workflows")
from medical_image_synthesis.terminal import for_users
for_users()
for name in ("common.data.sources", "monai.bundle.workflows", "monai.networks"):
    for level in ("info", "warning", "error"):
        getattr(logging.getLogger(name), level)(f"{level} of {name}")
"""


def test_lines() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROGRAM], cwd=ROOT, check=True, capture_output=True, text=True
    )
    # MONAI's own handler puts the time in front
    assert [line.rpartition(" - ")[2] for line in done.stdout.splitlines()] == [
        "info of common.data.sources",
        "warning: warning of common.data.sources",
        "error: error of common.data.sources",
        "error of monai.bundle.workflows",
        "warning: warning of monai.networks",
        "error: error of monai.networks",
    ]
