"""The Dockerfile: it passes the linter, runs as a plain user, and outputs of runs stay out of its context."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tools.repository import ROOT

DOCKERFILE = ROOT / "docker" / "Dockerfile"
DOCKERFILES = (DOCKERFILE, ROOT / "examples" / "synthrad" / "Dockerfile")


def instructions() -> list[list[str]]:
    """The instructions before the first stage and of each, in order."""
    text = re.sub(r"\\\n", " ", re.sub(r"^#.*\n", "", DOCKERFILE.read_text(), flags=re.MULTILINE))
    lines = [re.sub(r"\s+", " ", line) for line in text.splitlines() if line]
    starts = [0, *(number for number, line in enumerate(lines) if line.startswith("FROM "))]
    return [lines[start:end] for start, end in zip(starts, [*starts[1:], None], strict=True)]


def sent(path: str) -> bool:
    """Whether a file of the repository is sent to the build: the last rule that matches it or a folder above counts."""
    found = True
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        rule = line.removeprefix("!").replace("*", "[^/]*").replace("[^/]*[^/]*/", "(.*/)?")
        if not line.startswith("#") and re.match(rf"{rule}(/|$)", path):
            found = line.startswith("!")
    return found


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda path: path.parent.name)
def test_the_linter_finds_nothing(dockerfile: Path) -> None:
    linter = shutil.which("hadolint", path=str(Path(sys.executable).parent)) or shutil.which("hadolint")
    if linter is None:
        pytest.skip("no hadolint on this platform")
    done = subprocess.run([linter, "--no-color", str(dockerfile)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_image_runs_the_command_as_a_plain_user() -> None:
    first, build, final = instructions()
    assert first == ["ARG BASE=python:3.12-slim"]
    assert (build[0], final[0]) == ("FROM ${BASE} AS build", "FROM ${BASE}")
    installs = [line for line in build if line.startswith("RUN /opt/synthesize/bin/pip install ")]
    assert installs == ['RUN /opt/synthesize/bin/pip install --no-cache-dir ".[app,codecs,node]"']
    assert "COPY --from=build /opt/synthesize /opt/synthesize" in final
    assert final[-6:] == [
        "USER 1000", "ENV PATH=/opt/synthesize/bin:$PATH MPLCONFIGDIR=/tmp/matplotlib", "WORKDIR /data",
        'ENTRYPOINT ["synthesize"]', "EXPOSE 8000",
        'CMD ["app", "--host", "0.0.0.0", "--port", "8000", "--no_browser"]',
    ]  # fmt: skip
    (label,) = [line for line in final if line.startswith("LABEL ")]
    assert "not for clinical use" in label


def test_outputs_of_runs_are_not_sent() -> None:
    ignored = (ROOT / ".gitignore").read_text().splitlines()
    outputs = [line.rstrip("/").replace("*", "mr2ct_pix2pix", 1) for line in ignored if line.startswith("bundles/*/")]
    assert len(outputs) > 10
    assert [path for path in outputs if sent(path.replace("*", "x"))] == []
    assert not any(
        map(sent, (".git/config", ".venv/bin/python", "tests/test_docker.py", "dist/a.zip", "data/mr.nii.gz"))
    )
