"""The documentation: links lead somewhere, the citation and the workflows can be read."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
PAGES = [
    *ROOT.glob("*.md"),
    *ROOT.glob("docs/**/*.md"),
    *ROOT.glob("bundles/*/docs/*.md"),
    *ROOT.glob("examples/*/*.md"),
]
LINK = re.compile(r"\]\(([^()\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them: lower case, no punctuation, hyphens for spaces."""
    headings = HEADING.findall(re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_to_files_and_headings(page: Path) -> None:
    broken = []
    for link in LINK.findall(page.read_text()):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = page.parent / name if name else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


def test_pages_are_short() -> None:
    assert len(PAGES) <= 52
    assert sum(len(page.read_text().split()) for page in PAGES) <= 28_345


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_a_printed_download_writes_no_error_into_its_file(page: Path) -> None:
    """Without ``-f`` curl ends with 0 and puts a server's refusal into the file that the volume should be in."""
    for line in re.findall(r"^curl [^\\\n]*", (ROOT / page).read_text(), re.MULTILINE):
        words = shlex.split(line, comments=True)
        short = "".join(word[1:] for word in words if re.fullmatch("-[a-zA-Z]+", word))
        assert "o" not in short and "--output" not in words or "f" in short or "--fail" in words, line


def test_the_index_names_every_page() -> None:
    index = ROOT / "docs" / "README.md"
    named = {(index.parent / link.partition("#")[0]).resolve() for link in LINK.findall(index.read_text())}
    assert [page.name for page in ROOT.glob("docs/**/*.md") if page != index and page.resolve() not in named] == []


WORKFLOWS = [f".github/workflows/{path.name}" for path in ROOT.glob(".github/workflows/*.yml")]


@pytest.mark.parametrize("name", ["CITATION.cff", ".pre-commit-config.yaml", *sorted(WORKFLOWS)])
def test_files_for_other_programs_are_yaml(name: str) -> None:
    assert isinstance(yaml.safe_load((ROOT / name).read_text()), dict)


def test_pre_commit_runs_the_pinned_ruff() -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    (ruff,) = [repository["rev"] for repository in hooks if repository["repo"].endswith("ruff-pre-commit")]
    assert f"ruff=={ruff.removeprefix('v')}\n" in (ROOT / "setup.cfg").read_text()
