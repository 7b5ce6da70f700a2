"""The list of all checks."""

from __future__ import annotations

from pathlib import Path

from tools.verify import configs, contract, files, label, metadata, network_checks, workflows
from tools.verify.verdicts import Check

MODULES = (files, metadata, configs, workflows, label, contract, network_checks)
ALL = tuple(value for module in MODULES for value in vars(module).values() if isinstance(value, Check))


def of_files(schema: Path | None = None) -> list[Check]:
    """Checks that read a bundle and run nothing of it; one of them compares metadata with a schema file."""
    return [metadata.schema_file(schema), *of("files")]


def of(runs: str) -> list[Check]:
    """Checks that need the same: ``files``, ``code`` of a bundle, or each ``network``."""
    return [check for check in ALL if check.runs == runs]
