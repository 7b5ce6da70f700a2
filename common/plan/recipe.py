"""The bundle that a plan is for: its settings, cases and trainer, built as a training builds them."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from monai.transforms import Compose

from ..config import read_config
from ..config.checks import check, check_references
from ..config.files import files_of
from ..data.datalist import POOLS
from ..errors import ConfigError, user_error_in
from ..raw_settings import Settings, followed, lookup, settings_of
from .measure import Step, measured_step

SLICES = ("plane", "depth", "pad_size", "crop_size")
"""Settings by which a training on slices is known."""
PATCHES = ("patch_size", "patches_per_case")
EPOCHS = ("max_epochs", "constant_epochs", "decay_epochs", "val_interval", "samples_per_epoch")
CHOSEN = ("spacing", "depth", "pad_size", "crop_size", "patch_size", "patch_layers", "batch_size", *EPOCHS)
"""Settings that a plan chooses, whatever the data; plane, windows and normalisation may be given."""
STEPS_AN_EPOCH = 100
"""At least. Fewer are filled up by repeated samples, which are augmented again; nnU-Net has 250 for any data set."""


class Setting(NamedTuple):
    """A setting of the plan, and the measured reason for its value."""

    name: str
    value: Any
    reason: str


class Recipe:
    """The training of a bundle with some settings given.

    Args:
        bundle: its name, or its folder.
        given: settings of the command, by their id.
        where: the settings that name its data.
        overlays: config files after its ``train.yaml``.

    Raises:
        ConfigError: for no such bundle, one that trains on neither slices nor patches of volumes, a setting that it
            does not accept, or one that the plan chooses.
    """

    def __init__(
        self, bundle: str, given: Mapping[str, Any], where: Mapping[str, Any], overlays: Sequence[str] = ()
    ) -> None:
        self.folder = bundle_folder(bundle)
        self.files = [str(self.folder / "configs" / "train.yaml"), *overlays]
        self.given, self.where = dict(given), dict(where)
        self.config = self.checked({})
        if not self.has(*SLICES) and not self.has(*PATCHES):
            fault = f"{self.folder.name} trains on neither slices nor patches of volumes, whose sizes a plan chooses"
            raise ConfigError(fault, "train with the settings of its train.yaml")
        for name in given:
            if name in CHOSEN:
                raise ConfigError(f"--{name} is chosen by the plan", "omit it here, and change it in the plan")

    def has(self, *names: str) -> bool:
        """Whether the bundle has all these settings."""
        return all(name in self.config for name in names)

    def value(self, name: str) -> Any:
        """The value of a setting, of the one that it refers to where it is a reference; None where there is none."""
        return followed(self.config, lookup(self.config, name))

    @cached_property
    def cases(self) -> dict[str, list[dict[str, Any]]]:
        """The cases by section, checked as before a training.

        Raises:
            UserError: as :func:`common.data.training_cases`.
        """
        return dict(self._parsed("data"))

    def preprocessing(self) -> Compose:
        """The bundle's preprocessing."""
        built: Compose = self._parsed("preprocessing")
        return built

    def step(self, settings: Mapping[str, Any]) -> Step | None:
        """A step of a training with these settings on its first case; see :func:`common.plan.measure.measured_step`.

        It has no handlers, so that nothing is written.
        """
        one = {name: self.cases[name][:1] if name in ("training", *POOLS) else [] for name in self.cases}
        samples = STEPS_AN_EPOCH * settings["batch_size"]
        options = {**settings, "data": one, "train::handlers": [], "samples_per_epoch": samples}
        return measured_step(self._parsed("train::trainer", **options))

    def checked(self, settings: Mapping[str, Any]) -> Settings:
        """The configuration of a training with these settings, checked as at the start of a command.

        Raises:
            ConfigError: as :func:`common.config.prepare`.
        """
        values = {**settings, **self.given, **self.where}
        config = settings_of(read_config(self.files, **values))
        check(config, files_of(self.folder / "configs"), values)
        check_references(config, "training")
        return config

    def _parsed(self, place: str, **settings: Any) -> Any:
        """A component as a training builds it, without weights to start from.

        Raises:
            UserError: the user error in what MONAI raises.
        """
        random = {"pretrained": False} if self.has("pretrained") else {}
        values = {**self.given, **self.where, **settings, **random}
        try:
            return read_config(self.files, **values).get_parsed_content(place)
        except Exception as error:
            mistake = user_error_in(error)
            if mistake is None:
                raise
        raise mistake  # out here, since the exception that holds it must not become its context


def bundle_folder(bundle: str) -> Path:
    """The folder of a bundle by its name, or by its path.

    Raises:
        ConfigError: there is none with a ``configs/train.yaml``.
    """
    spec = importlib.util.find_spec(bundle) if bundle.isidentifier() else None
    folders = [Path(bundle), *([Path(spec.origin).parents[1]] if spec is not None and spec.origin else [])]
    for folder in folders if bundle else []:
        if (folder / "configs" / "train.yaml").is_file():
            return folder
    raise ConfigError(f"no bundle {bundle!r}", "give its name or its folder, for example bundles/NAME")
