"""Bills of materials and hashes of artefacts, what would be published, and tags of versions."""

from __future__ import annotations

import io
import json
import re
import shutil
import subprocess
import tarfile
import zipfile
from pathlib import Path

import pytest
import yaml

from common.errors import ConfigError
from tools.release import publish
from tools.release.artefacts import bill_of, describe
from tools.release.tag import git, own_version, tag
from tools.repository import ROOT

METADATA = b"""Metadata-Version: 2.4
Name: toy
Version: 1.2.0
Requires-Dist: monai==1.6.1
Requires-Dist: torch<2.14,>=2.8
Requires-Dist: fastapi==0.165.0; extra == "app"
"""
ABOUT = {"monai_version": "1.6.1", "pytorch_version": "2.13.0", "required_packages_version": {"PyYAML": "6.0.3"}}
WEIGHTS = {"commit": "1fdde4da", "trained_on": {"data": "phantoms"}, "settings": {"depth": 3}}
HASH_OF_NOTHING = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@pytest.fixture
def dist(tmp_path: Path) -> Path:
    """A wheel, a source distribution and a release, each as small as it can be."""
    out = tmp_path / "dist"
    out.mkdir()
    with zipfile.ZipFile(out / "toy-1.2.0-py3-none-any.whl", "w") as archive:
        archive.writestr("toy-1.2.0.dist-info/METADATA", METADATA)
    with tarfile.open(out / "toy-1.2.0.tar.gz", "w:gz") as archive:
        for name in ("toy-1.2.0/PKG-INFO", "toy-1.2.0/toy.egg-info/PKG-INFO"):
            entry = tarfile.TarInfo(name)
            entry.size = len(METADATA)
            archive.addfile(entry, io.BytesIO(METADATA))
    with zipfile.ZipFile(out / "gan_v0.1.0.zip", "w") as archive:
        archive.writestr("gan/configs/metadata.json", json.dumps(ABOUT))
        archive.writestr("gan/model_info.json", json.dumps({"name": "gan", "version": "0.1.0"}))
        archive.writestr("gan/models/model.pt", b"")
        archive.writestr("gan/models/model.json", json.dumps(WEIGHTS))
    return out


def test_a_bill_names_packages_and_weights_with_their_training(dist: Path) -> None:
    bill = bill_of(dist / "gan_v0.1.0.zip")
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    assert bill["metadata"]["component"]["bom-ref"] == "gan@0.1.0"
    purls = [each["purl"] for each in bill["components"] if each["type"] == "library"]
    assert purls == ["pkg:pypi/monai@1.6.1", "pkg:pypi/torch@2.13.0", "pkg:pypi/pyyaml@6.0.3"]
    (weights,) = (each for each in bill["components"] if each["type"] == "machine-learning-model")
    assert weights["name"] == "models/model.pt"
    assert weights["hashes"] == [{"alg": "SHA-256", "content": HASH_OF_NOTHING}]
    assert weights["properties"] == [
        {"name": "commit", "value": "1fdde4da"},
        {"name": "trained_on", "value": '{"data": "phantoms"}'},
    ]


def test_packages_have_their_requirements_without_extras(dist: Path) -> None:
    wheel, source = (bill_of(path) for path in (*dist.glob("*.whl"), *dist.glob("*.gz")))
    assert wheel["components"] == source["components"]
    assert wheel["serialNumber"] != source["serialNumber"]
    pinned, ranged = wheel["components"]
    assert (pinned["purl"], pinned["version"]) == ("pkg:pypi/monai@1.6.1", "1.6.1")
    assert (ranged["purl"], "version" in ranged) == ("pkg:pypi/torch", False)
    assert ranged["properties"] == [{"name": "range", "value": "<2.14,>=2.8"}]


def test_the_sums_are_those_of_all_artefacts_and_bills(dist: Path) -> None:
    first = [path.read_bytes() for path in describe(dist)]
    assert [path.read_bytes() for path in describe(dist)] == first
    listed = (dist / "SHA256SUMS").read_text().splitlines()
    assert len(listed) == 6
    if shutil.which("sha256sum"):
        done = subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=dist, check=False)
        assert done.returncode == 0


def test_a_dry_run_shows_what_would_go_where(
    dist: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publish, "own_version", lambda root: "1.2.0")
    monkeypatch.setattr(publish.subprocess, "run", None)  # nothing is run
    for name in publish.NEEDED:
        monkeypatch.delenv(name, raising=False)
    (dist / "hub" / "gan").mkdir(parents=True)
    info = {"name": "gan", "version": "0.1.0", "sha256": {"LICENSE": "0"}}
    (dist / "hub" / "gan" / "model_info.json").write_text(json.dumps(info))
    assert publish.main(["--dry", "--out", str(dist)]) == 0
    goals = [line.partition(":")[0] for line in capsys.readouterr().out.splitlines()]
    assert goals == ["PyPI", "PyPI", "Hub HUB/gan 0.1.0"]
    assert publish.main(["--out", str(dist)]) == 2
    assert capsys.readouterr().err == (
        "error: TWINE_PASSWORD, HF_TOKEN, HUB not set: set them, or pass DRY=1 (--dry)\n"
    )


def test_nothing_is_published_but_from_the_tag(
    dist: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publish, "own_version", lambda root: "1.2.0")
    monkeypatch.setattr(publish, "git", lambda root, *words: "v1.1.0" if words[0] == "tag" else "")
    monkeypatch.setattr(publish.subprocess, "run", None)
    for name in publish.NEEDED:
        monkeypatch.setenv(name, "set")
    assert publish.main(["--out", str(dist)]) == 2
    assert capsys.readouterr().err.startswith("error: HEAD is not v1.2.0, or files differ from it: ")
    run: list[list[str]] = []
    monkeypatch.setattr(publish, "git", lambda root, *words: "v1.2.0" if words[0] == "tag" else "")
    monkeypatch.setattr(publish.subprocess, "run", lambda words, check: run.append(words))
    assert publish.main(["--out", str(dist)]) == 0
    assert [words[:2] for words in run] == [["twine", "upload"]] * 2


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with a version and something new."""
    root = tmp_path / "repository"
    root.mkdir()
    (root / "setup.cfg").write_text("[metadata]\nname = toy\nversion = 0.1.0\n")
    (root / "CITATION.cff").write_text("cff-version: 1.2.0\nversion: 0.1.0\ndate-released: 2026-01-01\nlicense: MIT\n")
    (root / "CHANGELOG.md").write_text(
        "# Changelog\n\n## [Unreleased]\n\n- New.\n\n## [0.1.0] - 2026-01-01\n\n- First.\n"
    )
    git(root, "init", "--quiet")
    for key, value in (("user.name", "toy"), ("user.email", "toy@example.org")):
        git(root, "config", key, value)
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message", "first")
    return root


def test_a_tag_writes_the_version_everywhere(repository: Path) -> None:
    tag(repository, "0.2.0", "2026-02-03")
    assert own_version(repository) == "0.2.0"
    assert (
        "cff-version: 1.2.0\nversion: 0.2.0\ndate-released: 2026-02-03\n" in (repository / "CITATION.cff").read_text()
    )
    changelog = (repository / "CHANGELOG.md").read_text()
    assert "## [Unreleased]\n\n## [0.2.0] - 2026-02-03\n\n- New.\n\n## [0.1.0]" in changelog
    assert git(repository, "tag", "--points-at", "HEAD") == "v0.2.0"
    assert git(repository, "status", "--porcelain") == ""
    with pytest.raises(ConfigError, match=r"CHANGELOG.md has nothing under Unreleased"):
        tag(repository, "0.3.0", "2026-02-04")


@pytest.mark.parametrize("version", ["0.1.0", "0.0.9", "next"])
def test_a_version_rises(repository: Path, version: str) -> None:
    with pytest.raises(ConfigError, match=f"VERSION is {version}, not above 0.1.0"):
        tag(repository, version, "2026-02-03")


def test_files_that_are_not_committed_are_refused(repository: Path) -> None:
    (repository / "setup.cfg").write_text((repository / "setup.cfg").read_text() + "\n")
    with pytest.raises(ConfigError, match=r"files are not committed \(setup.cfg\)"):
        tag(repository, "0.2.0", "2026-02-03")


def test_citation_and_changelog_have_the_version() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == own_version(ROOT)
    heads = re.findall(r"^## \[([\d.]+)\] - (.*)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert heads[0] == (citation["version"], str(citation["date-released"]))


def test_actions_are_pinned_by_their_commit() -> None:
    used = re.findall(
        r"uses: (.*)", "".join(path.read_text() for path in (ROOT / ".github" / "workflows").glob("*.yml"))
    )
    assert used
    assert [each for each in used if not re.fullmatch(r"actions/[\w-]+@[0-9a-f]{40}  # v[\d.]+", each)] == []
