"""Comparison of the settings of weights with those of a configuration, and of both with the shipped ones."""

from __future__ import annotations

import copy
import itertools
import logging
from collections.abc import Iterable, Sequence
from typing import Any

from ..errors import CheckpointError, ConfigError
from ..path_names import is_reference
from ..raw_settings import Settings, as_json, components, followed, leaves, lookup, put
from ..weights.info import COMPUTING, CONTRASTS, INFERER, READER, WeightsInfo, without_order

logger = logging.getLogger(__name__)


class Adoption:
    """The changes by which a configuration gets the settings that weights were trained with.

    An option of the user is what a command was given, or where no command runs a value that no shipped config has.
    Options of the network may not contradict the weights; others are kept, with a warning that names both values.

    Args:
        about: what is known of the weights.
        config: the running configuration, raw.
        shipped: the whole configs of the bundle, raw.
        given: options of the running command by their id.
    """

    def __init__(self, about: WeightsInfo, config: Settings, shipped: Sequence[Settings], given: Iterable[str]) -> None:
        self.about = about
        self.config = config
        self.shipped = shipped
        self.given = tuple(given)

    def changes(self, bundle: str, same_files: bool = False) -> Settings:
        """Settings to change, by their id.

        Args:
            bundle: whose configuration it is.
            same_files: whether the files of the training are read again; then ``reader`` is as it was.

        Raises:
            CheckpointError: the weights are another bundle's.
            ConfigError: an option contradicts the network of the weights.
        """
        if self.about.bundle not in ("", bundle):
            raise CheckpointError(f"{self.about.path} has weights of {self.about.bundle}", f"pass weights of {bundle}")
        network = self.about.network_settings()
        recorded = {name: value for name, value in self.about.settings.items() if name != "inferer"}
        adopted = {name: self._adopted(name, value, name in network) for name, value in recorded.items()}
        adopted |= self._contrasts()
        if self.about.settings.get("inferer"):
            adopted |= self._inferer(self.about.settings["inferer"], same_files)
        if same_files and self.about.reader:
            adopted[READER] = self._adopted(READER, self.about.reader, False)
        return {
            name: value
            for name, value in adopted.items()
            if value != without_order(lookup(self.config, name)) or value is None and name not in self.config
        }

    def _adopted(self, name: str, recorded: Any, of_network: bool) -> Any:
        """The setting as recorded, with the options of the user that may differ."""
        known, own = dict(leaves(recorded, name)), without_order(lookup(self.config, name))
        adopted = copy.deepcopy(recorded)
        for place, value in leaves(own, name):
            trained, now = followed(self.about.settings, known.get(place)), followed(self.config, value)
            same = value if is_reference(trained) else now  # what belongs to the files, as the reader, is not recorded
            if as_json(same) == as_json(trained) or not self._is_option(place):
                continue
            if of_network:
                fault = f"--{place} is {now}, but the network of {self.about.path} was trained with {trained}"
                raise ConfigError(fault, "omit the option or overlay, or pass other --weights")
            if name not in COMPUTING:
                logger.warning(
                    f"--{place}: {now} is used, but {self.about.path} were trained with {trained}: results may look"
                    " plausible and be wrong"
                )
            if place.endswith("_target_") or place not in known and isinstance(recorded, dict):
                return own  # another component, or a longer list of them: parts of both would be neither
            if place == name:
                adopted = value
            else:
                put(adopted, place.partition("::")[2], value)
        return adopted

    def _contrasts(self) -> Settings:
        """Names of the files of a case."""
        named = [name for name in CONTRASTS if name in self.about.trained_on and name in self.config]
        return {name: self.about.trained_on[name] for name in named if not self._is_option(name)}

    def _inferer(self, recorded: Any, same_files: bool) -> Settings:
        """The inferer, each of its components with the settings that the one of its kind had in training.

        Components of the training that this one lacks are put around it, as far as they have another inferer inside; an
        innermost one that this one lacks, such as patches for slices, takes the place of its innermost one. A training
        that starts from the weights keeps what follows from its own settings, such as windows of its patch size.
        """
        place = INFERER if lookup(self.config, INFERER) is not None else "inferer"
        in_training = place == INFERER and not same_files
        adopted = self._wrapped(without_order(lookup(self.config, place)), recorded)
        kinds = {trained["_target_"]: trained for _, trained in components(recorded, "")}
        for where, component in components(adopted, place):
            for key, trained in kinds.get(component["_target_"], {}).items():
                value = trained if component.get(key) == trained else followed(self.about.settings, trained)
                of_this_run = in_training and self._is_unrecorded(component.get(key))
                if not isinstance(value, dict) and not of_this_run and not self._is_option(f"{where}::{key}"):
                    component[key] = value
        return {place: adopted}

    def _wrapped(self, own: Any, recorded: Any) -> Any:
        """The inferer inside the recorded components that it lacks, its innermost one of the recorded kind."""
        known = [each["_target_"] for each in _chain(own, self.config)]
        chain = _chain(recorded, self.about.settings)
        outer = list(itertools.takewhile(lambda each: each["_target_"] not in known, chain))
        shared = chain[len(outer)]["_target_"] if len(outer) < len(chain) else None
        if shared and chain[-1]["_target_"] not in known:
            own = _put_around(own, None, chain[-1:])
        return _put_around(own, shared, outer) if outer else own

    def _is_option(self, place: str) -> bool:
        """Whether the user set it: by an option of the command, or to what no shipped config has."""
        if any(f"{place}::".startswith(f"{option}::") for option in self.given):
            return True
        value = as_json(lookup(self.config, place))
        if self._is_unrecorded(value):
            return self._is_option(value[1:])  # weights that recorded the value in its place
        return all(value != as_json(lookup(config, place)) for config in self.shipped)

    def _is_unrecorded(self, value: Any) -> bool:
        """Whether a value refers to a setting of the configuration that the weights do not have."""
        return is_reference(value) and value[1:] in self.config and value[1:] not in self.about.settings


def _chain(inferer: Any, settings: Settings) -> list[Settings]:
    """An inferer and those inside it, outermost first; names of settings are followed."""
    found: list[Settings] = []
    while isinstance(inferer := followed(settings, inferer), dict):
        found.append(inferer)
        inferer = inferer.get("inferer")
    return found


def _put_around(inferer: Any, kind: str | None, outer: Sequence[Settings]) -> Any:
    """An inferer whose component of a kind is inside some others, outermost first; without a kind, they replace it."""
    if isinstance(inferer, dict) and inferer["_target_"] != kind and "inferer" in inferer:
        return {**inferer, "inferer": _put_around(inferer["inferer"], kind, outer)}
    if kind is None:
        *outer, inferer = outer
    for each in reversed(outer):
        inferer = {**each, "inferer": inferer}
    return inferer
