"""Join the trained folds of a bundle into one network."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..data.datalist import SPLITS
from ..data.split_record import DATALIST_NAME, SplitRecord
from ..errors import CheckpointError
from ..raw_settings import as_json
from ..runs import run_dir
from ..weights import checkpoints
from ..weights.info import WeightsInfo, read_info, save
from .epochs_done import unfinished

logger = logging.getLogger(__name__)
STAGE = "stages.0."
"""With which the weights of the one network of a :class:`common.networks.cascade.SingleStage` begin."""
SCALE = "target_scale"


def folds_of(output_dir: Path, variant: str) -> list[Path]:
    """The folders of the trained folds of a variant, fold 0 first; that of fold 0 has no number.

    Raises:
        CheckpointError: there are fewer than two.
    """
    folds = {0: Path(run_dir(str(output_dir), variant))}
    for folder in output_dir.glob("variants/*"):
        if match := re.fullmatch(re.escape(variant) + "_" * bool(variant) + r"fold_(\d+)", folder.name):
            folds[int(match[1])] = folder
    runs = [folds[fold] for fold in sorted(folds) if (folds[fold] / "models" / checkpoints.WEIGHTS_NAME).is_file()]
    if len(runs) < 2:
        few = "one trained fold" if runs else "no trained folds"
        fault = f"{few} of {variant} in {output_dir} (from --output_dir), two are needed"
        raise CheckpointError(fault, "train folds by --fold 0, --fold 1, ...")
    return runs


def join(runs: Sequence[Path], folder: Path) -> Path:
    """Write the mean of some trained networks as the weights of one, with their settings and all their cases.

    Args:
        runs: folders of trainings with the same settings.
        folder: of the new weights, a run of its own.

    Returns:
        the path of ``models/model.pt``.

    Raises:
        CheckpointError: other settings, weights that are a cascade of several stages, a case that
            one run was trained on and another keeps for its test, or an ensemble that exists already.
    """
    paths = [run / "models" / checkpoints.WEIGHTS_NAME for run in runs]
    target = folder / "models" / checkpoints.WEIGHTS_NAME
    if target.exists():
        raise CheckpointError(f"{target} exists", "remove its folder, or pass another --name")
    known = [read_info(path) for path in paths]
    for about in known[1:]:
        _require_same(known[0], about)
    for path in paths:
        if epochs := unfinished(path):
            logger.warning(f"{path}: its training has not ended{epochs}")
    record = _joined_split(runs)
    states = [checkpoints.load(path) for path in paths]
    network, prefix = _joined_network(known[0], states)
    weights = _joined_weights(states, prefix)
    metadata = {
        key: value for key, value in known[0].metadata.items() if key in ("bundle", "version", "unit", "versions")
    }
    metadata |= {"trained_on": known[0].trained_on, "reader": known[0].reader}
    metadata |= {"members": [{"path": str(each.path), "sha256": each.sha256} for each in known]}
    save(weights, target, {**metadata, "settings": {**known[0].settings, "network_def": network}})
    record.write(folder / DATALIST_NAME)
    return target


def _require_same(first: WeightsInfo, other: WeightsInfo) -> None:
    ours, theirs = ({"bundle": each.bundle, **each.settings} for each in (first, other))
    for name in sorted({*ours, *theirs}):
        if as_json(ours.get(name)) != as_json(theirs.get(name)):
            fault = f"{name} of {other.path} is {theirs.get(name)}, not that of {first.path}"
            raise CheckpointError(fault, "join folds that were trained alike")


def _joined_network(about: WeightsInfo, states: Sequence[dict[str, Tensor]]) -> tuple[dict[str, Any], str]:
    """The definition of the ensemble, and what the members' weights begin with."""
    network = about.settings["network_def"]
    ensemble = {"_target_": "common.networks.ensemble.NetworkEnsemble", "members": len(states)}
    if "stage" in network:
        return {**network, "stage": {**ensemble, "network": network["stage"]}}, STAGE
    if any(key.startswith("stages.") for key in states[0]):
        fault = f"{about.path} is a cascade, whose stages see each other's outputs"
        raise CheckpointError(fault, "train a variant of one network, such as resenc")
    return {**ensemble, "network": network}, ""


def _joined_weights(states: Sequence[dict[str, Tensor]], prefix: str) -> dict[str, Tensor]:
    joined = {key: value for key, value in states[0].items() if not key.startswith(prefix)} if prefix else {}
    for number, state in enumerate(states):
        own = {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
        joined |= {f"{prefix}members.{number}.{key}": value for key, value in own.items()}
    scales = torch.stack([state.get(SCALE, torch.tensor([0.0, 1.0])) for state in states])
    mean, deviation = scales[0]
    # means of values in the target's unit, as z-scores of the first member's scale
    joined |= {f"{prefix}gain": scales[:, 1] / deviation, f"{prefix}offset": (scales[:, 0] - mean) / deviation}
    return joined


def _joined_split(runs: Sequence[Path]) -> SplitRecord:
    """The cases that any member has seen, and the test cases, which none has."""
    records = [SplitRecord.read(run / DATALIST_NAME) for run in runs]
    files = {path: each for record in records for path, each in record.files.items()}
    trained = (record.lists.get(key, []) for record in records for key in SPLITS[:2])
    seen = {case["case"]: case for cases in trained for case in cases}
    test = records[0].lists.get("test", [])
    if leaked := [case["case"] for record in records for case in record.lists.get("test", []) if case["case"] in seen]:
        fault = f"{leaked[0]} is a test case of one fold and was seen by another"
        raise CheckpointError(fault, "train the folds on one split, with one --seed")
    return SplitRecord({"training": list(seen.values()), "validation": [], "test": test}, files, records[0].about)
