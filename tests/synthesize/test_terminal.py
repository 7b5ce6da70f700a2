"""Lines of a run for the user of ``synthesize``."""

from __future__ import annotations

from pathlib import Path

import in_process

PROGRAM = """
import logging, sys
from monai.apps.utils import get_logger
get_logger("monai.bundle.workflows")
from medical_image_synthesis.terminal import for_users
for_users(sys.stdout)
for name in ("common.data.sources", "monai.bundle.workflows", "monai.networks"):
    for level in ("info", "warning", "error"):
        getattr(logging.getLogger(name), level)(f"{level} of {name}")
"""


def test_lines(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    done = in_process.run(str(tmp_path / "program.py"))
    # MONAI's own handler puts the time in front
    assert [line.rpartition(" - ")[2] for line in done.stdout.splitlines()] == [
        "info of common.data.sources",
        "warning: warning of common.data.sources",
        "error: error of common.data.sources",
        "error of monai.bundle.workflows",
        "warning: warning of monai.networks",
        "error: error of monai.networks",
    ]
