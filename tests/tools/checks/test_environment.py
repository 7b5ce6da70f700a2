"""What metadata name is read as the zoo reads it; the commands that are run on a release. Nothing is installed."""

from __future__ import annotations

import pytest

from tools.checks.environment import main, pins


def test_versions_are_pinned_unless_they_have_an_operator() -> None:
    metadata = {
        "version": "0.1.0",
        "numpy_version": "2.2.6",
        "pytorch_version": "2.13.0",
        "required_packages_version": {"nibabel": "5.4.2", "scipy": ">=1.13,<1.18"},
        "optional_packages_version": {"pydicom": "3.0.2"},
    }
    assert pins(metadata) == ["torch==2.13.0", "numpy==2.2.6", "pydicom==3.0.2", "nibabel==5.4.2", "scipy>=1.13,<1.18"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "error: no release zips in dist/: run make dist first"),
        (["dist/none.zip"], "error: no release zip dist/none.zip: run make dist first"),
    ],
)
def test_zips_are_demanded(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    assert capsys.readouterr().err.strip() == message
