from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tools.checks.real.limited import run_limited

ENDLESS = [sys.executable, "-c", "open('began', 'w').close()\nwhile True: pass"]


def test_a_command_ends_after_its_processor_time(tmp_path: Path) -> None:
    run_limited(ENDLESS, tmp_path, 1 / 60, (tmp_path / "began").is_file)


@pytest.mark.parametrize("words", [ENDLESS, [sys.executable, "-c", "raise SystemExit('no data')"]])
def test_what_did_not_succeed_or_ended_by_itself_is_no_training(tmp_path: Path, words: list[str]) -> None:
    with pytest.raises(SystemExit, match=r"no training for 0\.0166667 minutes"):
        run_limited(words, tmp_path, 1 / 60, lambda: words is not ENDLESS)
