"""Writing of weights together with what is known of them."""

from __future__ import annotations

import hashlib
import logging
import math
from pathlib import Path
from typing import Any

from monai.engines import Evaluator

from ...config.record import RunRecord
from ...data.origins import cases_of_program
from ...data.split_record import SplitRecord
from ...raw_settings import followed
from ...runs.versions import software_versions
from ...weights import info
from .. import SynthesisTrainer

logger = logging.getLogger(__name__)
BEST, LAST = "best", "last"
BACKWARD = "backward_def"
"""The generator of the opposite direction, whose weights are ``model_backward.pt``."""


class WeightsWriter:
    """Writes ``model.pt`` and ``model.json`` of a run, and those of the other networks that a method keeps.

    Args:
        models: the folder to write to.
        record: of the command that trains; without one the weights get no settings.
    """

    def __init__(self, models: Path, record: RunRecord | None = None) -> None:
        self.models = models
        self._record = record or RunRecord({})
        self._config = self._record.config
        self._about: dict[str, Any] = {}

    def describe(self, split: Path) -> None:
        """Note what the weights of this run are trained with, before the first ones are written.

        Args:
            split: the record of the run's cases, where it has one.
        """
        record = self._record
        if not record.config:
            logger.warning(f"the run was not recorded: weights in {self.models} get no settings")
        self._about = {
            **_bundle(record),
            "trained_on": {
                **info.contrasts_of(self._config),
                "data": _data(record),
                **_cases(split, record),
                **_maps(record),
                **_start(record),
            },
            "seed": self._config.get("seed"),
            "versions": software_versions(),
            "reader": {
                key: followed(self._config, value)
                for key, value in info.without_order(self._config.get(info.READER, {})).items()
            },
        }

    def save(self, engine: SynthesisTrainer, validator: Evaluator | None, folder: Path | None = None) -> None:
        """Write the networks of deployment.

        Args:
            engine: has trained them.
            validator: its last validation was the best so far; None keeps the last epoch's.
            folder: instead of that of the run's weights.
        """
        with engine.deployed_weights():
            for name, network in engine.method.networks_to_save().items():
                weights = {key: value.detach().cpu() for key, value in network.state_dict().items()}
                info.save(weights, (folder or self.models) / f"{name}.pt", self.about(engine, validator, name))

    def about(self, engine: SynthesisTrainer, validator: Evaluator | None, name: str = "model") -> dict[str, Any]:
        """What is known of the weights as they are now."""
        deployed = name == "model" or BACKWARD not in self._config
        settings = info.needed_settings(self._config, "network_def" if deployed else BACKWARD)
        kept: dict[str, Any] = {"keep": LAST if validator is None else BEST, "epoch": engine.state.epoch}
        if validator is not None and math.isfinite(validator.state.best_metric):
            kept["metric"] = {validator.state.key_metric_name: float(validator.state.best_metric)}
        return {**self._about, **kept, "settings": settings}


def _bundle(record: RunRecord) -> dict[str, Any]:
    """Name, version and unit of the bundle whose training runs."""
    if (root := record.bundle_root) is None:
        return {"bundle": ""}
    metadata = info.bundle_metadata(root)
    output = {**metadata.get("traits", {}), **record.config.get(info.OUTPUT, {})}
    return {"bundle": info.bundle_name(root), "version": metadata.get("version"), "unit": output.get("unit")}


def _data(record: RunRecord) -> str:
    """Whether the running training is on phantoms, on simulations without end, or on images of the user."""
    if "dataset_dir" not in record.config or cases_of_program(record) is not None:
        return info.IMAGES
    if "simulation" in record.config:
        return info.SIMULATED
    folder, phantoms, listed = (record.built(name) for name in ("dataset_dir", "demo_data", "datalist"))
    generated = listed is None and Path(folder).resolve() == Path(phantoms).resolve()
    return info.PHANTOMS if generated else info.IMAGES


def _maps(record: RunRecord) -> dict[str, Any]:
    """Hashes of the label maps that simulated heads are drawn from, by their names; none for the average head."""
    heads = getattr(record.built("simulation"), "heads", None)
    hashes = heads.hashes() if heads is not None else {}
    return {"label_maps": hashes} if hashes else {}


def _start(record: RunRecord) -> dict[str, Any]:
    """What the weights are and saw that the running training starts from; nothing where it starts from random ones."""
    start = record.weights
    return {"started_from": {"sha256": start.sha256, **start.trained_on}} if start is not None else {}


def _cases(split: Path, record: RunRecord) -> dict[str, Any]:
    """How many cases each section of the run's split has, and a hash over the hashes of their images."""
    own = cases_of_program(record)
    if own is not None or not split.is_file():
        return {"cases": {"training": len(own or [])}}
    own_split = SplitRecord.read(split)
    hashes = "".join(sorted(identity.sha256 for identity in own_split.files.values()))
    counts = {section: len(items) for section, items in own_split.lists.items() if items}
    return {"cases": counts, "images_sha256": hashlib.sha256(hashes.encode()).hexdigest()}
