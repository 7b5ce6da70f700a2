"""Order of the cases of a report, worst first, and the place of a case's largest error."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter

from .contents import Panel
from .metric_info import metric_info
from .tables import metrics_frame

MAIN_METRIC = "mae"
SMOOTHING_MM = 2.0
"""Standard deviation of the Gaussian over which an error is averaged, so that no single noisy voxel is the largest."""


@dataclass(frozen=True)
class Ranking:
    """Cases by one metric of one method.

    Args:
        metric: that orders them: the MAE, else the first metric with a better direction; None without any.
        cases: worst first; those without a value come last, in their own order.
        roles: ``worst``, ``median`` and ``best`` case, as far as they are different ones.
    """

    metric: str | None
    cases: list[str]
    roles: dict[str, str]

    def shown(self, cases: Sequence[str], count: int) -> list[str]:
        """Up to ``count`` of some cases, most telling first: the worst, the best and the median one, the next worst."""
        order = [*(case for case in self.cases if case in cases), *(case for case in cases if case not in self.cases)]
        return sorted(order, key=lambda case: ("worst", "best", "median", None).index(self.roles.get(case)))[:count]


def ranked(rows: Sequence[Mapping[str, Any]], reference: str = "model") -> Ranking:
    """Cases of ``rows`` by the main metric of the method ``reference``.

    Raises:
        DataError: as :func:`common.evaluation.report.tables.metrics_frame`.
    """
    frame = metrics_frame(rows)
    everyone = list(dict.fromkeys(frame["case"]))
    own = frame[frame["method"] == reference].set_index("case")
    usable = [
        name
        for name in sorted(own.columns[1:], key=lambda name: name != MAIN_METRIC)
        if metric_info(name).direction != "unknown" and own[name].notna().any()
    ]
    if not usable:
        return Ranking(None, everyone, {})
    costs = metric_info(usable[0]).badness(own[usable[0]].to_numpy())
    worst_first = [own.index[place] for place in np.argsort(-costs, kind="stable") if not np.isnan(costs[place])]
    count = len(worst_first)
    places = {"worst": 0, "best": count - 1, "median": count // 2} if count > 1 else {}
    roles = {worst_first[place]: role for role, place in reversed(places.items())}
    return Ranking(usable[0], [*worst_first, *(case for case in everyone if case not in worst_first)], roles)


@dataclass(frozen=True)
class LargestError:
    """Place of a case's largest error.

    Args:
        size: mean |synthetic - truth| around it, in the unit of the target.
        voxel: its index along X, Y, Z of the RAS volume.
        mm: its RAS coordinates in the patient's space; None without an affine.
    """

    size: float
    voxel: tuple[int, int, int]
    mm: tuple[float, float, float] | None

    @property
    def text(self) -> str:
        """The place in words."""
        if self.mm is None:
            return "voxel ({}, {}, {})".format(*self.voxel)
        axes = zip(self.mm, ("right", "anterior", "superior"), ("left", "posterior", "inferior"), strict=True)
        return ", ".join(f"{abs(at):.0f} mm {plus if at >= 0 else minus}" for at, plus, minus in axes)


def largest_error(panel: Panel) -> LargestError | None:
    """Maximum of |synthetic - truth| averaged by a Gaussian of ``SMOOTHING_MM``, inside the mask; outside counts as 0.

    None without a truth, or without a finite error inside.
    """
    if panel.truth is None:
        return None
    error = np.abs(panel.synthetic - panel.truth, dtype=np.float32)
    inside = np.isfinite(error) if panel.mask is None else np.isfinite(error) & (panel.mask > 0)
    if not inside.any():
        return None
    smooth = gaussian_filter(np.where(inside, error, 0), [SMOOTHING_MM / step for step in panel.spacing])
    x, y, z = (int(at) for at in np.unravel_index(np.argmax(np.where(inside, smooth, -1)), smooth.shape))
    mm = None
    if panel.affine is not None:
        right, anterior, superior = (float(at) for at in (panel.affine @ (x, y, z, 1))[:3])
        mm = right, anterior, superior
    return LargestError(float(smooth[x, y, z]), (x, y, z), mm)
