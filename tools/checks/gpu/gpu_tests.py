"""The tests that need a GPU."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

from tools.checks.findings import Finding
from tools.repository import ROOT

MARK = "pytest.mark.gpu"


def marked(root: Path = ROOT) -> list[Path]:
    """Test files that hold a test marked as needing a GPU."""
    return sorted(path for path in (root / "tests").rglob("test_*.py") if f"@{MARK}\n" in path.read_text())


def run_tests(files: Sequence[Path], report: Path, mark: str = "gpu") -> list[Finding]:
    """Run the marked tests of these files alone, whose report pytest writes; none may be skipped."""
    words = ["-q", "-m", mark, f"--junitxml={report}", *map(str, files)]
    done = subprocess.run([sys.executable, "-m", "pytest", *words], cwd=ROOT, capture_output=True, text=True)
    found = [_outcome(case) for case in ElementTree.parse(report).iter("testcase")] if report.exists() else []
    said = (done.stdout + done.stderr).strip().splitlines() or ["no message"]
    return found or [Finding.failed("tests", "pytest", said[-1])]


def _outcome(case: ElementTree.Element) -> Finding:
    bad = [part for part in case if part.tag in ("failure", "error", "skipped")]
    name = f"{case.get('classname', '').split('.')[-1]}::{case.get('name')}"
    message = " ".join((bad[0].get("message") or "").split())[:200] if bad else ""
    return Finding("tests", name, bad[0].tag if bad else "passed", "passes", not bad, message)
