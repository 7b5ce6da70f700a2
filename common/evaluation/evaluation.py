"""Evaluation of a bundle: every method on every held-out case."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from ..case_keys import GROUPS, REGIONS
from ..config.record import RunRecord, config_of
from ..data.datalist import Item
from ..errors import ConfigError, DataError, choose, naming_case
from ..files import require_new_files
from ..grids import in_ras
from ..io import VolumeReader
from ..io.modality import NOT_IN_HU, modality_of
from ..io.picture_files import luminance
from ..training.epochs_done import unfinished
from ..training.handlers import LOG_NAME
from ..units import HU
from ..weights import checkpoints
from ..weights.info import identity
from .held_out_case import Case, fitted_line, load_case, own_window
from .methods import EvaluatedMethod, another_source, require_unit, variant, variants
from .pictures import Pictures, in_colour
from .report import (
    Panel,
    Report,
    by_group,
    format_table,
    plain_settings,
    summarise,
    worse_than_baseline,
    write_groups,
    write_report,
    write_tables,
)
from .report.contents import Picture
from .report.error_histogram import ErrorHistogram
from .report.ranking import ranked
from .report.tables import Summary

logger = logging.getLogger(__name__)
ARGUMENTS = ("pred", "truth", "mask", "source", "channels", "affine", *REGIONS, *GROUPS)
"""What metrics are given, by these names."""
COPY, LINE = "copy_input", "linear_fit"
"""The baseline: the source as it is, or through a line fitted to the training cases."""
MODEL = "model"
VARIANT_PANELS = 3
"""Number of cases whose variants the report shows next to the model."""


@dataclass
class Evaluation:
    """Evaluation of every method on the test cases, on the source's own grid and in the target's unit.

    Methods: ``model`` (``models/model.pt``), every variant under ``variants/`` by its name, and a baseline: the first
    channel of the source, or all where the target has as many, as it is, ``copy_input``, or, if units differ, rescaled
    by a line fitted to the training cases inside their masks, ``linear_fit``. With ``references`` also methods without
    a network, such as a classical filter, by their names.

    Args:
        cases: items by section, as :func:`common.data.selection.training_cases` gives them.
        network: instance of ``network_def``; weights are loaded into it.
        preprocessing: of an item, to ``image``.
        inferer: (1, C, X, Y, Z) -> (1, C', X, Y, Z).
        postprocessing: of ``pred``, to the source's grid and the target's unit.
        device: to compute on.
        output_dir: holds the runs; receives ``evaluation/``.
        metrics: functions of ``pred`` and any of ``truth``, ``mask``, ``source`` and the regions, (X, Y, Z),
            ``channels`` of the source (X, Y, Z, C), ``affine`` (4, 4), ``centre`` and ``body_part``, by these names ->
            dictionary of numbers. A metric is skipped for cases that lack its required arguments.
        maps: functions of the same volumes by name -> masks (X, Y, Z) shown in the panels, by their titles.
        bundle: name and version.
        unit: of the target.
        source_unit: of the source.
        value_range: range that the metrics clip to; None where each case has its own.
        window: window of the report's panels; None for that of :func:`common.evaluation.held_out_case.own_window`, and
            for the histogram of errors that of the first case.
        mask_description: description of the mask.
        head_threshold: for cases without a mask file; see :func:`common.transforms.head_mask`.
        linear_fit: whether the baseline is ``linear_fit`` (units differ) or ``copy_input``.
        show_residual: whether panels also show the prediction minus the source.
        section: which cases; ``test``.
        panel_cases: how many cases the report shows pictures of, of the first few the variants' too: the worst, the
            best and the median one, and the next worst. Their volumes are held in memory until it is written; where
            there are more cases, those shown are predicted again.
        reader: of the volumes, as in training.
        standardise: whether source and truth are scored as z-scores inside the head; predictions must be such.
        labelled: whether the source is a label map, which then keeps its values.
        references: functions of the source (X, Y, Z), or of its channels (X, Y, Z, C) if it has several, with its axes
            in RAS order, to a volume (X, Y, Z) in the unit of the target, by the names of their rows. They are scored
            like the baseline.
        record: of the command, whose settings the report shows.
    """

    cases: Mapping[str, Sequence[Item]]
    network: nn.Module
    preprocessing: Callable[[dict[str, Any]], dict[str, Any]]
    inferer: Callable[[torch.Tensor, nn.Module], torch.Tensor]
    postprocessing: Callable[[dict[str, Any]], dict[str, Any]]
    device: torch.device
    output_dir: str
    metrics: Sequence[Callable[..., dict[str, float]]]
    bundle: str
    unit: str
    source_unit: str
    value_range: Sequence[float] | None
    window: Sequence[float] | None
    mask_description: str
    head_threshold: float | None = None
    linear_fit: bool = True
    show_residual: bool = False
    section: str = "test"
    panel_cases: int = 12
    reader: VolumeReader | None = None
    standardise: bool = False
    labelled: bool = False
    maps: Sequence[Callable[..., Mapping[str, np.ndarray]]] = ()
    references: Mapping[str, Callable[[np.ndarray], np.ndarray]] = field(default_factory=dict)
    record: RunRecord | None = None
    rows: list[dict[str, Any]] = field(default_factory=list, init=False)

    def run(self) -> dict[str, Any]:
        """Evaluate, write ``metrics.csv``, ``summary.json`` and ``report.html``, print the table, return the summary.

        Where the cases are of several centres or body parts, there is a table of each, also in ``groups.json``.

        A network with a larger mean absolute error than the baseline has a ``warning`` in the cell of its ``mae``.

        Raises:
            DataError: there are no cases to evaluate, a prediction is not on the source's grid, or a truth is not in HU
                where it should be.
            CheckpointError: there is no trained model, or weights do not fit.
            ConfigError: weights were trained to another unit, a reference or variant has the name of another row, or a
                metric wants what no case has.
            OutputError: for a folder that cannot be written, before anything is scored.
        """
        items = self.cases[self.section]
        if not items:
            others = [name for name in ("test", "validation") if self.cases.get(name)]
            remedy = f"add cases to it{f', or pass --evaluation::section {others[0]}' if others else ''}"
            raise DataError(f"section {self.section} has no cases to evaluate", remedy)
        folder = Path(self.output_dir, "evaluation")
        self._require_arguments()
        methods = self._methods()
        self._require_names(methods)
        require_new_files(folder)
        line = self._line()
        pictures = Pictures(self.unit, self.source_unit, self.window, self.show_residual, self.maps)
        panels: list[Panel] = []
        coloured: list[Picture | None] = []
        errors: ErrorHistogram | None = None
        self.rows = []
        for number, item in enumerate(tqdm(items, desc="evaluation", unit="case", disable=None)):
            case = self._load(item)
            predictions = self._predictions(methods, line, case)
            for name, prediction in predictions.items():
                with naming_case(case.name):
                    self.rows.append({"case": case.name, "method": name, **self._score(prediction, case)})
            if case.truth is not None:
                errors = errors or ErrorHistogram(self.unit, self.window or own_window(case))
                errors.add(luminance(predictions[MODEL]), luminance(case.truth), case.mask, case.regions)
            if number < VARIANT_PANELS:
                coloured += [in_colour(case, name, prediction) for name, prediction in predictions.items()]
            if len(items) <= self.panel_cases:
                shown = list(methods) if number < VARIANT_PANELS else [MODEL]
                panels += [pictures.panel(case, name, predictions[name]) for name in shown]
        panels = panels or self._predicted_again(methods, pictures)
        summary: dict[str, Any] = summarise(self.rows)
        worse = worse_than_baseline(summary, methods, line[0], self.unit)
        for name, sentence in worse.items():
            summary[name]["mae"]["warning"] = sentence
        groups = by_group(self.rows, items)
        write_tables(folder, self.rows, summary)
        write_groups(folder, groups)
        report = self._report(summary, panels, list(filter(None, coloured)), errors, worse, line, groups)
        write_report(folder / "report.html", report)
        limits = "of each case" if self.value_range is None else "{:g} to {:g}".format(*self.value_range)
        scored = f"{self.unit}, value range {limits}, inside the mask: {self.mask_description}"
        print(f"\n{self.bundle}, {len(items)} held-out cases, {scored}")
        print(format_table(summary))
        for key, table in groups.items():
            print(f"by {key.replace('_', ' ')}:\n{format_table(table)}")
        for name, sentence in worse.items():
            print(f"warning: {name} is {sentence}")
        print(f"report: {folder / 'report.html'}")
        return summary

    def _predicted_again(self, methods: Mapping[str, EvaluatedMethod], pictures: Pictures) -> list[Panel]:
        """Panels of the most telling of many cases."""
        items = {str(item["case"]): item for item in self.cases[self.section]}
        panels = []
        for number, name in enumerate(ranked(self.rows, MODEL).shown(list(items), self.panel_cases)):
            case = self._load(items[name])
            shown = list(methods) if number < VARIANT_PANELS else [MODEL]
            panels += [pictures.panel(case, method, methods[method].predict(case, self.device)) for method in shown]
        return panels

    def _methods(self) -> dict[str, EvaluatedMethod]:
        """Trained networks by name, ``model`` first."""
        root = Path(self.output_dir)
        methods = {MODEL: EvaluatedMethod(self.network, self.preprocessing, self.inferer, self.postprocessing)}
        own = root / "models" / checkpoints.WEIGHTS_NAME
        require_unit(own, self.unit, self.standardise, "evaluation")
        methods[MODEL].load(own, self.device)
        for name, weights in variants(root, (MODEL, COPY, LINE)).items():
            if reason := another_source(weights, own):
                logger.warning(f"variant {name} is left out: {reason}")
                continue
            require_unit(weights, self.unit, self.standardise, "evaluation")
            shown = name + unfinished(weights, self.record)
            methods[shown] = variant(weights, self.record)
            methods[shown].load(weights, self.device)
        return methods

    def _require_arguments(self) -> None:
        """Refuse a metric with a required argument that no case has, which would be skipped for all."""
        for number, metric in enumerate(self.metrics):
            for each in inspect.signature(metric).parameters.values():
                if each.default is each.empty and each.name not in ARGUMENTS:
                    fault = f"metrics::{number} has the argument {each.name}, which no case has"
                    raise ConfigError(fault, choose(ARGUMENTS))

    def _require_names(self, methods: Mapping[str, EvaluatedMethod]) -> None:
        """Refuse references whose rows could be taken for those of another method."""
        for name in self.references:
            if name in (rows := [*methods, COPY, LINE]):
                fault = f"reference {name} has the name of another row, of {', '.join(rows)}"
                raise ConfigError(fault, "give it another name")

    def _referred(self, name: str, case: Case) -> np.ndarray:
        """The volume (X, Y, Z) that a reference makes of a case's source."""
        source = case.channels if case.channels.shape[-1] > 1 else case.source
        try:
            volume = in_ras(self.references[name], source, case.affine)
        except DataError as error:
            fault = f"{case.name}, reference {name}: {error}"
            raise DataError(f"{fault}; evaluations of another task take the --overlay of its training") from error
        if volume.shape != case.copied.shape:
            fault = f"{case.name}: {name} has shape {volume.shape}, the source {case.source.shape}"
            raise DataError(fault, "give a function that keeps the shape")
        return volume

    def _line(self) -> tuple[str, float, float]:
        """Name, slope and intercept of the baseline."""
        pairs = [item for name in ("training", "validation") for item in self.cases.get(name, []) if "label" in item]
        if self.linear_fit and not pairs:
            logger.warning(f"no training case to fit the baseline {LINE}: {COPY} is the baseline")
        if not self.linear_fit or not pairs:
            return COPY, 1.0, 0.0
        bar = tqdm(self.cases["training"] or pairs, desc=LINE, unit="case", disable=None)
        return LINE, *fitted_line(map(self._load, bar))

    def _load(self, item: Item) -> Case:
        case = load_case(item, self.head_threshold, self.reader, self.standardise, self.labelled)
        if self.unit == HU and case.truth is not None and modality_of(case.truth) == NOT_IN_HU:
            fault = f"{case.name}: truth is {NOT_IN_HU}, but is scored in HU"
            raise DataError(fault, "convert it, or train in its unit")
        return case

    def _predictions(
        self, methods: Mapping[str, EvaluatedMethod], line: tuple[str, float, float], case: Case
    ) -> dict[str, np.ndarray]:
        """The volume (X, Y, Z) of each row of a case: of the methods, the baseline and the references."""
        baseline, slope, intercept = line
        made = {name: method.predict(case, self.device) for name, method in methods.items()}
        made[baseline] = slope * case.copied + intercept
        return made | {name: self._referred(name, case) for name in self.references}

    def _score(self, prediction: np.ndarray, case: Case) -> dict[str, float]:
        """The scores of a row."""
        known = {key: case.item[key] for key in GROUPS if key in case.item}
        volumes = {"pred": prediction, "affine": case.affine, **case.volumes(), **known}
        scores: dict[str, float] = {}
        for metric in self.metrics:
            wanted = inspect.signature(metric).parameters.values()
            if all(each.name in volumes for each in wanted if each.default is each.empty):
                scores |= metric(**{each.name: volumes[each.name] for each in wanted if each.name in volumes})
        return scores

    def _report(
        self,
        summary: dict[str, Any],
        panels: list[Panel],
        coloured: list[Picture],
        errors: ErrorHistogram | None,
        worse: Mapping[str, str],
        line: tuple[str, float, float],
        groups: Mapping[str, Summary],
    ) -> Report:
        name, _, version = self.bundle.partition(" ")
        root = Path(self.output_dir)
        baseline, slope, intercept = line
        fitted = f"{slope:.4g} x source {intercept:+.4g} {self.unit}, fitted on the training cases in the mask"
        log = root / LOG_NAME
        return Report(
            title=f"{name}: evaluation on held-out cases",
            bundle=name,
            version=version,
            unit=self.unit,
            value_range=None if self.value_range is None else (self.value_range[0], self.value_range[1]),
            mask_description=self.mask_description,
            rows=self.rows,
            summary=summary,
            panels=panels,
            pictures=coloured,
            errors=errors.picture(f"{MODEL}, all {len(self.cases[self.section])} cases") if errors else None,
            log_csv=log if log.is_file() else None,
            settings=plain_settings(config_of(self.record)),
            notes=[
                f"model: {identity(root / 'models' / checkpoints.WEIGHTS_NAME)}",
                f"{baseline}: {'the source as it is' if baseline == COPY else fitted}",
            ],
            warnings={name: [sentence] for name, sentence in worse.items()},
            groups=groups,
        )
