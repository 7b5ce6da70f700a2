"""How an inference ends by the outcomes of its cases."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from common.errors import CasesFailedError, CasesRefusedError
from common.io.export.outputs import REFUSED


def require_volumes(outcomes: Sequence[Mapping[str, Any]], manifest: Path) -> None:
    """Print why cases were refused, and raise if any of the outcomes is not a volume.

    Raises:
        CasesFailedError: as :class:`CaseEvaluator`.
    """
    failed, refused = ([one for one in outcomes if one["status"] == status] for status in ("failed", REFUSED))
    lines = [f"REFUSED {one['case']}: {one['reason']}" for one in refused]
    if len(outcomes) == 1 and (failed or refused):  # the folder of the manifest may be a temporary one
        raise CasesRefusedError(lines[0]) if refused else CasesFailedError(failed[0]["reason"])
    for line in lines:
        print(line, file=sys.stderr)
    if failed or refused:
        named = [f"{len(found)} {found[0]['status']}: {', '.join(one['case'] for one in found)}"
                 for found in (failed, refused) if found]  # fmt: skip
        value = "; ".join(named)
        raise CasesFailedError("inference", "every case succeeds", value, f"see {manifest} for the reasons")
