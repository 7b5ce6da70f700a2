"""How an inference ends by the outcomes of its cases."""

from __future__ import annotations

import json
import logging
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from .. import devices
from ..errors import CasesFailedError, Refused, failure, some
from ..files import write_text
from ..io.export import VolumeExporter
from ..io.export.outputs import KEPT, MANIFEST_NAME, REFUSED
from ..io.export.verdicts import ACCEPT, QUALITY, REFUSE, in_words, why_refused
from ..io.reader import WARNINGS
from .dataset import reason_of

if TYPE_CHECKING:
    from ..evaluation.inference_report import InferenceReport

logger = logging.getLogger(__name__)


class KeptCase(NamedTuple):
    """A case that was inferred and not written: what :meth:`common.io.export.VolumeExporter.write` takes.

    Attributes:
        item: the loaded case, with its warnings and verdict.
        values: (X, Y, Z) in the unit of the target.
        widths: half-widths of the intervals of its voxels (X, Y, Z), where they were asked for.
    """

    item: dict[str, Any]
    values: Any
    widths: Any = None


class CaseOutcomes:
    """What becomes of the cases of :class:`common.inference.evaluator.CaseEvaluator`, which has its attributes."""

    exporter: VolumeExporter
    resume: bool
    refuses: bool
    outcomes: dict[str, dict[str, Any]]
    warnings: dict[str, list[str]]
    _items: list[dict[str, Any]]
    _report: InferenceReport | None
    inferer: Any
    _keep: Callable[..., Any] | None
    _writer: ThreadPoolExecutor
    _writing: tuple[str, Future[Any]] | None

    def _release(self, case: str) -> None:
        """Note that a case is no longer in memory."""
        raise NotImplementedError

    def _is_readable(self, case: str) -> bool:
        """Whether the name of a case is text; a file whose name is not UTF-8 fails alone."""
        try:
            case.encode()
        except UnicodeEncodeError:
            self._fail(ascii(case), f"the name of the file, {ascii(case)}, is not UTF-8: rename it")
            return False
        return True

    def _is_kept(self, case: str) -> bool:
        if not self.resume:
            return False
        if why := self.exporter.why_recomputed(case):
            if self.exporter.path(case).exists():
                logger.info(f"{case} is computed again: {why}")
            return False
        self.outcomes[case] = self.exporter.entry(case, KEPT)
        self._refuse(case, self.outcomes[case].get(QUALITY))
        return True

    def _refuse(self, case: str, verdict: Mapping[str, Any] | None) -> bool:
        """Let a case with the verdict ``refuse`` have no volume, unless that is switched off; whether it has none."""
        if not self.refuses or verdict is None or verdict["verdict"] != REFUSE:
            return False
        reason = why_refused(verdict, self.exporter.is_dicom)
        self.outcomes[case] = {"case": case, "status": REFUSED, "reason": reason, QUALITY: verdict}
        return True

    def _tell(self, case: str, verdict: Mapping[str, Any] | None) -> None:
        """Log the verdict of a case that is not refused, or its warnings; the end of the run lists the refused ones."""
        if verdict is None and (warnings := self.warnings.get(case)):
            logger.warning(f"{case}: results may look plausible and be wrong: {'; '.join(warnings)}")
        elif verdict is not None and self.outcomes[case]["status"] != REFUSED:
            log = logger.info if verdict["verdict"] == ACCEPT else logger.warning
            log(f"{case}: {in_words(verdict)}")

    def _conclude(self, outcomes: Sequence[Mapping[str, Any]]) -> None:
        """Write the manifest of all processes, and raise if cases failed."""
        if devices.rank() > 0:
            return
        place = self.exporter.output_file or self.exporter.output_dir
        manifest = self.exporter.output_dir / MANIFEST_NAME
        if self.exporter.output_file is None:
            write_text(manifest, json.dumps(outcomes, indent=2))
        counts = Counter(outcome["status"] for outcome in outcomes)
        kept = f", {counts[KEPT]} kept from an earlier run" if counts[KEPT] else ""
        if self._report is not None:
            self._report.write(self._items, outcomes)
        if len(outcomes) > 1 or counts["done"]:
            logger.info(f"{counts['done']} of {len(outcomes)} cases written to {place}{kept}")
        require_volumes(outcomes, manifest)

    def _hand_over(self, item: dict[str, Any], values: Any, widths: Any) -> None:
        """Pass the case, a refused one without values, to the writer thread when that has finished the previous one."""
        case = str(item["case"])
        warnings = [*item["image"].meta.get(WARNINGS, "").splitlines(), *self.warnings.get(case, [])]
        self.outcomes[case] |= {WARNINGS: warnings} if warnings else {}
        item = {**item, WARNINGS: warnings, "pred": None}
        self._settle()
        volumes = (values,) if widths is None else (values, widths)
        future = self._writer.submit(self._keep or self.exporter.write, item, *volumes)
        future.add_done_callback(lambda _: self._release(case))
        self._writing = case, future

    def _settle(self) -> None:
        """Wait for the writer thread, and record its failure."""
        if self._writing is not None:
            case, future = self._writing
            self._writing = None
            if error := future.exception():
                self._fail(case, reason_of(error))

    def _fail(self, case: str, reason: str) -> None:
        if len(self._items) > 1:  # else the error of the run says it
            logger.error(f"{case} failed: {reason}")
        known = {key: value for key, value in self.outcomes.get(case, {}).items() if key == QUALITY}
        self.outcomes[case] = {"case": case, "status": "failed", "reason": reason, **known}
        self._release(case)


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
