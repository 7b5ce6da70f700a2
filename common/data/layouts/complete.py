"""Cases of a data set that have all files."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

from ...errors import DataError, some

logger = logging.getLogger(__name__)


def complete(
    root: Path,
    found: Mapping[str, dict[str, Path]],
    names: Sequence[str],
    words: tuple[str, str, str],
    example: str,
    reasons: Mapping[str, str] | None = None,
) -> dict[str, dict[str, Path]]:
    """The cases with all names; a warning tells the others.

    Args:
        root: of the data set.
        found: paths of each case by name.
        names: that a case must have.
        words: what one case, several and their files are called.
        example: path of a file under ``root``.
        reasons: why cases lack a file, where more is known.

    Raises:
        DataError: no case has all.
    """
    one, several, files = words
    excluded = [case for case, own in found.items() if not set(names) <= own.keys()]
    shown = some([f"{case} ({reasons[case]})" if reasons and case in reasons else case for case in excluded])
    if len(excluded) == len(found):
        fault = f"no {one} in {root} has all of {', '.join(names)}, {files} such as ROOT/{example}"
        fault += f"; excluded: {shown}" if reasons else ""
        raise DataError(fault, "correct --dataset_dir, --source or --target")
    if excluded:
        logger.warning(f"{root.name}: {len(excluded)} {several} without all {files} are excluded: {shown}")
    return {case: own for case, own in found.items() if case not in excluded}
