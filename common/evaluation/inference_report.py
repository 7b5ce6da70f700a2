"""Page about synthetic volumes without truth: images, warnings, and measures of the volumes as they were written."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from nibabel.affines import voxel_sizes

from ..grids import reoriented
from ..io.export import VolumeExporter
from ..io.export.outputs import REFUSED
from ..io.export.verdicts import ACCEPT, QUALITY, VERDICTS, in_words
from ..io.modality import MODALITY
from ..io.reader import WARNINGS
from ..raw_settings import followed
from ..transforms import LoadVolumed, head_mask
from ..units import HU, tissues_of
from ..weights.info import identity
from .report import Panel, Report, plain_settings, summarise, write_report

logger = logging.getLogger(__name__)
METHOD = "synthetic"
PANEL_CASES = 12
NO_VOLUME = ("failed", REFUSED)
"""Status of the cases without a volume."""
AT_END = 0.002
"""Distance from an end of the range that counts as at it, relative to its width."""


@dataclass
class InferenceReport:
    """Writer of the page of an inference, from the files of its cases.

    Args:
        exporter: that wrote the volumes.
        settings: of the run; ``target_window`` is the range that the network can give, where it is two numbers.
    """

    exporter: VolumeExporter
    settings: Mapping[str, Any]

    @property
    def path(self) -> Path:
        """``report.html`` next to the volumes."""
        return self.exporter.output_dir / "report.html"

    def write(self, items: Sequence[Mapping[str, Any]], outcomes: Sequence[Mapping[str, Any]]) -> None:
        """Write the page; nothing if no case succeeded.

        Args:
            items: of all cases, with ``case`` and ``image``.
            outcomes: entries of the manifest. Images are of the first ``PANEL_CASES``, those with warnings first.

        Raises:
            DataError: a volume cannot be read again.
            OutputError: the page cannot be written.
        """
        images = {str(item["case"]): item["image"] for item in items}
        notes = {str(one["case"]): [*_unsure(one), *one.get(WARNINGS, []), *_failure(one)] for one in outcomes}
        verdicts = {str(one["case"]): one[QUALITY] for one in outcomes if QUALITY in one}
        there = [str(one["case"]) for one in outcomes if one["status"] not in NO_VOLUME]
        if not there:
            return
        window = self._window()
        rows: list[dict[str, Any]] = []
        panels: list[Panel] = []
        for case in sorted(there, key=lambda case: not notes[case]):
            panel = self._panel(case, images[case], window)
            rows.append({"case": case, "method": METHOD, **quality(panel, window)})
            panels += [panel] if len(panels) < PANEL_CASES else []
        low, high = window or (min(row["lowest"] for row in rows), max(row["highest"] for row in rows))
        name, _, version = self.exporter.bundle.partition(" ")
        report = Report(
            title=f"{name}: synthetic volumes",
            bundle=name,
            version=version,
            unit=self.exporter.unit,
            value_range=(low, high),
            mask_description="head found in the source",
            rows=rows,
            summary=summarise(rows),
            panels=panels,
            settings=plain_settings(self.settings),
            notes=[f"weights: {identity(self.exporter.weights)}", *_verdicts(verdicts)],
            reference=METHOD,
            warnings={case: warnings for case, warnings in notes.items() if warnings},
        )
        write_report(self.path, report)
        logger.info(f"report: {self.path}")

    def _window(self) -> tuple[float, float] | None:
        window = followed(self.settings, "@target_window")
        if (
            not isinstance(window, list | tuple)
            or len(window) != 2
            or not all(isinstance(end, int | float) for end in window)
        ):
            return None
        return float(window[0]), float(window[1])

    def _panel(self, case: str, image: Any, window: tuple[float, float] | None) -> Panel:
        keys = ("image", "pred")
        item = {"case": case, "image": image, "pred": str(self.exporter.path(case))}
        loaded: Any = LoadVolumed(keys, self.exporter.reader)(item)  # type: ignore[arg-type]
        (source, affine), (synthetic, _) = (_as_ras(loaded[key]) for key in keys)
        x, y, z = voxel_sizes(affine).tolist()
        ends = np.percentile(synthetic, [0.5, 99.5]).tolist()
        shown = window or (ends[0], max(ends[1], ends[0] + 1e-6))
        is_ct = loaded["image"].meta.get(MODALITY) == "CT"
        return Panel(
            case=case,
            method=METHOD,
            source=source,
            synthetic=synthetic,
            truth=None,
            mask=head_mask(source, None, 2, case).astype(np.uint8),
            spacing=(x, y, z),
            source_unit=HU if is_ct else "a.u.",
            source_window=shown if is_ct and self.exporter.unit == HU else None,
            unit=self.exporter.unit,
            window=shown,
            affine=affine,
        )


def quality(panel: Panel, window: tuple[float, float] | None) -> dict[str, float]:
    """Measures of a synthetic volume inside the head: what can be measured without a truth.

    ``head_volume`` in mL; ``mean_air``, ``mean_soft`` and ``mean_bone`` of CT, else ``mean``; ``at_low_end`` and
    ``at_high_end``, shares in percent at the ends of ``window``, where one is known; ``lowest`` and ``highest``, the
    0.1st and 99.9th percentile.
    """
    inside = panel.synthetic[panel.mask > 0]  # type: ignore[operator]
    scores = {"head_volume": inside.size * float(np.prod(panel.spacing)) / 1000}
    groups = {"mean": np.ones(inside.shape, bool)}
    if panel.unit == HU:
        tissues = tissues_of(inside)
        groups = {f"mean_{name}": tissues[name] for name in ("soft", "bone", "air")}
    scores |= {name: float(inside[group].mean()) if group.any() else float("nan") for name, group in groups.items()}
    if window is not None:
        near = AT_END * (window[1] - window[0])
        scores["at_low_end"] = 100 * float((inside <= window[0] + near).mean())
        scores["at_high_end"] = 100 * float((inside >= window[1] - near).mean())
    lowest, highest = np.percentile(inside, [0.1, 99.9]).tolist()
    return {**scores, "lowest": lowest, "highest": highest}


def _verdicts(verdicts: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """A note that names the cases of each verdict."""
    by_verdict = {name: [case for case, one in verdicts.items() if one["verdict"] == name] for name in VERDICTS}
    listed = [f"{name} ({', '.join(cases)})" for name, cases in by_verdict.items() if cases]
    return [f"verdicts without a truth: {'; '.join(listed)}"] if listed else []


def _unsure(outcome: Mapping[str, Any]) -> list[str]:
    """The verdict of a case that is not ``accept``."""
    verdict = outcome.get(QUALITY)
    return [] if verdict is None or verdict["verdict"] == ACCEPT else [in_words(verdict)]


def _failure(outcome: Mapping[str, Any]) -> list[str]:
    if outcome["status"] == REFUSED:
        return ["no volume, since it is refused"]
    return [f"failed: {outcome['reason']}"] if outcome["status"] == "failed" else []


def _as_ras(volume: Any) -> tuple[np.ndarray, np.ndarray]:
    """First channel (X, Y, Z) of a loaded volume, reoriented to RAS, and its affine."""
    return reoriented(np.asarray(volume[0], dtype=np.float32), np.asarray(volume.affine), np.eye(4))
