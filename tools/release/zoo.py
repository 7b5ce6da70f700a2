"""Folders of a release for the MONAI model zoo and for the Hugging Face Hub."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from common import files
from common.errors import CheckpointError, ConfigError
from tools.release.pack.release import MODEL, MODEL_INFO
from tools.release.verify import schema
from tools.repository import write_files

ZOO_LIMIT = 25_000_000
"""Bytes: the model zoo takes files of at most 25 MB into its repository."""
LARGE_FILES = "large_files.yml"
TAGS = ["monai", "medical"]
"""Those that :func:`monai.bundle.push_to_hf_hub` gives every bundle; the card has others."""
PIPELINES = {True: "image-to-image", False: "unconditional-image-generation"}
"""Tasks of the Hub, of bundles that translate a source and of others."""


def write_layouts(release: Mapping[str, bytes], out: Path, url: str | None) -> list[Path]:
    """Write a release as a folder for the zoo, one for the Hub, and one of the files that are too large for the zoo.

    Args:
        release: every file of the release with its bytes, see :func:`tools.release.pack.release.release`.
        out: the folder for ``zoo/models/<name>``, ``hub/<name>`` and, where needed, ``large_files/<name>_v<version>``.
        url: where the content of ``large_files`` will be published; needed only where a file is too large.

    Returns:
        The folders written.

    Raises:
        CheckpointError: where the release has no weights.
        ConfigError: for an address that is missing or a placeholder.
        OutputError: where a folder cannot be written or is another's.
    """
    info = json.loads(release[MODEL_INFO])
    if MODEL not in release:
        raise CheckpointError(f"{info['name']} has no {MODEL} to publish", "train, or pass RUN=DIR")
    large = {place: content for place, content in release.items() if len(content) > ZOO_LIMIT}
    own = f"{info['name']}_v{info['version']}"
    folders = {
        out / "zoo" / "models" / info["name"]: _for_zoo(release, large, own, url),
        out / "hub" / info["name"]: _with(release, "README.md", _hub_card(release).encode()),
    }
    if large:
        folders[out / "large_files" / own] = large
    for folder, content in folders.items():
        files.write_whole_folder(folder, partial(write_files, content), _is_own)
    return list(folders)


def _hub_card(release: Mapping[str, bytes]) -> str:
    """The model card with the head that the Hub reads: tags, library, task and licence."""
    card, metadata = release["docs/README.md"].decode(), json.loads(release["configs/metadata.json"])
    (tags,) = re.findall(r"^### Tags\n\n(.*)\n", card, flags=re.MULTILINE)
    head = {
        "tags": [*TAGS, *(tag.lower().replace(" ", "-") for tag in tags.split(", "))],
        "library_name": "monai",
        "pipeline_tag": PIPELINES[metadata["traits"]["translation"]],
        "license": "apache-2.0",
    }
    return f"---\n{yaml.safe_dump(head, sort_keys=False)}---\n\n{card}"


def _for_zoo(release: Mapping[str, bytes], large: Mapping[str, bytes], own: str, url: str | None) -> dict[str, bytes]:
    """The release without large files, and where MONAI's ``download_large_files`` finds these."""
    if not large:
        return dict(release)
    listed = {"large_files": [_entry(place, content, f"{url or ''}/{own}") for place, content in sorted(large.items())]}
    if any(schema.faults(LARGE_FILES, listed, "large_files", "")):
        fault = f"ZOO_URL (--url) is {url}, no public address"
        raise ConfigError(fault, "give where the folder large_files will be published")
    whole = _with(release, LARGE_FILES, yaml.safe_dump(listed, sort_keys=False).encode())
    return {place: content for place, content in whole.items() if place not in large}


def _entry(place: str, content: bytes, url: str) -> dict[str, str]:
    found = hashlib.sha256(content).hexdigest()
    return {"path": place, "url": f"{url}/{place}", "hash_val": found, "hash_type": "sha256"}


def _with(release: Mapping[str, bytes], place: str, content: bytes) -> dict[str, bytes]:
    """A release with one more file, which ``model_info.json`` lists."""
    info: dict[str, Any] = json.loads(release[MODEL_INFO])
    info["sha256"][place] = hashlib.sha256(content).hexdigest()
    return {**release, place: content, MODEL_INFO: (json.dumps(info, indent=4) + "\n").encode()}


def _is_own(folder: Path) -> bool:
    return (folder / MODEL_INFO).is_file() or {path.name for path in folder.iterdir()} == {"models"}
