"""Scores of a folder of synthetic volumes, of this project or another, against the cases of a data set."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from common.errors import DataError, naming_case, some
from medical_image_synthesis.places import MAP, PICTURES, VOLUMES
from medical_image_synthesis.scoring import UNDEFINED, score_row

if TYPE_CHECKING:
    import pandas as pd

logger = logging.getLogger(__name__)
READ = (*VOLUMES, *PICTURES)


def pairs_of(made: Path, data: Path, target: str, mask: str) -> tuple[dict[str, tuple[Path, ...]], list[str]]:
    """Synthetic volume, truth and, where there is one, mask of each case, and the cases without a synthetic volume.

    Args:
        made: folder with a file for each case, ``<case>.mha`` or ``<case>_<words>.nii.gz``; maps of uncertainty are
            passed over.
        data: folder of cases, with ``<case>/<target>.nii.gz`` and ``<case>/<mask>.nii.gz``, or series of these names.
        target: name of the truth.
        mask: name of the mask.

    Raises:
        DataError: no case has a truth, a file belongs to no case or to one without a truth, two belong to one, a mask
            or all are missing.
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
    pairs: dict[str, tuple[Path, ...]] = {}
    for path in (each for each in files if not each.name.endswith(MAP)):
        stem = volume_stem(path)
        of_it = [each.name for each in folders if stem == each.name or stem.startswith(f"{each.name}_")]
        if not of_it:
            fault = f"{path} is of none of the cases {some(list(truths))}"
            raise DataError(fault, "name it <case>.nii.gz, or remove it")
        case = max(of_it, key=len)
        if case not in truths:
            raise DataError(f"{path} is of the case {case}, which has no {target}", "add it, or remove the file")
        if case in pairs:
            raise DataError(f"{pairs[case][0].name} and {path.name} are both of the case {case}", "remove one of them")
        masks = volume_path(data / case, mask, READ)[:1]
        if not masks and not is_picture(path):
            raise DataError(f"{data / case} has no {mask}, without which the background would count", "add it")
        pairs[case] = (path, truths[case], *masks)
    if not pairs:
        raise DataError(f"{made} has no synthetic volume", f"name its files <case>.nii.gz, as those in {data}")
    return pairs, [case for case in truths if case not in pairs]


def case_rows(
    pairs: dict[str, tuple[Path, ...]], unit: str | None, value_range: tuple[float, float] | None
) -> list[pd.Series]:
    """A row for each case, named so; arguments of :func:`medical_image_synthesis.scoring.score`.

    Raises:
        DataError, ConfigError: naming the case.
    """
    rows = []
    for case, files in pairs.items():
        with naming_case(case):
            pred, truth, mask = (*files, None)[:3]
            row = score_row(pred, truth, mask, unit, value_range)
        rows.append(row.rename(case))
    return rows


def summary_of(rows: Sequence[pd.Series], missing: Sequence[str]) -> dict[str, Any]:
    """Mean and standard deviation of each metric over the cases that have it, the conditions, and missing cases.

    A metric that is infinite in some has their number and no mean.
    """
    from common.metrics.undefined import INFINITE

    if missing:
        logger.warning(f"{len(missing)} cases have no synthetic volume and do not count ({some(list(missing))})")
    summary: dict[str, Any] = {"cases": len(rows), **({"missing": list(missing)} if missing else {})}
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
