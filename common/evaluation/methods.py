"""Evaluated methods: the trained model and its variants, each with the processing it was trained with."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.bundle.config_parser import ConfigParser
from monai.data.utils import decollate_batch, list_data_collate
from torch import nn

from ..config.record import RunRecord, config_of
from ..errors import CheckpointError, ConfigError
from ..grids import channels_last, require_grid
from ..raw_settings import lookup, references
from ..units import ARBITRARY
from ..weights import checkpoints
from ..weights.info import OUTPUT, READER, known_info, read_info
from .held_out_case import Case

RESTORE = "restore"
"""The setting that holds the postprocessing, instantiated for each variant's preprocessing."""


@dataclass
class EvaluatedMethod:
    """Network with its preprocessing, inferer and postprocessing, which restores grid and unit."""

    network: nn.Module
    preprocessing: Callable[[dict[str, Any]], dict[str, Any]]
    inferer: Callable[[torch.Tensor, nn.Module], torch.Tensor]
    postprocessing: Callable[[dict[str, Any]], dict[str, Any]]

    def load(self, weights: Path, device: torch.device) -> None:
        """Load weights strictly, move to the device, switch to inference."""
        checkpoints.load_weights(self.network, weights)
        self.network.to(device).eval()

    def predict(self, case: Case, device: torch.device) -> np.ndarray:
        """Synthetic volume (X, Y, Z), or (X, Y, Z, C), on the case's grid, in the target's unit, from the source only.

        Raises:
            DataError: the prediction is not on the source's grid.
        """
        return self.restored(case, self.inferred(case, device))

    def inferred(self, case: Case, device: torch.device) -> dict[str, Any]:
        """The case's item with the network's input ``image`` (C, X, Y, Z) and output ``pred`` (C', X, Y, Z)."""
        batch = list_data_collate([self.preprocessing({key: case.item[key] for key in ("case", "image")})])
        with torch.no_grad():
            batch["pred"] = self.inferer(batch["image"].to(device), self.network).cpu()
        (item,) = decollate_batch(batch)
        return dict(item)

    def restored(self, case: Case, item: dict[str, Any]) -> np.ndarray:
        """The volume of :meth:`predict` from an item of :meth:`inferred`, or from one with another ``pred``."""
        pred = np.asarray(self.finished(case, item)["pred"], dtype=np.float64)
        return channels_last(pred) if case.in_colour else pred[0]

    def finished(self, case: Case, item: dict[str, Any]) -> dict[str, Any]:
        """An item of :meth:`inferred` after postprocessing, which has ``pred`` (C, X, Y, Z) on the case's grid.

        Raises:
            DataError: the prediction is not on the source's grid.
        """
        done = dict(self.postprocessing(dict(item)))
        own = getattr(done["pred"], "affine", item["image"].affine)  # that of the network's input if it has none
        remedy = "check that postprocessing inverts preprocessing"
        require_grid(f"{case.name}: prediction", done["pred"].shape[1:], own, case.source.shape, case.affine, remedy)
        return done


def variants(output_dir: Path, rows: Collection[str]) -> dict[str, Path]:
    """Weights of every trained variant under ``variants/``, by its name.

    Args:
        output_dir: folder of the run.
        rows: names of the other rows of a table.

    Raises:
        ConfigError: a variant has the name of another row, whose scores would be taken for its own.
    """
    paths = sorted(output_dir.glob(f"variants/*/models/{checkpoints.WEIGHTS_NAME}"))
    found = {path.parents[1].name: path for path in paths}
    for name in found:
        if name in rows:
            fault = f"variant {output_dir / 'variants' / name} has the name of another row, of {', '.join(rows)}"
            raise ConfigError(fault, "rename its folder")
    return found


def another_source(weights: Path, own: Path) -> str | None:
    """Why a variant is not scored on the run's sources: it was trained on others; None where it is.

    Sources of another name may be the same images, as where one training had a datalist.

    Args:
        weights: of the variant.
        own: of the run.
    """
    variants_own, runs_own = (about.trained_on if (about := known_info(path)) else {} for path in (weights, own))
    names = [known.get("source") for known in (variants_own, runs_own)]
    images = [known.get("images_sha256") for known in (variants_own, runs_own)]
    if None in names or names[0] == names[1] or (images[0] == images[1] and images[0] is not None):
        return None
    return f"it was trained on {names[0]}, the model on {names[1]}: evaluate --output_dir {weights.parents[1]}"


def trained_networks(
    output_dir: Path, model: str, network: nn.Module, record: RunRecord | None = None
) -> dict[str, nn.Module]:
    """Trained networks of samples by name, with their weights: the run's, then those of its variants.

    Args:
        output_dir: folder of the run.
        model: name of the run's own.
        network: instance of ``network_def``.
        record: of the command.

    Raises:
        CheckpointError: there is no trained model, or weights do not fit.
        ConfigError: see :func:`variants`.
    """
    found = {model: (network, output_dir / "models" / checkpoints.WEIGHTS_NAME)}
    for name, weights in variants(output_dir, [model]).items():
        found[name] = ConfigParser(variant_config(weights, record)).get_parsed_content("network_def"), weights
    for each, weights in found.values():
        checkpoints.load_weights(each, weights)
    return {name: each for name, (each, _) in found.items()}


def require_unit(weights: Path, unit: str, standardised: bool, asking: str) -> None:
    """Refuse weights whose targets had another unit in training than the one of the comparison.

    Args:
        weights: of a run.
        unit: of the comparison.
        standardised: intensities without a unit are compared as z-scores.
        asking: name of the setting.

    Raises:
        ConfigError: for such weights.
    """
    about = known_info(weights)
    trained = None if about is None else lookup(about.settings, f"{OUTPUT}::unit")  # None: that of the bundle
    if trained is not None and trained != (ARBITRARY if standardised else unit):
        remedy = "pass the overlay of that training as the last of the config files"
        raise ConfigError(f"{asking} is in {unit}, but {weights} were trained in {trained}", remedy)


def variant_config(weights: Path, record: RunRecord | None = None) -> dict[str, Any]:
    """Settings that a variant was trained with: its network, preprocessing, inferer and all that these refer to.

    Args:
        weights: of the variant.
        record: of the command, whose own classes they may name too.

    Raises:
        CheckpointError: nothing is known of the weights.
    """
    about = read_info(weights)
    about.require_safe(given=str(config_of(record)))
    settings = dict(about.settings)
    return {**settings, "validate": {"inferer": settings.pop("inferer", None)}}


def variant(weights: Path, record: RunRecord | None = None) -> EvaluatedMethod:
    """Method of a variant: its own network, preprocessing and inferer, and the command's inverse to its unit.

    Args:
        weights: of the variant.
        record: of the command.

    Raises:
        CheckpointError: its settings are missing, or name components that this version does not have.
    """
    running = config_of(record)
    needed = {name.split("::")[0] for name in references(running, (RESTORE, READER))}
    own = {name: running[name] for name in needed if name in running}
    parser = ConfigParser({**own, **variant_config(weights, record)})
    parts = ("network_def", "preprocessing", "validate::inferer", RESTORE)
    try:
        return EvaluatedMethod(*[parser.get_parsed_content(part) for part in parts])
    except (RuntimeError, KeyError, ValueError, ModuleNotFoundError) as error:  # MONAI's, for a _target_ or a reference
        reason = f"{type(error).__name__}: {error}"[:200]
        fault = f"this version cannot build {weights}, a variant of an earlier run ({reason})"
        raise CheckpointError(fault, "train the variant again, or remove its folder") from error
