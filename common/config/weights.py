"""Weights as an overlay: a configuration gets the settings that the weights in use were trained with.

Weights are in use where a configuration has ``weights`` (an inference), ``evaluated`` (an evaluation, which reads the
files of the training again) or ``pretrained: true`` (a training that starts from them).
"""

from __future__ import annotations

import copy
import itertools
import json
import logging
import re
from collections.abc import Collection, Sequence
from functools import reduce
from pathlib import Path
from typing import Any, NamedTuple

from monai.handlers import CheckpointLoader

from ..errors import CheckpointError, ConfigError
from ..path_names import as_data, is_reference
from ..raw_settings import Settings, as_json, components, copied, followed, is_inside, leaves, lookup, put, resolved
from ..weights import checkpoints
from ..weights.info import (
    COMPUTING,
    CONTRASTS,
    IMAGES,
    INFERER,
    READER,
    RUN_NAME,
    WEIGHTS,
    WeightsInfo,
    bundle_name,
    read_info,
    read_run,
    without_order,
)
from ..weights.module_names import with_local_targets
from ..weights.shipped import shipped_weights
from .checks import NotLocatedError, check_sizes, check_tree
from .files import INSTALLED, BundleFiles, outside_installation

logger = logging.getLogger(__name__)
EVALUATED = "evaluated"
"""Setting of the weights that an evaluation compares; those that a bundle ships are not meant."""
PRETRAINED = "pretrained"
"""Setting of a training: whether it starts from the weights that the bundle ships."""
SHIPPED = "shipped_weights"
"""Setting of the file name of these, if a bundle ships several."""
CHOOSES_WEIGHTS = ("output_dir", "weights", "variant", "run_dir")
"""Options that say which weights are meant, so that shipped ones are not."""
RESTORE = "restore"
"""Setting of a training that evaluations share: what brings outputs back to the grid and unit of the target."""
NEEDED = ("network_def", "preprocessing")
"""Components that every training records where its bundle has them."""


class RunningBundle(NamedTuple):
    """A bundle and what a command asks of it.

    Attributes:
        root: its folder.
        files: its config files.
        given: ids of the command's options and of what its overlays set.
        is_command: whether a command asks; a program may build networks before it has weights.
    """

    root: str
    files: BundleFiles
    given: Collection[str]
    is_command: bool


def with_weights(config: Settings, bundle: RunningBundle) -> tuple[Settings, WeightsInfo | None]:
    """A configuration with the settings of the weights in use, and what is known of them; None without such.

    An option that contradicts the network of the weights is an error, one that changes its images a warning, one that
    only says how to compute is the user's.

    Args:
        config: composed, raw; it stays as it is.
        bundle: whose configuration it is.

    Raises:
        CheckpointError: nothing is known of the weights, or they are not the ones that are described.
        ConfigError: an option contradicts the network of the weights.
    """
    if WEIGHTS in config or EVALUATED in config:
        return _in_use(config, bundle)
    if config.get(PRETRAINED) is True:
        about = read_info(_shipped(Path(bundle.root, "models"), _shipped_name(config, bundle)))
        config = _adopted(config, bundle, about)
        check_sizes(config)
        return config, about
    for handler in (followed(config, handler) for handler in lookup(config, "train::handlers") or []):
        kind = str(handler.get("_target_")).rpartition(".")[2] if isinstance(handler, dict) else None
        if kind == CheckpointLoader.__name__ and Path(str(handler["load_path"])).is_file():  # as MONAI Label starts
            config = _adopted(config, bundle, read_info(handler["load_path"]))
    return config, None


def _in_use(config: Settings, bundle: RunningBundle) -> tuple[Settings, WeightsInfo | None]:
    """Those of the user, or where none was trained and no other is named, those that the bundle ships."""
    evaluated = EVALUATED in config
    weights = resolved(config, EVALUATED if evaluated else WEIGHTS)
    if not isinstance(weights, str | Path):
        raise ConfigError(f"--weights is {weights!r}, not a path", "write the path after it, or omit the option")
    if Path(weights).is_dir():
        raise CheckpointError(f"--weights {weights} is a folder", "pass its models/model.pt, or --output_dir")
    if Path(weights).is_file():
        about = read_info(weights)
        config = _with_evaluation_of(Path(weights), about, config, bundle) if evaluated else config
        return _adopted(config, bundle, about, same_files=evaluated), about
    own = Path(bundle.root, "models", _shipped_name(config, bundle))
    if evaluated or not own.is_file():  # an error when they are loaded
        return config, None
    if chosen := _chosen(config, bundle):
        if not bundle.is_command:
            return config, None
        place = ", ".join(f"--{name}" for name in chosen)
        remedy = f"train there first, or pass --weights FILE, such as the shipped {own}"
        where = "; --predictions_dir alone says where to write" if "output_dir" in chosen else ""
        raise CheckpointError(f"no weights at {weights} (from {place})", f"{remedy}{where}")
    about = read_info(own)
    try:
        config = _adopted(config, bundle, about, by_default=True)
    except ConfigError as error:
        if bundle.is_command:
            raise
        logger.warning(f"shipped weights {own} are not used: {error}")  # a program's own network
        return config, None
    return {**config, WEIGHTS: as_data(str(own))}, about


def _with_evaluation_of(weights: Path, about: WeightsInfo, config: Settings, bundle: RunningBundle) -> Settings:
    """The configuration with what overlays of a training say of its evaluation, such as metrics and their unit.

    They are read from the bundle's files: a record says which, and executes nothing of its own.

    Raises:
        ConfigError: where an overlay said so that is no file of the bundle.
    """
    run = weights.parents[1] / RUN_NAME
    if not run.is_file():
        return config
    whole_run = read_run(run)
    recorded = {name: value for name, value in whole_run.items() if name not in about.settings}
    files = [with_local_targets(file) for file in bundle.files.content.values()]
    whole = {name: value for file in files if "bundle_root" in file for name, value in file.items()}
    own = {name: value for file in files if EVALUATED in file for name, value in file.items() if name not in whole}
    new = {name: None for file in files for name in file if name not in config}  # which those may refer to
    changes = {}
    for name, value in {**own, RESTORE: whole.get(RESTORE), **new}.items():
        if name not in recorded or config.get(name) != value:  # by an option or overlay of this command
            continue
        number = name in new and isinstance(recorded[name], int | float)  # of an option, such as --interval 2
        if number or recorded[name] in [as_json(file[name]) for file in files if name in file]:
            changes[name] = recorded[name]
        elif name in own:
            raise ConfigError(f"{run} has {name} of an overlay of your own", "pass that --overlay here too")
    adopted: Settings = copied({**config, **changes})
    for file in files:  # an evaluation may refer to the validation of its overlay, such as an inferer in the unit
        for place in file.keys() - set(bundle.given) - {INFERER}:
            if place.startswith("validate::") and as_json(file[place]) == lookup(whole_run, place):
                put(adopted, place, copied(file[place]))
    return adopted


def require_trained(config: Settings) -> None:
    """Refuse the evaluation of a run without weights, before phantoms are made for it.

    Raises:
        CheckpointError: naming where they would be.
    """
    weights = resolved(config, EVALUATED)
    if isinstance(weights, str | Path) and not Path(weights).is_file():
        variants = sorted(Path(weights).parents[1].glob(f"variants/*/models/{checkpoints.WEIGHTS_NAME}"))
        remedy = "train there first, or correct the path"
        if variants:
            remedy = f"pass --output_dir {variants[0].parents[1]} for a variant alone"
        raise CheckpointError(f"no weights at {weights} (from --output_dir)", remedy)


def _shipped_name(config: Settings, bundle: RunningBundle) -> str:
    """Of the weights that a bundle ships: as its setting, which an older release lacks."""
    return str(resolved(config, SHIPPED) or shipped_weights(Path(bundle.root)).name)


def _shipped(models: Path, name: str) -> Path:
    """The shipped weights by their name, or ``model.pt`` where a release has them by that name."""
    path = models / name
    released = models / checkpoints.WEIGHTS_NAME
    if not path.is_file() and released.is_file() and read_info(released).metadata.get("shipped"):
        return released
    if not path.is_file():
        raise CheckpointError("the bundle ships no weights for --pretrained to start from", "omit the option")
    return path


def _chosen(config: Settings, bundle: RunningBundle) -> list[str]:
    """The options by which the user says which weights are meant."""
    whole = bundle.files.whole
    whole = whole + [outside_installation(one, bundle.root) for one in whole] if INSTALLED else whole
    known = {name: [one[name] for one in whole if name in one] for name in CHOOSES_WEIGHTS}
    named = [name for name in CHOOSES_WEIGHTS if name in config and config[name] not in known[name]]
    return [name for name in CHOOSES_WEIGHTS if name in bundle.given or name in named]


def _adopted(
    config: Settings, bundle: RunningBundle, about: WeightsInfo, same_files: bool = False, by_default: bool = False
) -> Settings:
    """The configuration with the settings of the weights; a log line names the weights and what they were trained on.

    ``by_default`` where the user named none.
    """
    about.require_safe(given=str(config))
    if about.bundle not in ("", name := bundle_name(bundle.root)):
        raise CheckpointError(f"{about.path} has weights of {about.bundle}", f"pass weights of {name}")
    require_recorded(about, bundle.files)  # of this bundle: the settings of another one are no fault of the file
    changes = Adoption(about, config, bundle.files.whole, bundle.given, same_files).changes()
    adopted: Settings = copied(config)
    for place, value in changes.items():
        put(adopted, place, copied(value))
    named = "shipped weights" if by_default else "weights"
    data = about.trained_on.get("data", IMAGES)
    logger.info(f"{named}: {about.path} (sha256 {about.sha256[:12]}), trained on {data}")
    on_phantoms = config.get("dataset_dir") in (config.get("demo_data"), "@demo_data") and not config.get("datalist")
    if about.origin and not by_default and not on_phantoms:
        logger.warning(f"the weights were trained on {about.origin}")
    return adopted


def require_recorded(about: WeightsInfo, files: BundleFiles) -> None:
    """Refuse settings that no training recorded, such as those of a file that was edited or cut short.

    Raises:
        CheckpointError: a setting is missing that another one refers to, is unknown, or has another type.
        NotLocatedError: a component cannot be imported, such as a network of the user's own.
    """
    remedy = "restore their JSON file, or train again"
    recorded = {name: value for name, value in about.settings.items() if name != "inferer"}
    known = {name for config in files.whole for name in config}
    named = re.findall(r"[@%](\w+)", json.dumps(about.settings, default=str))
    missing = [name for name in (*NEEDED, *named) if name in known and name not in (*recorded, READER)]
    for name, part in re.findall(r"@(\w+)::(\w+)", json.dumps(files.whole, default=str)):
        section = recorded.get(name)
        if isinstance(section, dict) and "_target_" not in section and part not in section:
            missing.append(f"{name}::{part}")
    if missing:
        raise CheckpointError(f"the settings of {about.path} lack {missing[0]}", remedy)
    inferer = {"validate": {"inferer": about.settings["inferer"]}} if "inferer" in about.settings else {}
    try:
        check_tree(recorded | inferer, files)
    except NotLocatedError:
        raise
    except ConfigError as error:
        raise CheckpointError(f"the settings of {about.path} are not those of a training ({error})", remedy) from error


class Adoption(NamedTuple):
    """The changes by which a configuration gets the settings that weights were trained with.

    An option of the user is what a command was given, or where no command runs a value that no shipped config has.
    Options of the network may not contradict the weights; others are kept, with a warning that names both values.

    Attributes:
        about: what is known of the weights.
        config: the running configuration, raw.
        shipped: the whole configs of the bundle, raw.
        given: ids of options of the running command.
        same_files: whether the files of the training are read again; then ``reader`` is as it was.
    """

    about: WeightsInfo
    config: Settings
    shipped: Sequence[Settings]
    given: Collection[str] = ()
    same_files: bool = False

    def changes(self) -> Settings:
        """Settings to change, by their id.

        Raises:
            ConfigError: an option contradicts the network of the weights.
        """
        recorded = {name: value for name, value in self.about.settings.items() if name != "inferer"}
        recorded |= {READER: self.about.reader} if self.same_files and self.about.reader else {}
        contrasts = [name for name in CONTRASTS if name in self.about.trained_on and name in self.config]
        adopted = {name: self._adopted(name, value) for name, value in recorded.items()}
        adopted |= {name: self.about.trained_on[name] for name in contrasts if not self._is_option(name)}
        adopted |= self._inferer(self.about.settings.get("inferer"))
        return {
            name: value
            for name, value in adopted.items()
            if value != without_order(lookup(self.config, name)) or value is None and name not in self.config
        }

    def _adopted(self, name: str, recorded: Any) -> Any:
        """The setting as recorded, with the options of the user that may differ."""
        known, own = dict(leaves(recorded, name)), without_order(lookup(self.config, name))
        adopted = copy.deepcopy(recorded)
        for place, value in leaves(own, name):
            trained, now = followed(self.about.settings, known.get(place)), followed(self.config, value)
            same = value if is_reference(trained) else now  # what belongs to the files, as the reader, is not recorded
            if as_json(same) == as_json(trained) or not self._is_option(place):
                continue
            if name in self.about.network_settings():
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

    def _inferer(self, recorded: Any) -> Settings:
        """The inferer, each of its components with the settings that the one of its kind had in training.

        Components of the training that this one lacks are put around it, as far as they have another inferer inside; an
        innermost one that this one lacks, such as patches for slices, takes the place of its innermost one. A training
        that starts from the weights keeps what follows from its own settings, such as windows of its patch size.
        """
        if not recorded:
            return {}
        place = INFERER if lookup(self.config, INFERER) is not None else "inferer"
        in_training = place == INFERER and not self.same_files
        adopted = self._wrapped(without_order(lookup(self.config, place)), recorded)
        kinds = {trained["_target_"]: trained for _, trained in components(recorded)}
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
        if not (chain := _chain(recorded, self.about.settings)):
            return own
        outer = list(itertools.takewhile(lambda each: each["_target_"] not in known, chain))
        made: list[Any] = []
        while own is not None:  # the innermost may be the name of a setting
            made.append(own)
            own = own.get("inferer") if isinstance(own, dict) else None
        if outer == chain:
            made[-1:] = outer
        else:
            if chain[-1]["_target_"] not in known:
                made[-1:] = chain[-1:]
            shared = chain[len(outer)]["_target_"]
            same = [k for k, each in enumerate(made) if isinstance(each, dict) and each["_target_"] == shared]
            at = same[0] if same else len(made) - 1
            made[at:at] = outer
        return reduce(lambda inner, each: {**each, "inferer": inner}, reversed(made))

    def _is_option(self, place: str) -> bool:
        """Whether the user set it: by an option of the command, or to what no shipped config has."""
        if is_inside(place, self.given):
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
