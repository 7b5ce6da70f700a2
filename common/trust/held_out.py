"""Cases unseen in training, for calibration and its check."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from ..config.record import RunRecord
from ..data.datalist import POOLS, Item
from ..data.identity import identify, paths_of
from ..data.split_record import DATALIST_NAME, SplitRecord
from ..errors import ConfigError, DataError, some
from ..evaluation.methods import EvaluatedMethod, require_unit, variant
from ..io import VolumeReader
from ..stitching import TargetScaleInferer
from ..weights import checkpoints

logger = logging.getLogger(__name__)
SECTIONS = ("validation", "test")


@dataclass
class HeldOutCases:
    """Cases with a target that the weights of a run have not seen, and the method to infer them.

    Args:
        cases: items by section, as :func:`common.data.selection.training_cases` gives them for an evaluation.
        run_dir: of the run, whose ``models`` hold the weights.
        device: to compute on.
        reader: of the volumes, as in training.
        section: which cases; null for the section that a step takes by itself.
        record: of the command.

    Raises:
        ConfigError: for a section that the run was trained on.
    """

    cases: Mapping[str, Sequence[Item]]
    run_dir: str
    device: torch.device
    reader: VolumeReader | None = None
    section: str | None = None
    record: RunRecord | None = None

    def __post_init__(self) -> None:
        self.weights = Path(self.run_dir, "models", checkpoints.WEIGHTS_NAME)
        if self.section is not None and self.section not in SECTIONS:
            raise ConfigError(f"--section is {self.section}, not {' or '.join(SECTIONS)}", "give one of these")

    def items(self, section: str) -> list[Item]:
        """The cases with a target of the section that was chosen, else of ``section``."""
        chosen = self.section or section
        if chosen == SECTIONS[0] and self.record is not None and "datalist" in self.record.options:
            fault = "the validation cases are those of the run, not of --datalist"
            logger.warning(f"{fault}: pass --section test for its test cases")
        return [item for item in self.cases[chosen] if "label" in item]

    def hashes(self, items: Sequence[Item]) -> set[str]:
        """Hashes of the images and labels of some cases."""
        files = identify(items, self.reader)
        return {files[path].sha256 for item in items for path in paths_of(item)}

    def require_untrained(self, items: Sequence[Item]) -> None:
        """Refuse cases that share an image with a training case of the run, whichever section lists them.

        Raises:
            DataError: naming them, or where the run does not record what it was trained on.
        """
        path = Path(self.run_dir, DATALIST_NAME)
        if not path.is_file():
            raise DataError(f"no record of the training cases at {path}", "pass --output_dir of the training")
        record = SplitRecord.read(path)
        trained = [item for section in ("training", *POOLS) for item in record.lists.get(section, [])]
        seen = {record.files[path].sha256 for item in trained for path in paths_of(item) if path in record.files}
        if leaked := self._sharing(items, seen):
            fault = f"the weights were trained on {len(leaked)} ({some(leaked)}) of the held-out cases"
            raise DataError(fault, "pass another --datalist")

    def to_check(self, fitted: Sequence[str], made_in: str, unit: str) -> list[Item]:
        """The cases on which a calibration is checked.

        Args:
            fitted: hashes of the files of the cases that it was made from.
            made_in: its unit.
            unit: of the check.

        Raises:
            ConfigError: it was made in another unit.
            DataError: no cases with a target, or cases that it was made from or that the weights were trained on.
        """
        if made_in != unit:
            remedy = "calibrate again with these config files, or pass those of the calibration"
            raise ConfigError(f"the calibration is in {made_in}, its check in {unit}", remedy)
        items = self.items(SECTIONS[1])
        if not items:
            raise DataError(f"section {self.section or SECTIONS[1]} has no cases with a target", "add some")
        if used := self._sharing(items, set(fitted)):
            fault = f"the calibration used {len(used)} ({some(used)}) of the cases to check"
            raise DataError(fault, "pass another --datalist")
        self.require_untrained(items)
        return items

    def method(self, unit: str, standardised: bool, asking: str) -> EvaluatedMethod:
        """The method of the run, with its weights.

        Args:
            unit: of the targets.
            standardised: cases are z-scores, so that a network that keeps the scale of its targets answers in these.
            asking: name of what compares in this unit.

        Raises:
            CheckpointError: there are no weights, or they do not fit.
            ConfigError: the weights were trained for another unit.
        """
        require_unit(self.weights, unit, standardised, asking)
        method = variant(self.weights, self.record)
        method.load(self.weights, self.device)
        if hasattr(method.network, "target_scale") and not standardised:
            method.inferer = TargetScaleInferer(method.inferer)  # type: ignore[arg-type]
        return method

    def _sharing(self, items: Sequence[Item], hashes: set[str]) -> list[str]:
        return [item["case"] for item in items if not hashes.isdisjoint(self.hashes([item]))]
