"""Publish what lies in ``dist``: ``python -m tools.release.publish [--dry]``, wheels on PyPI, bundles on the Hub.

``--dry`` shows what would go where. Otherwise PyPI needs ``TWINE_PASSWORD``, the Hub ``HF_TOKEN`` and ``HUB``, the
organisation, and the commit the tag of the version (``make tag``).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from common.errors import ConfigError, exit_code_of_user_errors
from tools.release.artefacts import sha256
from tools.release.pack.release import MODEL_INFO
from tools.release.tag import VERSION, git, own_version
from tools.repository import ROOT

NEEDED = ("TWINE_PASSWORD", "HF_TOKEN", "HUB")


class Upload(NamedTuple):
    """One upload: where it goes, in words, and the commands that do it."""

    goal: str
    content: str
    commands: list[list[str]]


def uploads(dist: Path, organisation: str) -> Iterator[Upload]:
    """Those of the packages of this version, and of each bundle in ``hub``.

    Raises:
        ConfigError: where neither lies in the folder.
    """
    version = own_version(ROOT)
    packages = sorted(path for kind in ("whl", "tar.gz") for path in dist.glob(f"*-{version}*.{kind}"))
    folders = sorted(path.parent for path in dist.glob(f"hub/*/{MODEL_INFO}"))
    if not packages and not folders:
        raise ConfigError(f"{dist} has nothing of version {version}", "run make package, and make dist ZOO=1")
    for path in packages:
        content = path.read_bytes()
        words = ["twine", "upload", "--non-interactive", str(path)]
        yield Upload("PyPI", f"{path.name}, {len(content):,} bytes, sha256 {sha256(content)}", [words])
    for folder in folders:
        info, place = json.loads((folder / MODEL_INFO).read_text()), f"{organisation}/{folder.name}"
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        tag = ["hf", "repos", "tag", "create", place, str(info["version"])]
        yield Upload(
            f"Hub {place} {info['version']}",
            f"{len(info['sha256']) + 1} files, {size:,} bytes",
            [["hf", "upload", place, str(folder), "."], tag],
        )


@exit_code_of_user_errors
def main(words: list[str] | None = None) -> int:
    """Show the uploads, and do them unless ``--dry`` is given."""
    parser = argparse.ArgumentParser(prog="python -m tools.release.publish", description=__doc__)
    parser.add_argument("--dry", action="store_true", help="show what would go where")
    parser.add_argument("--out", type=Path, default=ROOT / "dist", help="folder of the artefacts")
    given = parser.parse_args(words)
    todo = list(uploads(given.out, os.environ.get("HUB", "HUB")))
    if not given.dry:
        if missing := [name for name in NEEDED if not os.environ.get(name)]:
            raise ConfigError(f"{', '.join(missing)} not set", "set them, or pass DRY=1 (--dry)")
        tag = f"v{own_version(ROOT)}"
        if tag not in git(ROOT, "tag", "--points-at", "HEAD").split() or git(ROOT, "status", "--porcelain"):
            raise ConfigError(
                f"HEAD is not {tag}, or files differ from it", f"run make tag {VERSION}=..., and pack again"
            )
    for upload in todo:
        print(f"{upload.goal}: {upload.content}", flush=True)
        for command in [] if given.dry else upload.commands:
            subprocess.run(command, check=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
