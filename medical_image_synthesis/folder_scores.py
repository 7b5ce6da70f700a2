"""Scores of a folder of synthetic volumes, of this project or another, against the cases of a data set."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from common.errors import ConfigError, DataError, naming_case, some
from medical_image_synthesis.places import MAP, PICTURES, VOLUMES
from medical_image_synthesis.scoring import UNDEFINED, score_row

if TYPE_CHECKING:
    import pandas as pd

logger = logging.getLogger(__name__)
READ = (*VOLUMES, *PICTURES)


Pairs = dict[str, tuple[Path, ...]]
"""Synthetic volume, truth and, where there is one, mask of each case."""


def pairs_of(made: Path, data: Path, target: str, mask: str) -> tuple[Pairs, list[str], dict[str, str]]:
    """The pairs, the cases without a synthetic volume, and the faults of those without a truth or mask, by their names.

    Args:
        made: folder with a file for each case, ``<case>.mha`` or ``<case>_<words>.nii.gz``; maps of uncertainty are
            passed over.
        data: folder of cases, with ``<case>/<target>.nii.gz`` and ``<case>/<mask>.nii.gz``, or series of these names.
        target: name of the truth.
        mask: name of the mask.

    Raises:
        DataError: no case has a truth, files belong to no case, two belong to one, or there are none.
    """
    from common.io.picture_files import is_picture
    from common.io.reader import volume_path, volume_stem

    truths: dict[str, Path] = {}
    folders = sorted(path for path in data.iterdir() if path.is_dir())
    for folder in folders:
        if found := volume_path(folder, target, READ):
            truths[folder.name] = found[0]
    if not truths:
        raise DataError(f"no case in {data} has a {target}", "pass a folder of DATA/<case>/<target>, and --target NAME")
    files = [path for path in sorted(made.iterdir()) if path.name.lower().endswith(READ) and path.name[0] != "."]
    pairs: Pairs = {}
    strange: list[str] = []
    faults: dict[str, str] = {}
    for path in (each for each in files if not each.name.endswith(MAP)):
        stem = volume_stem(path)
        of_it = [each.name for each in folders if stem == each.name or stem.startswith(f"{each.name}_")]
        if not of_it:
            strange.append(str(path))
            continue
        case = max(of_it, key=len)
        if case in pairs:
            raise DataError(f"{pairs[case][0].name} and {path.name} are both of the case {case}", "remove one of them")
        masks = volume_path(data / case, mask, READ)[:1]
        pairs[case] = (path, *([truths[case]] if case in truths else []), *masks)
        if case not in truths:
            faults[case] = f"{path} is of the case {case}, which has no {target}: add it, or remove the file"
        elif not masks and not is_picture(path):
            faults[case] = f"{data / case} has no {mask}, without which the background would count: add it"
    if strange:
        verb, them = ("is", "it") if len(strange) == 1 else ("are", "them")
        fault = f"{some(strange)} {verb} of none of the cases {some(list(truths))}"
        raise DataError(fault, f"name {them} <case>.nii.gz, or remove {them}")
    if not pairs:
        raise DataError(f"{made} has no synthetic volume", f"name its files <case>.nii.gz, as those in {data}")
    whole = {case: files for case, files in pairs.items() if case not in faults}
    return whole, [case for case in truths if case not in pairs], faults


def case_rows(
    pairs: Pairs, unit: str | None, value_range: tuple[float, float] | None
) -> tuple[list[pd.Series], dict[str, str]]:
    """A row for each case that can be scored, named so, and the faults of the others by their names.

    Arguments as of :func:`medical_image_synthesis.scoring.score`.
    """
    rows, faults = [], {}
    for case, files in pairs.items():
        pred, truth, mask = (*files, None)[:3]
        try:
            with naming_case(case):
                row = score_row(pred, truth, mask, unit, value_range)
        except (ConfigError, DataError) as error:
            faults[case] = str(error)
        else:
            rows.append(row.rename(case))
    return rows, faults


def summary_of(rows: Sequence[pd.Series], missing: Sequence[str], faults: Mapping[str, str]) -> dict[str, Any]:
    """Mean and standard deviation of each metric over the cases that have it, the conditions, missing and failed cases.

    A metric that is infinite in some has their number and no mean.
    """
    from common.metrics.undefined import INFINITE

    if missing:
        logger.warning(f"{len(missing)} cases have no synthetic volume and do not count ({some(list(missing))})")
    summary: dict[str, Any] = {"cases": len(rows), **({"missing": list(missing)} if missing else {})}
    summary |= {"failed": dict(faults)} if faults else {}
    for name in dict.fromkeys(each for row in rows for each in row.index):
        values = [float(row[name]) for row in rows if name in row and math.isfinite(row[name])]
        infinite = sum(row.attrs[UNDEFINED].get(name) == INFINITE for row in rows)
        mean = sum(values) / len(values) if values and not infinite else None
        about: dict[str, Any] = {"mean": mean, "cases": len(values), **({"infinite": infinite} if infinite else {})}
        if mean is not None and len(values) > 1:
            about["sd"] = math.sqrt(sum((value - mean) ** 2 for value in values) / (len(values) - 1))
        summary[name] = about
    shared = {name: rows[0].attrs[name] for name in ("unit", "value_range") if name in rows[0].attrs}
    return summary | {name: value for name, value in shared.items() if all(r.attrs.get(name) == value for r in rows)}
