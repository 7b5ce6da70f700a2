"""Evaluation on held-out cases: the model, its trained variants and copying the input, in one table and one report."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import monai
import nibabel as nib
import numpy as np
import torch
from monai.bundle import ConfigParser
from monai.data import decollate_batch, list_data_collate
from torch import nn
from tqdm import tqdm

from common import checkpoints
from common.data.datalist import Item
from common.data.grids import GRID_TOLERANCE_MM, grid_distance_mm, show_affine
from common.data.nifti import read_volume
from common.errors import CheckpointError, DataError
from common.report import Panel, Report, format_table, summarise, write_report, write_tables
from common.runs import LOG_NAME, RUN_NAME
from common.settings import running_config
from common.transforms import head_mask

logger = logging.getLogger(__name__)
COPY = "copy_input"
MODEL = "model"
RESTORE = "restore"
"""The setting of ``evaluate.yaml`` that holds the postprocessing, built anew for each variant's preprocessing."""


@dataclass
class Case:
    """A held-out case on its own grid: source, truth and mask (X, Y, Z), RAS affine."""

    item: Item
    source: np.ndarray
    truth: np.ndarray
    mask: np.ndarray
    affine: np.ndarray


@dataclass
class Method:
    """What synthesises: a network with the steps before and after it."""

    network: nn.Module
    preprocessing: Callable
    inferer: Callable
    postprocessing: Callable


@dataclass
class Evaluation:
    """Score every method on the test cases, each on the source's own grid and in the target's unit.

    Methods: ``model`` (``models/model.pt``), every variant under ``variants/`` by its name, and ``copy_input``, the
    source's first channel through one line fitted on the training cases inside their masks.

    Args:
        cases: items by section, as :func:`common.data.cases.training_cases` gives them.
        network: instance of ``network_def``; weights are loaded into it.
        preprocessing: of an item, to ``image`` and ``mask``.
        inferer: (1, C, X, Y, Z) -> (1, C', X, Y, Z).
        postprocessing: of ``pred``, to the source's grid and the target's unit.
        device: to compute on.
        output_dir: holds the runs; receives ``evaluation/``.
        metrics: functions (pred, truth, mask) -> dictionary of numbers.
        bundle: name and version.
        unit: of the target.
        source_unit: of the source.
        value_range: that the metrics clip to, and what the report shows.
        window: shown in the report's panels.
        mask_description: what the mask is.
        head_threshold: in the target's unit, for cases without a mask file; see ``HeadMaskd``.
        section: which cases; ``test``.
        panel_cases: how many cases the report shows pictures of.
    """

    cases: Mapping[str, Sequence[Item]]
    network: nn.Module
    preprocessing: Callable
    inferer: Callable
    postprocessing: Callable
    device: torch.device
    output_dir: str
    metrics: Sequence[Callable[..., Any]]
    bundle: str
    unit: str
    source_unit: str
    value_range: Sequence[float]
    window: Sequence[float]
    mask_description: str
    head_threshold: float
    section: str = "test"
    panel_cases: int = 3
    rows: list[dict[str, Any]] = field(default_factory=list, init=False)

    def run(self) -> dict[str, Any]:
        """Evaluate, write ``metrics.csv``, ``summary.json`` and ``report.html``, print the table, return the summary.

        Raises:
            DataError: where there are no cases to evaluate, or a prediction lost its grid.
            CheckpointError: where there is no trained model, or weights do not fit.
        """
        items = self.cases[self.section]
        if not items:
            raise DataError(f"section {self.section}", "has cases to evaluate", 0, "add cases to it")
        folder = Path(self.output_dir, "evaluation")
        methods = self._methods()
        line = self._fit_line()
        panels: list[Panel] = []
        self.rows = []
        for number, item in enumerate(tqdm(items, desc="evaluation", unit="case")):
            case = self._load(item)
            predictions = {name: self._predict(method, case) for name, method in methods.items()}
            predictions[COPY] = line[0] * case.source + line[1]
            for method, prediction in predictions.items():
                self.rows.append({"case": item["case"], "method": method, **self._score(prediction, case)})
            if number < self.panel_cases:
                panels += [self._panel(case, method, predictions[method]) for method in methods]
        summary = summarise(self.rows)
        write_tables(folder, self.rows, summary)
        write_report(folder / "report.html", self._report(summary, panels, line))
        print(f"\n{self.bundle}, {len(items)} held-out cases, {self.unit}, inside the mask: {self.mask_description}")
        print(format_table(summary))
        print(f"report: {folder / 'report.html'}")
        return summary

    def _methods(self) -> dict[str, Method]:
        """The trained networks by name, ``model`` first."""
        root = Path(self.output_dir)
        methods = {MODEL: Method(self.network, self.preprocessing, self.inferer, self.postprocessing)}
        self._load_weights(methods[MODEL], root / "models" / checkpoints.WEIGHTS_NAME)
        for weights in sorted(root.glob(f"variants/*/models/{checkpoints.WEIGHTS_NAME}")):
            run = weights.parents[1]
            if not (run / RUN_NAME).is_file():
                remedy = "restore it, or remove the variant's folder"
                raise CheckpointError(str(run / RUN_NAME), "names the network of the weights", "no such file", remedy)
            methods[run.name] = self._variant(json.loads((run / RUN_NAME).read_text())["config"])
            self._load_weights(methods[run.name], weights)
        return methods

    def _variant(self, config: dict[str, Any]) -> Method:
        """A variant as it was trained: its own network, preprocessing and stitching."""
        parser = ConfigParser({RESTORE: running_config().get(RESTORE), **config})
        parts = ("network_def", "preprocessing", "validate::inferer", RESTORE)
        return Method(*[parser.get_parsed_content(part) for part in parts])

    def _load_weights(self, method: Method, path: Path) -> None:
        checkpoints.load_weights(method.network, path)
        method.network.to(self.device).eval()

    def _load(self, item: Item) -> Case:
        first = item["image"][0] if isinstance(item["image"], list | tuple) else item["image"]
        source, affine = read_volume(first, item["case"])
        truth = _on_grid(item, "label", source.shape, affine)
        return Case(item, source, truth, self._mask(item, truth, affine), affine)

    def _mask(self, item: Item, truth: np.ndarray, affine: np.ndarray) -> np.ndarray:
        """The case's mask on its own grid: its file, else the head found in the truth."""
        if "mask" in item:
            return _on_grid(item, "mask", truth.shape, affine) > 0
        axial = int(np.flatnonzero(nib.orientations.io_orientation(affine)[:, 0] == 2)[0])
        return head_mask(truth, self.head_threshold, axial, item["case"])

    def _predict(self, method: Method, case: Case) -> np.ndarray:
        item = case.item
        data = method.preprocessing({key: item[key] for key in ("case", "image")})
        batch = list_data_collate([data])
        with torch.no_grad():
            batch["pred"] = method.inferer(batch["image"].to(self.device), method.network).cpu()
        restored = method.postprocessing(decollate_batch(batch)[0])["pred"]
        own = getattr(restored, "affine", data["image"].affine)  # that of the network's input if it has none
        remedy = "check that postprocessing inverts preprocessing"
        _require_grid(f"{item['case']}: prediction", restored.shape[1:], own, case.source.shape, case.affine, remedy)
        return np.asarray(restored[0], dtype=np.float64)

    def _fit_line(self) -> tuple[float, float]:
        """Slope and intercept of target on source over the training cases' masks, by least squares."""
        moments = np.zeros((2, 2))
        products = np.zeros(2)
        for item in tqdm(self.cases["training"], desc="copy_input: fitting the line", unit="case"):
            case = self._load(item)
            x, y = case.source[case.mask].astype(float), case.truth[case.mask].astype(float)
            moments += [[x @ x, x.sum()], [x.sum(), x.size]]
            products += [x @ y, y.sum()]
        slope, intercept = np.linalg.lstsq(moments, products)[0]
        return float(slope), float(intercept)

    def _score(self, prediction: np.ndarray, case: Case) -> dict[str, float]:
        scores: dict[str, float] = {}
        for metric in self.metrics:
            scores |= metric(prediction, case.truth, case.mask)
        return scores

    def _panel(self, case: Case, method: str, prediction: np.ndarray) -> Panel:
        to_ras = nib.orientations.io_orientation(case.affine)
        turn = {
            name: nib.orientations.apply_orientation(volume, to_ras)
            for name, volume in {
                "source": case.source,
                "synthetic": prediction,
                "truth": case.truth,
                "mask": case.mask.astype(np.uint8),
            }.items()
        }
        spacing = np.linalg.norm(case.affine[:3, :3], axis=0)[np.argsort(to_ras[:, 0])]
        return Panel(
            case=str(case.item["case"]),
            method=method,
            spacing=tuple(float(size) for size in spacing),  # type: ignore[arg-type]
            source_unit=self.source_unit,
            unit=self.unit,
            window=(self.window[0], self.window[1]),
            **turn,
        )

    def _report(self, summary: dict, panels: list[Panel], line: tuple[float, float]) -> Report:
        name, _, version = self.bundle.partition(" ")
        root = Path(self.output_dir)
        notes = [
            f"model: sha256 {checkpoints.sha256(root / 'models' / checkpoints.WEIGHTS_NAME)}",
            f"copy_input: {line[0]:.4g} x source {line[1]:+.4g} {self.unit}, fitted on the training cases in the mask",
        ]
        log = root / LOG_NAME
        return Report(
            title=f"{name}: evaluation on held-out cases",
            bundle=name,
            version=version,
            unit=self.unit,
            value_range=(self.value_range[0], self.value_range[1]),
            mask_description=self.mask_description,
            rows=self.rows,
            summary=summary,
            panels=panels,
            log_csv=log if log.is_file() else None,
            settings=_plain(running_config()),
            versions={"monai": monai.__version__, "torch": torch.__version__, "numpy": np.__version__},
            notes=notes,
        )


def _on_grid(item: Item, key: str, shape: Sequence[int], affine: np.ndarray) -> np.ndarray:
    """A volume of a case, which must lie on the grid of its source."""
    volume, own = read_volume(item[key], item["case"])
    _require_grid(f"{item['case']}: {key}", volume.shape, own, shape, affine, "resample it to the source")
    return volume


def _require_grid(
    name: str, shape: Sequence[int], own: Any, wanted: Sequence[int], affine: np.ndarray, remedy: str
) -> None:
    own = np.asarray(own)
    if tuple(shape) != tuple(wanted) or grid_distance_mm(tuple(wanted), own, affine) > GRID_TOLERANCE_MM:
        rule = f"has the source's grid, shape {tuple(wanted)}, affine {show_affine(affine)}"
        raise DataError(name, rule, f"shape {tuple(shape)}, affine {show_affine(own)}", remedy)


def _plain(config: Mapping[str, Any]) -> dict[str, Any]:
    """The settings among a configuration: values, not components."""
    return {
        key: value
        for key, value in config.items()
        if not isinstance(value, Mapping) or all(not isinstance(part, dict) for part in value.values())
    }
