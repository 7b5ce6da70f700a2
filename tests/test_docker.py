"""The Dockerfile: it passes the linter, runs as a plain user, and its context builds the whole wheel."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tools.release.pack.wheel import PRODUCT, wheel_files
from tools.repository import ROOT

DOCKERFILE = ROOT / "docker" / "Dockerfile"
BUILD = "import sys; from tools.release.pack import backend; print(backend.build_wheel(sys.argv[1]))"


def instructions() -> list[list[str]]:
    """The instructions of each stage, in order."""
    text = re.sub(r"\\\n", " ", re.sub(r"^#.*\n", "", DOCKERFILE.read_text(), flags=re.MULTILINE))
    lines = [re.sub(r"\s+", " ", line) for line in text.splitlines() if line]
    starts = [number for number, line in enumerate(lines) if line.startswith("FROM ")]
    return [lines[start:end] for start, end in zip(starts, [*starts[1:], None], strict=True)]


def sent(path: str) -> bool:
    """Whether a file of the repository is sent to the build: the last rule that matches it or a folder above counts."""
    found = True
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        rule = line.removeprefix("!").replace("*", "[^/]*").replace("[^/]*[^/]*/", "(.*/)?")
        if not line.startswith("#") and re.match(rf"{rule}(/|$)", path):
            found = line.startswith("!")
    return found


def test_the_linter_finds_nothing() -> None:
    linter = shutil.which("hadolint", path=str(Path(sys.executable).parent)) or shutil.which("hadolint")
    if linter is None:
        pytest.skip("no hadolint on this platform")
    done = subprocess.run([linter, "--no-color", str(DOCKERFILE)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_image_runs_the_command_as_a_plain_user() -> None:
    build, final = instructions()
    assert "RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels ." in build
    assert final[-5:] == [
        "USER 1000", "ENV MPLCONFIGDIR=/tmp/matplotlib", "WORKDIR /data", 'ENTRYPOINT ["synthesize"]', 'CMD ["list"]'
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


@pytest.mark.slow
def test_what_is_sent_builds_the_whole_wheel(tmp_path: Path) -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split(
        "\n"
    )
    for path in filter(sent, filter(None, listed)):
        (tmp_path / "source" / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / path, tmp_path / "source" / path)
    words = [sys.executable, "-c", BUILD, str(tmp_path)]
    done = subprocess.run(words, cwd=tmp_path / "source", capture_output=True, text=True, check=True)
    with zipfile.ZipFile(tmp_path / done.stdout.splitlines()[-1]) as wheel:
        held = {name: wheel.read(name) for name in wheel.namelist() if name.startswith(f"{PRODUCT}/")}
    whole = wheel_files(ROOT)
    assert held.keys() == whole.keys()
    assert [name for name, content in whole.items() if held[name] != content] == []
