"""Grading of a run's weights on held-out cases, and its check on others."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from scipy import stats
from tqdm import tqdm

from ...config.record import RunRecord
from ...data.datalist import Item
from ...errors import ConfigError, DataError
from ...io import VolumeReader
from ...io.export.verdicts import LOOK, REFUSE
from ...metrics.masked import ARBITRARY, PERCENT
from ...weights import checkpoints
from ..held_out import SECTIONS, HeldOutCases
from .checked import Checked, table
from .distortions import FITTED, OTHERS
from .predictor import Fit, fitted
from .record import Record, read_record
from .samples import INTACT, Sample, Sampling
from .signs import Signs
from .verdict import Limits, allowed_deviations, judged, usual_of, without_signs

logger = logging.getLogger(__name__)
LEAST_CASES = 8
"""Fewer held-out cases say too little of what is usual."""
EVERY = 4
"""A check tries each distortion on every fourth case."""


@dataclass
class QualityGrading:
    """Learns the verdicts of a run's weights from held-out cases and their distortions, and checks them on others.

    Args:
        cases: items by section, see :class:`common.trust.held_out.HeldOutCases`.
        run_dir: of the run; its ``models`` receive ``model_quality.json``.
        device: to compute on.
        unit: of the error: that of the target, ``z`` with ``standardise``, or percent of brightness.
        tissues: see :class:`common.trust.verdicts.signs.Signs`.
        head_threshold: of masks, for cases without a file; see :func:`common.evaluation.cases.load_case`.
        reader: of the volumes, as in training.
        standardise, copied: see :class:`common.trust.verdicts.samples.Sampling`.
        look_above: a predicted error above this multiple of the intact cases' median is worth a look.
        refuse_above: one above this multiple is refused, and in any case one above that of the best constant or, if
            ``copied``, of the copied source.
        section: which cases; null for ``validation`` in :meth:`run` and ``test`` in :meth:`check`.
        record: of the command.

    Raises:
        ConfigError: for multiples that do not rise from 1, or a section that the run was trained on.
    """

    cases: Mapping[str, Sequence[Item]]
    run_dir: str
    device: torch.device
    unit: str
    tissues: Sequence[str] = ()
    head_threshold: float | None = None
    reader: VolumeReader | None = None
    standardise: bool = False
    copied: bool = False
    look_above: float = 1.25
    refuse_above: float = 1.5
    section: str | None = None
    record: RunRecord | None = None

    def __post_init__(self) -> None:
        self.held_out = HeldOutCases(self.cases, self.run_dir, self.device, self.reader, self.section, self.record)
        self.weights = self.held_out.weights
        if not 1 < self.look_above <= self.refuse_above:
            value, remedy = f"{self.look_above} and {self.refuse_above}", "give for example 1.25 and 1.5"
            raise ConfigError(
                "--look_above and --refuse_above", "are multiples above 1, the first lower", value, remedy
            )

    def run(self) -> Path:
        """Grade, write ``model_quality.json`` next to the weights, print how well errors are predicted.

        Returns:
            the path of the file.

        Raises:
            DataError: too few cases with a target, or cases that the run was trained on.
            CheckpointError: there are no weights, or they do not fit.
        """
        items = self.held_out.items(SECTIONS[0])
        if len(items) < LEAST_CASES:
            rule, remedy = f"has at least {LEAST_CASES} cases with a target", "give --datalist FILE --section test"
            raise DataError(f"grading, section {self.section or SECTIONS[0]}", rule, len(items), remedy)
        files = self.held_out.hashes(items)
        self.held_out.require_untrained(items)
        samples = list(self._samples(items, list(FITTED), 1, Signs(self.unit, self.tissues)))
        known = [sample for sample in samples if not isinstance(sample.signs, str)]
        signs = [sample.signs for sample in known if not isinstance(sample.signs, str)]
        intact = [sample for sample in samples if sample.kind == INTACT]
        rivals = {name: _median(each.rivals[name] for each in intact) for name in intact[0].rivals}
        mae = {INTACT: _median(each.error for each in intact), **rivals}
        fit = fitted(signs, [each.error for each in known], [each.case for each in known], mae[INTACT])
        best = min(rivals, key=rivals.__getitem__)
        if mae[INTACT] >= rivals[best]:
            logger.warning(f"the intact cases are no better than the {best}: such weights refuse every case")
        record = Record(
            sha256=checkpoints.sha256(self.weights),
            unit=self.unit,
            tissues=list(self.tissues),
            predictor=fit.predictor,
            limits=self._limits(known, mae[INTACT], rivals[best]),
            cross_validated=cross_validated(known, fit),
            mae=mae,
            distortions=list(FITTED),
            cases=[str(item["case"]) for item in items],
            files=sorted(files),
        )
        path = record.write(self.weights)
        print(f"\ngraded on {len(items)} cases, intact and with {len(FITTED)} distortions; left-out cases:")
        print("".join(f"  {name} {value:.3g}" for name, value in record.cross_validated.items()))
        print(f"MAE in {self.unit}: {', '.join(f'{name} {value:.4g}' for name, value in mae.items())};", end=" ")
        print(", ".join(f"{verdict} above {limit:.4g}" for verdict, limit in record.limits.mae.items()))
        print(f"written: {path}")
        return path

    def check(self) -> list[Checked]:
        """Print true and predicted errors and verdicts of other held-out cases, intact and by distortion.

        Raises:
            DataError: no cases with a target, or cases that were graded on or trained on.
            CheckpointError: there is no grading of these weights.
        """
        record = read_record(self.weights)
        items = self.held_out.to_check(record.files, record.unit, self.unit)
        rows = []
        for sample in self._samples(items, [*FITTED, *OTHERS], EVERY, Signs(record.unit, record.tissues)):
            if isinstance(sample.signs, str):
                verdict = without_signs(sample.signs, self.unit)
            else:
                verdict = judged(sample.signs, record.predictor, record.limits, self.unit)
            rows.append(Checked(sample.case, sample.kind, sample.error, verdict))
        print(f"\n{table(rows, record)}")
        return rows

    def _samples(self, items: Sequence[Item], kinds: Sequence[str], every: int, signs: Signs) -> Iterator[Sample]:
        relative = self.unit == PERCENT
        sampling = Sampling(
            self.held_out.method(ARBITRARY if relative else self.unit, self.standardise, "quality"),
            self.device,
            signs,
            self.head_threshold,
            self.reader,
            self.standardise,
            self.copied,
            relative,
        )
        for number, item in enumerate(tqdm(items, desc="grading", unit="case", disable=None)):
            chosen = [kind for place, kind in enumerate(kinds) if (place + number) % every == 0]
            yield from sampling(item, chosen)

    def _limits(self, samples: Sequence[Sample], intact: float, rival: float) -> Limits:
        signs = [each.signs for each in samples if each.kind == INTACT and not isinstance(each.signs, str)]
        usual = usual_of(signs)
        refuse = min(self.refuse_above * intact, rival)
        limits = {LOOK: min(self.look_above * intact, refuse), REFUSE: refuse}
        return Limits(limits, allowed_deviations(len(signs), len(usual)), usual)


def cross_validated(samples: Sequence[Sample], fit: Fit) -> dict[str, float]:
    """How well the errors of left-out cases are predicted; see :class:`common.trust.verdicts.record.Record`."""
    true = np.array([sample.error for sample in samples])
    intact = np.array([sample.kind == INTACT for sample in samples])
    return {
        "samples": len(samples),
        "rank_correlation": float(stats.spearmanr(true, fit.left_out).statistic),
        "rank_correlation_intact": float(stats.spearmanr(true[intact], fit.left_out[intact]).statistic),
        "error_factor": float(np.exp(np.median(np.abs(np.log(true / fit.left_out))))),
    }


def _median(values: Iterable[float]) -> float:
    return float(np.median(list(values)))
