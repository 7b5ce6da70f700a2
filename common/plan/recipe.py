"""The bundle that a plan is for: its settings, cases and networks, built as a training builds them."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from monai.transforms import Compose

from ..config import read_config
from ..config.checks import check
from ..config.files import configs_in, shipped_settings
from ..config.tree import check_references, check_tree
from ..errors import ConfigError, users_mistake
from ..raw_settings import Settings, followed, lookup, settings_of
from ..training.methods.base import GanMethod
from .cost import Step, step_cost, without_values

SLICES = ("plane", "depth", "pad_size", "crop_size")
"""Settings by which a training on slices is known."""
PATCHES = ("patch_size", "patches_per_case")


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

    Raises:
        ConfigError: for no such bundle, one that trains on neither slices nor patches of volumes, or a setting that it
            does not accept.
    """

    def __init__(self, bundle: str, given: Mapping[str, Any], where: Mapping[str, Any]) -> None:
        self.folder = bundle_folder(bundle)
        self.given, self.where = dict(given), dict(where)
        self.shipped = configs_in(self.folder / "configs")
        self.config = self.checked({})
        if not self.has(*SLICES) and not self.has(*PATCHES):
            rule = "trains on slices or patches of volumes, whose sizes a plan chooses"
            remedy = "its settings are those of its train.yaml"
            raise ConfigError("--bundle", rule, self.folder.name, remedy)
        self._cases: Any = None
        self._built: tuple[Settings, GanMethod] | None = None

    @property
    def regions(self) -> list[str]:
        """Keys of the masks in a sample."""
        return list(lookup(self.config, "train::dataset::regions") or [])

    @property
    def channels(self) -> int:
        """Channels of a sample's image."""
        channels: int = self.config.get("channels") or self.config.get("neighbours") or 1
        return channels

    @property
    def has_other_unit(self) -> bool:
        """Whether the target has a unit that was given, and no window yet in it."""
        return "output::unit" in self.given and "target_window" not in self.given

    def has(self, *names: str) -> bool:
        """Whether the bundle has all these settings."""
        return all(name in self.config for name in names)

    def value(self, name: str) -> Any:
        """The value of a setting, of the one that it refers to where it is a reference; None where there is none."""
        return followed(self.config, lookup(self.config, name))

    def cases(self) -> dict[str, list[dict[str, Any]]]:
        """The cases by section, checked as before a training.

        Raises:
            UserError: as :func:`common.data.training_cases`.
        """
        if self._cases is None:
            unchecked = {"data::target_range": None} if self.has_other_unit else {}
            self._cases = dict(self._parsed("data", **unchecked))
        return dict(self._cases)

    def preprocessing(self) -> Compose:
        """The bundle's preprocessing."""
        built: Compose = self._parsed("preprocessing")
        return built

    def cost(self, batch_size: int, size: Sequence[int], **settings: Any) -> Step:
        """The cost of a step of so many samples of a size with settings of the networks; the last ones stay built."""
        if self._built is None or self._built[0] != settings:
            self._built = settings, without_values(self._parsed("method", data=self.cases(), **settings))
        return step_cost(self._built[1], batch_size, self.channels, size, self.regions)

    def checked(self, settings: Mapping[str, Any]) -> Settings:
        """The configuration of a training with these settings, checked as at the start of a command.

        Raises:
            ConfigError: as :func:`common.config.prepare`.
        """
        values = {**settings, **self.given, **self.where}
        raw = read_config(self.folder / "configs" / "train.yaml")
        raw.update(values)
        check(settings_of(raw), shipped_settings(self.shipped))
        check_tree(settings_of(raw), self.shipped, values)
        config = settings_of(self._parser(values))
        check_references(config, "training")
        return config

    def _parser(self, settings: Mapping[str, Any]) -> Any:
        return read_config(self.folder / "configs" / "train.yaml", **settings)

    def _parsed(self, place: str, **settings: Any) -> Any:
        """A component as a training builds it, on the CPU and without weights to start from.

        Raises:
            UserError: the mistake of the user in what MONAI raises.
        """
        random = {"pretrained": False} if self.has("pretrained") else {}
        parser = self._parser({**self.given, **self.where, **settings, "device": "cpu", **random})
        try:
            return parser.get_parsed_content(place)
        except Exception as error:
            mistake = users_mistake(error)
            if mistake is None:
                raise
        raise mistake  # out here, since the exception that holds it must not become its context


def bundle_folder(bundle: str) -> Path:
    """The folder of a bundle by its name, or by its path.

    Raises:
        ConfigError: there is none with a ``configs/train.yaml``.
    """
    found = importlib.util.find_spec(bundle) if bundle.isidentifier() else None
    folders = [Path(bundle), *([Path(found.origin).parents[1]] if found is not None and found.origin else [])]
    for folder in folders if bundle else []:
        if (folder / "configs" / "train.yaml").is_file():
            return folder
    raise ConfigError(
        "--bundle", "is the name or the folder of a bundle", repr(bundle), "give for example bundles/NAME"
    )
