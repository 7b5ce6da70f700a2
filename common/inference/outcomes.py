"""How an inference ends by the outcomes of its cases."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import CasesFailedError, Refused, failure, some
from ..io.export.outputs import REFUSED
from ..io.export.verdicts import QUALITY


def require_volumes(outcomes: Sequence[Mapping[str, Any]], manifest: Path) -> None:
    """Print why cases were refused, and raise if any of the outcomes is not a volume.

    Raises:
        CasesFailedError: as :class:`common.inference.evaluator.CaseEvaluator`.
    """
    failed = {one["case"]: one["reason"] for one in outcomes if one["status"] == "failed"}
    refused = {one["case"]: f"REFUSED {one['case']}: {one['reason']}" for one in outcomes if one["status"] == REFUSED}
    if refused and len(outcomes) == 1:  # there may be no manifest
        (outcome,) = outcomes
        raise Refused(refused[outcome["case"]], outcome[QUALITY]["reasons"])
    for line in refused.values():
        print(line, file=sys.stderr)
    if failed:
        error = failure(failed, len(outcomes), manifest)
        also = f"; {len(refused)} of {len(outcomes)} refused: {some(list(refused))}" if refused else ""
        raise type(error)(f"{error}{also}")
    if refused:
        named = f"{len(refused)} of {len(outcomes)} cases refused: {some(list(refused))}"
        raise CasesFailedError(f"{named}; all reasons are in {manifest}")
