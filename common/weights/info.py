"""What is known of weights: the JSON file next to each of them, ``models/model.json`` next to ``models/model.pt``."""

from __future__ import annotations

import copy
import json
import logging
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import CheckpointError
from ..files import parse_json, write_text
from ..path_names import is_reference
from ..raw_settings import Settings, followed, lookup, references
from . import checkpoints
from .module_names import BUNDLE, local, portable
from .safe_settings import require_safe
from .shipped import shipped_weights

logger = logging.getLogger(__name__)
SCHEMA_VERSION = 1
RUN_NAME = "run.json"
"""File of a run with its whole configuration."""
SIMULATED = "simulated heads, no patient"
PHANTOMS = "generated phantoms, no patient"
IMAGES = "images"

NETWORK = ("network_def", "latent")
"""Components that weights fit or not."""
SCALING = ("preprocessing", "target_window", "target_scale_points")
"""What gives a network its images and their unit: windows, plane, spacing."""
POSTPROCESSING = "postprocessing"
"""That of an inference, where a training has one of its own."""
INFERER = "validate::inferer"
OUTPUT = "output"
"""What the network synthesises: modality in DICOM, unit and suffix of files, where a bundle has it as a setting."""
MODALITY = "source_modality"
"""What the network takes, where a bundle has it as a setting: files of another modality are refused in inference."""
READER = "reader"
"""Says how the files of the training were read; it belongs to these files, not to the weights."""
CONTRASTS = ("source", "target", "mask")
WEIGHTS = "weights"
"""Setting of the weights in use, where a configuration is not of a training."""
COMPUTING = ("mode", "stride", "stitching", "inferer", "steps", "noise_seed")
"""Settings that only say how a volume is computed, which may differ from training."""
NEEDLESS = ("_requires_",)


class WeightsInfo(NamedTuple):
    """What is known of weights.

    Attributes:
        path: the weights' file.
        sha256: hash of that file.
        bundle: whose network they are of.
        settings: raw settings of the configuration by name: ``network_def``, ``preprocessing``, ``inferer``, and every
            setting that these refer to, such as ``depth``, ``plane``, ``spacing`` and windows.
        trained_on: ``source``, ``target`` and ``mask`` (names of the files), ``data`` (phantoms, simulations or
            images), ``cases`` (how many in each section); ``started_from`` is the same of weights that the training
            started from, with their ``sha256``.
        reader: how the files of the training were read.
        metadata: the whole content of the file.
    """

    path: Path
    sha256: str
    bundle: str
    settings: Settings
    trained_on: dict[str, Any]
    reader: Settings
    metadata: dict[str, Any]

    @property
    def origin(self) -> str | None:
        """Training data that show no patient; None for others, and for weights that started from such."""
        data = [trained_on.get("data") for trained_on in _trainings(self.trained_on)]
        return data[0] if all(each in (SIMULATED, PHANTOMS) for each in data) else None

    def require_safe(self, given: str = "") -> None:
        """Refuse settings that would execute something; see :func:`common.weights.safe_settings.require_safe`."""
        require_safe(self.settings, f"settings of {self.path}", given)

    def network_settings(self) -> set[str]:
        """The settings that the network is built from; with other values the weights do not fit."""
        return references(self.settings, NETWORK)


def sidecar(path: Path) -> Path:
    """Path of the JSON file of weights."""
    return path.with_suffix(".json")


def needed_settings(config: Mapping[str, Any], network: str = "network_def") -> Settings:
    """The settings of a training that its weights need, from its whole configuration.

    Args:
        config: raw, as it was trained with.
        network: the component that the weights are of.
    """
    known = without_order({**config, "network_def": config.get(network)})
    known.pop(READER, None)  # its settings belong to the files
    names = references(known, (*NETWORK, *SCALING, POSTPROCESSING, OUTPUT, MODALITY, INFERER)) - {INFERER}
    inferer = lookup(known, INFERER)
    return {name: lookup(known, name) for name in sorted(names)} | ({"inferer": inferer} if inferer else {})


def described(config: Mapping[str, Any], bundle: str) -> dict[str, Any]:
    """What is known of weights from a raw configuration alone."""
    return {"bundle": bundle, "settings": needed_settings(config), "trained_on": contrasts_of(config)}


def save(weights: Mapping[str, Any], path: Path, about: Mapping[str, Any]) -> None:
    """Write weights and what is known of them, the JSON file first.

    That notes the hash of the weights that are replaced too: a process killed in between leaves a sound pair.

    Args:
        weights: a raw ``state_dict``.
        path: of the weights.
        about: entries of the JSON file besides the hash, such as :func:`described`.

    Raises:
        OutputError: where the folder cannot be written or the disk is full.
    """

    def note(sha256: str) -> None:
        replaced = checkpoints.sha256(path) if path.is_file() else None
        write_text(sidecar(path), as_text({"sha256": sha256, "replaces": replaced, **about}) + "\n")

    checkpoints.save(weights, path, note)


def as_text(about: Mapping[str, Any]) -> str:
    """The content of a JSON file of weights, or of the entry ``model`` of a checkpoint."""
    return portable(json.dumps({"schema_version": SCHEMA_VERSION, **about}, indent=1, default=str))


def read_info(path: str | Path) -> WeightsInfo:
    """Read what is known of weights, and verify their hash.

    Weights without a JSON file, of an older version, have the settings of their run, ``run.json``; a warning says so.

    Raises:
        CheckpointError: weights are missing, nothing is known of them, the file is of a later version, invalid, or of
            other weights.
    """
    path = Path(path)
    checkpoints.require_same_hash(path)
    return known_info(path) or _of_an_older_run(path)


def _parsed(path: Path, text: str, name: str) -> WeightsInfo:
    remedy = "restore the file, or train the bundle"
    try:
        metadata = parse_json(local(text))
        if metadata["schema_version"] != SCHEMA_VERSION:
            remedy = "use the version that wrote it, or a later one"
            raise ValueError(f"schema_version {metadata['schema_version']}, this version reads {SCHEMA_VERSION}")
        needed = {key: metadata[key] for key in ("bundle", "settings", "trained_on")}
        for key in ("settings", "trained_on", "reader"):
            if not isinstance(metadata.get(key, {}), dict):
                raise TypeError(f"{key} is {metadata[key]!r}")
        if not isinstance(metadata.get("contrasts", []), list):
            raise TypeError(f"contrasts is {metadata['contrasts']!r}")
        list(_trainings(needed["trained_on"]))
        sha256 = metadata.get("sha256") or checkpoints.sha256(path)
        return WeightsInfo(path, sha256, **needed, reader=metadata.get("reader", {}), metadata=metadata)
    except (ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{path.with_name(name)} does not describe its weights ({error!r})", remedy) from error


def _trainings(trained_on: Any) -> Iterator[dict[str, Any]]:
    """What weights were trained on, then what those were trained on that they started from, and so on.

    Raises:
        TypeError: one of them is no table.
    """
    while trained_on is not None:
        if not isinstance(trained_on, dict):
            raise TypeError(f"started_from is {trained_on!r}")
        yield trained_on
        trained_on = trained_on.get("started_from")


def _of_an_older_run(path: Path) -> WeightsInfo:
    """The settings of the run that weights without a JSON file lie in."""
    for folder in (path.parent, path.parent.parent):
        if (run := folder / RUN_NAME).is_file():
            config = read_run(run)
            logger.warning(f"weights: {path} has no {sidecar(path).name}: the settings of {run} are used")
            settings, metadata = needed_settings(config), {"config": config}
            contrasts = contrasts_of(config)
            return WeightsInfo(path, checkpoints.sha256(path), "", settings, contrasts, {}, metadata)
    fault = f"{path} has neither {sidecar(path).name} next to it nor the {RUN_NAME} of its run"
    raise CheckpointError(fault, f"copy {sidecar(path).name} from where it was trained")


def keep_shipped(models: Path) -> None:
    """Rename the weights that a release ships as ``model.pt`` before a run writes its own there."""
    released, name = models / checkpoints.WEIGHTS_NAME, shipped_weights(models.parent)
    about = known_info(released) if released.is_file() else None
    if about is not None and about.metadata.get("shipped") and not name.exists():
        sidecar(name).write_text(sidecar(released).read_text())  # first, so that weights never lack it
        released.rename(name)
        sidecar(released).unlink()


def read_run(path: Path) -> Settings:
    """The configuration of a run, raw, from its ``run.json``.

    Raises:
        CheckpointError: the file is damaged.
    """
    try:
        config = parse_json(local(path.read_text()))["config"]
        return dict(config)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{path} has no settings of a run ({error!r})", "restore it, or train again") from error


def contrasts_of(config: Mapping[str, Any]) -> dict[str, Any]:
    """Names of the files that a training read: its contrasts."""
    data = config.get("data")
    named = {name: followed(config, data.get(name)) for name in CONTRASTS} if isinstance(data, dict) else {}
    return {name: value for name, value in named.items() if isinstance(value, str) and not is_reference(value)}


def bundle_name(bundle_root: str | Path) -> str:
    """Name of a bundle, which its folder has in the repository; the folder of a release may have another one."""
    return BUNDLE or Path(bundle_root).resolve().name


def bundle_metadata(bundle_root: str | Path) -> dict[str, Any]:
    """The metadata of a bundle; empty where it has none."""
    path = Path(bundle_root, "configs", "metadata.json")
    return dict(json.loads(path.read_text())) if path.is_file() else {}


def origin(weights: str | Path) -> str | None:
    """Training data of weights if they show no patient; None for others, and where nothing is known of them."""
    about = known_info(Path(weights))
    return None if about is None else about.origin


def identity(weights: str | Path) -> str:
    """Hash of weights, and what they saw if it was no patient, in words for a report."""
    trained_on = origin(weights)
    return f"sha256 {checkpoints.sha256(weights)}" + (f", trained on {trained_on}" if trained_on else "")


def known_contrasts(weights: str | Path) -> list[str]:
    """Weightings that weights were trained on, such as ``T1``; empty where nothing is known of them."""
    about = known_info(Path(weights))
    return [] if about is None else list(about.metadata.get("contrasts", []))


def known_info(path: Path) -> WeightsInfo | None:
    """What the JSON file of weights says, or the checkpoint of a run of itself; None without either."""
    if sidecar(path).is_file():
        return _parsed(path, sidecar(path).read_text(), sidecar(path).name)
    if path.name == checkpoints.RESUME_NAME and path.is_file() and (own := checkpoints.load(path).get("model")):
        return _parsed(path, own, path.name)
    return None


def without_order(value: Any) -> Any:
    """A copy of a setting without what only orders the building of components; tuples are lists, as in JSON."""
    if isinstance(value, Mapping):
        return {key: without_order(part) for key, part in value.items() if key not in NEEDLESS}
    if isinstance(value, list | tuple):
        return [without_order(part) for part in value]
    return copy.deepcopy(value)


def commit_of(folder: Path) -> str:
    """Commit of the repository of a folder, with ``-dirty`` if files differ; ``unknown`` outside a repository."""
    describe = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    done = subprocess.run(describe, cwd=folder, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"
