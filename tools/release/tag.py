"""Tag a version: ``python -m tools.release.tag 0.2.0``. What is ``Unreleased`` in the changelog becomes that version.

It is written into ``setup.cfg``, which every build reads, ``CITATION.cff`` and the changelog, committed and tagged.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from datetime import date
from pathlib import Path

from packaging.version import InvalidVersion, Version

from common.errors import ConfigError, exit_code_of_user_errors
from tools.repository import ROOT

VERSION = "VERSION"
UNRELEASED = "## [Unreleased]\n"
DATED = r"^version: .*\ndate-released: .*$"
EDITED = ("setup.cfg", "CITATION.cff", "CHANGELOG.md")


def own_version(root: Path) -> str:
    """The version in ``setup.cfg``."""
    return re.findall(r"^version = (.+)$", (root / "setup.cfg").read_text(), re.MULTILINE)[0]


def git(root: Path, *words: str) -> str:
    """What a command of git prints."""
    return subprocess.run(["git", *words], cwd=root, capture_output=True, text=True, check=True).stdout.strip()


def tag(root: Path, version: str, day: str) -> None:
    """Write a version into the files, commit and tag.

    Raises:
        ConfigError: for a version that is not above the last, changed files, or a changelog with nothing new.
    """
    last = own_version(root)
    try:
        rises = Version(version) > Version(last)
    except InvalidVersion:
        rises = False
    if not rises:
        raise ConfigError(f"{VERSION} is {version}, not above {last}", f"pass {VERSION}=X.Y.Z")
    if changed := git(root, "status", "--porcelain"):
        raise ConfigError(f"files are not committed ({', '.join(changed.split()[1::2])})", "commit or remove them")
    setup, citation, changelog = ((root / name).read_text() for name in EDITED)
    new = changelog.partition(UNRELEASED)[2].partition("\n## ")[0].strip()
    if not new:
        raise ConfigError("CHANGELOG.md has nothing under Unreleased", "add what is new")
    texts = {
        "setup.cfg": setup.replace(f"\nversion = {last}\n", f"\nversion = {version}\n", 1),
        "CITATION.cff": re.sub(DATED, f"version: {version}\\ndate-released: {day}", citation, flags=re.MULTILINE),
        "CHANGELOG.md": changelog.replace(UNRELEASED, f"{UNRELEASED}\n## [{version}] - {day}\n", 1),
    }  # fmt: skip
    for name, text in texts.items():
        (root / name).write_text(text)
    git(root, "commit", "--quiet", "--message", f"Version {version}", "--", *EDITED)
    git(root, "tag", "--annotate", f"v{version}", "--message", f"Version {version}")


@exit_code_of_user_errors
def main(words: list[str] | None = None) -> int:
    """Tag, and say what to push."""
    parser = argparse.ArgumentParser(prog="python -m tools.release.tag", description=__doc__)
    parser.add_argument("version", help="such as 0.2.0")
    version = parser.parse_args(words).version
    tag(ROOT, version, date.today().isoformat())
    print(f"git push origin HEAD v{version}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
