"""The list of all checks."""

from __future__ import annotations

from pathlib import Path

from tools.verify import configs, contract, exported, files, label, metadata, networks, sources, weights, workflows
from tools.verify.verdicts import Check

MODULES = (files, metadata, configs, sources, weights, workflows, label, contract, networks, exported)
ALL = tuple(value for module in MODULES for value in vars(module).values() if isinstance(value, Check))


def of_files(schema: Path | None = None) -> list[Check]:
    """Checks that read a bundle and run nothing of it; one of them compares metadata with a schema file."""
    return [metadata.schema_file(schema), *(check for check in ALL if check.runs == "files")]


def of_code() -> list[Check]:
    """Checks that run a bundle's code."""
    return [check for check in ALL if check.runs == "code"]


def of_networks() -> list[Check]:
    """Checks that run each network of a bundle."""
    return [check for check in ALL if check.runs == "network"]
