"""Every check there is."""

from __future__ import annotations

from pathlib import Path

from tools.verify import configs, contract, exported, files, forward, label, metadata, sources, weights, workflows
from tools.verify.verdicts import Check, NetworkCheck

_OF_BUNDLES: tuple[Check, ...] = (
    *files.CHECKS,
    *metadata.CHECKS,
    *configs.CHECKS,
    *sources.CHECKS,
    *weights.CHECKS,
    *workflows.CHECKS,
    *label.CHECKS,
    *contract.CHECKS,
)
OF_NETWORKS: tuple[NetworkCheck, ...] = (*forward.CHECKS, *weights.NETWORK_CHECKS, *exported.CHECKS)


def of_files(schema: Path | None = None) -> list[Check]:
    """Checks that read a bundle and run nothing of it."""
    return [metadata.schema_file(schema), *(check for check in _OF_BUNDLES if not check.executes)]


def of_code() -> list[Check]:
    """Checks that run a bundle's code."""
    return [check for check in _OF_BUNDLES if check.executes]
