"""The repository's root, the names of its bundles and what their configs are for; files of a folder."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]

KEPT_IN = ("variant", "run_dir", "output_dir")
"""What an overlay sets that trains another model: the folder where that is kept."""


def bundle_names(root: Path = ROOT) -> list[str]:
    """Folders under ``bundles`` that can be trained, sorted."""
    return sorted(path.parents[1].name for path in root.glob("bundles/*/configs/train.yaml"))


def config_path(bundle: str, name: str) -> Path:
    """Where a config of a bundle lies."""
    return ROOT / "bundles" / bundle / "configs" / f"{name}.yaml"


def base_of(overlay: Path) -> tuple[str, ...]:
    """The configs that an overlay stands on, in the command that its head names: ``train`` where it names none."""
    command = re.search(r"--config_file .*", overlay.read_text("utf-8"))
    named = re.findall(r"(?:C|configs)/(\w+)\.yaml", command.group()) if command else []
    return tuple(named[: named.index(overlay.stem)]) or ("train",) if overlay.stem in named else ("train",)


def own_settings(bundle: str, *configs: str) -> dict[str, Any]:
    """The top of some configs of a bundle, merged and unresolved."""
    merged: dict[str, Any] = {}
    for name in configs:
        merged |= yaml.safe_load(config_path(bundle, name).read_text())
    return merged


def write_files(content: Mapping[str, bytes], folder: Path) -> None:
    """Write files at their places in a folder."""
    for place, data in content.items():
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        (folder / place).write_bytes(data)


def trained_overlays(bundle: str) -> dict[str, Mapping[str, Any]]:
    """The overlays of ``train.yaml`` that train another model, each with its own settings, sorted by name.

    A config that names the bundle's root is complete in itself and no overlay.
    """
    names = sorted(path.stem for path in config_path(bundle, "train").parent.glob("*.yaml"))
    configs = {name: own_settings(bundle, name) for name in names}
    return {
        name: own for name, own in configs.items() if "bundle_root" not in own and not own.keys().isdisjoint(KEPT_IN)
    }
