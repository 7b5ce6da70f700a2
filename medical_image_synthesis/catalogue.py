"""The bundles that are there, in a wheel or in the repository, and what their files say of them."""

from __future__ import annotations

import difflib
import json
import re
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from common.errors import CheckpointError, ConfigError
from common.files import parse_json
from common.weights.module_names import local
from common.weights.shipped import shipped_weights
from medical_image_synthesis.places import PICTURES, VOLUMES

HERE = Path(__file__).resolve().parent
PLACES = (HERE / "bundles", HERE.parent / "bundles")
"""Of a wheel, and of the repository."""
LOSSES = {"l1": "L1", "l2": "squared error", "gdl": "gradient difference", "feature_matching": "feature matching"}
"""Names of losses that are no word."""
SEVERAL = re.compile(r'^source: "?\w+,', re.MULTILINE)
"""In the inference config of a bundle whose source is several volumes."""


class Bundle(NamedTuple):
    """A bundle by its name and folder."""

    name: str
    folder: Path

    @property
    def short(self) -> str:
        """What it is called on the command line: ``mr2ct`` for ``mr2ct_pix2pix``, unless its metadata say another."""
        return str(self.metadata["traits"].get("short", self.name.partition("_")[0]))

    @property
    def metadata(self) -> dict[str, Any]:
        """The content of ``metadata.json``."""
        return dict(json.loads((self.folder / "configs" / "metadata.json").read_text(encoding="utf-8")))

    @property
    def weights(self) -> Path | None:
        """Those of a training in its folder, else those that it ships; None where it has none."""
        files = (self.folder / "models" / "model.pt", shipped_weights(self.folder))
        return next((path for path in files if path.is_file()), None)

    @property
    def network(self) -> str:
        """What its weights are, in words: network, losses and what they saw; the paper's method may be another."""
        if self.weights is None:
            return "no weights, train first"
        path = self.weights.with_suffix(".json")
        try:
            return _in_words(_read(path))
        except (AttributeError, KeyError, TypeError) as error:
            raise CheckpointError(f"cannot read {path} ({error!r})", "restore the file, or train again") from error

    @property
    def error(self) -> str | None:
        """Error of its weights and of answers without a network: as their file says, else on calibration cases."""
        if self.weights is None:
            return None
        path = self.weights.with_name(f"{self.weights.stem}_trust.json")
        about = _read(self.weights.with_suffix(".json"))
        measured: str | None = about.get("measured")
        if measured or not path.is_file():
            return measured
        known = _read(path)
        if known.get("sha256") != about.get("sha256"):  # of the weights before a new export or training
            return None
        try:
            limits, cases = known["limits"], len(known["cases"])
            others = ", ".join(f"{name} {value:.3g}" for name, value in limits["baselines"].items())
            own = f"MAE {limits['expected_mae']:.3g} {known['unit']}"
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise CheckpointError(f"cannot read {path} ({error!r})", "restore the file, or calibrate again") from error
        return f"{own}, median of {cases} calibration cases; {others}"

    @property
    def task(self) -> str:
        """What it does, and what its weights are."""
        return f"{self.metadata['task']}; {self.network}"

    @property
    def training(self) -> str:
        """The command that trains it."""
        return f"synthesize train {self.short} --dataset_dir DATA"

    @property
    def reads_volumes(self) -> bool:
        """Whether it translates volumes; others draw samples."""
        return bool(self.metadata["network_data_format"]["inputs"]["image"]["type"] == "image")

    @property
    def makes_pictures(self) -> bool:
        """Whether it translates pictures in two dimensions, not volumes."""
        return bool(self.metadata["traits"].get("pictures"))

    @property
    def takes_kspace(self) -> bool:
        """Whether the weights that it uses reconstruct k-space and refuse volumes."""
        about = _read(self.weights.with_suffix(".json")) if self.weights else {}
        return bool(about.get("settings", {}).get("complex_input"))

    @property
    def sources(self) -> list[str]:
        """Modalities of the volumes that it takes."""
        return [each["modality"] for each in self.metadata["network_data_format"]["inputs"].values()]

    @property
    def unservable(self) -> str | None:
        """Why the page and the node, which take one volume and have no options of a training, cannot use it, if so."""
        if not self.reads_volumes:
            return "samples images and translates no scan"
        if SEVERAL.search(self.config("inference").read_text(encoding="utf-8")):
            return "needs several volumes of a case: use the command line"
        if self.weights is None:
            return f"no weights, train first: {self.training}"
        if self.makes_pictures:
            return "translates pictures: use the command line"
        return "takes k-space: use the command line" if self.takes_kspace else None

    @property
    def other_formats(self) -> tuple[str, ...]:
        """Endings of files that it reads besides volumes, such as k-space."""
        return tuple(self.metadata["traits"].get("other_formats", ()))

    @property
    def formats(self) -> tuple[str, ...]:
        """Endings of all files that it reads."""
        return PICTURES if self.makes_pictures else (*VOLUMES, *self.other_formats)

    def has_run(self, run_id: str, configs: Sequence[str]) -> bool:
        """Whether one of some configs has a run id."""
        begun = re.compile(rf"^{run_id}:", re.MULTILINE)
        return any(begun.search(self.config(name).read_text(encoding="utf-8")) for name in configs)

    def join_path(self) -> None:
        """Let its package be found, which need not be installed."""
        if str(self.folder) not in sys.path:
            sys.path.append(str(self.folder))

    def module(self, name: str) -> ModuleType:
        """A module of its package."""
        self.join_path()
        return import_module(local(f"{self.name}.{name}"))

    def config(self, name: str) -> Path:
        """Where a config lies, such as ``train``."""
        return self.folder / "configs" / f"{name}.yaml"


def bundles() -> list[Bundle]:
    """All that are there, sorted by name."""
    place = next(place for place in PLACES if place.is_dir())
    return [Bundle(path.parents[1].name, path.parents[1]) for path in sorted(place.glob("*/configs/inference.yaml"))]


def bundle_named(text: str) -> Bundle:
    """The bundle with a name, the short name or the folder.

    Raises:
        ConfigError: there is none.
    """
    known = bundles()
    found = next((each for each in known if text in (each.name, each.short)), None)
    if found is None and text and Path(text, "configs", "train.yaml").is_file():
        folder = Path(text).resolve()
        found = Bundle(folder.name, folder)
    if found is None:
        if text and Path(text, "models", "model.pt").is_file():
            raise ConfigError(f"{text} is the folder of a run, no bundle", f"name the bundle, and --output_dir {text}")
        names = [name for each in known for name in (each.short, each.name)]
        nearest = difflib.get_close_matches(text.lower(), names, n=1)
        remedy = (
            f"did you mean {nearest[0]}?" if nearest else "name it first, such as mr2ct; synthesize list prints them"
        )
        raise ConfigError(f"no bundle {text or 'of an empty name'}", remedy)
    return found


def require_weights(bundle: Bundle, options: Mapping[str, Any]) -> None:
    """Refuse an inference without weights before PyTorch is imported.

    Args:
        bundle: whose weights are used where the options name none.
        options: settings by their id.

    Raises:
        CheckpointError: there are none.
    """
    weights = options.get("weights")
    if weights is not None and not Path(weights).is_file():
        raise CheckpointError(f"no file {weights} (from --weights)", "check the path")
    if weights is None and bundle.weights is None and "output_dir" not in options:
        raise CheckpointError(
            f"{bundle.name} ships no weights", f"train first, {bundle.training}, or pass --weights FILE"
        )


def _in_words(about: dict[str, Any]) -> str:
    """The network of weights, its losses and its data, by their JSON file."""
    network = about.get("settings", {}).get("network_def", {})
    name = network.get("stage", network).get("_target_", "network").rpartition(".")[2]
    weighed = about.get("config", {}).get("loss_weights", {})  # known of shipped weights alone
    losses = ", ".join(LOSSES.get(loss, loss) for loss, weight in weighed.items() if weight)
    contrasts = ", ".join(about.get("contrasts", []))
    data = about["trained_on"].get("data", "images") + (f" ({contrasts})" if contrasts else "")
    return f"{name} trained {f'with {losses} ' if losses else ''}on {data}"


def _read(path: Path) -> dict[str, Any]:
    """What a JSON file says of weights."""
    try:
        return dict(parse_json(path.read_text(encoding="utf-8")))
    except (OSError, TypeError, ValueError) as error:
        raise CheckpointError(f"cannot read {path} ({error})", "restore the file, or train again") from error
