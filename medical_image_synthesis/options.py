"""What the commands' parsers share: bundles, overlays, settings that are passed on, series of DICOM folders."""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from common.errors import ConfigError, path_option
from common.files import require_bounded
from common.path_names import texts
from medical_image_synthesis.catalogue import Bundle, bundle_named

if TYPE_CHECKING:
    from common.io import VolumeReader


def with_underscores(words: Sequence[str]) -> list[str]:
    """The words of a command line with underscores in the names of options: ``--output-dir`` is ``--output_dir``."""
    return [_underscored(word) if word.startswith("--") else word for word in words]


def _underscored(word: str) -> str:
    name, given, value = word.partition("=")
    return f"--{name[2:].replace('-', '_')}{given}{value}"


def settings_of(words: Sequence[str], remedy: str = "write --NAME VALUE") -> dict[str, str]:
    """Options that are passed on, ``--name value``, by name; ``remedy`` is what to do about a word without a name.

    Raises:
        ConfigError: for a word that is neither.
    """
    found: dict[str, str] = {}
    rest = list(words)
    while rest:
        name = rest.pop(0)
        if not name.startswith("--"):
            raise ConfigError(f"{name} follows no option", remedy)
        name, given, value = name[2:].partition("=")
        if not given:
            if not rest or rest[0].startswith("--"):
                raise ConfigError(f"--{name} has no value", f"write --{name}=VALUE")
            value = rest.pop(0)
        found[name] = value
    return found


def require_none(words: Sequence[str], known: Sequence[str] = ()) -> None:
    """Refuse words that a command does not know.

    Raises:
        ConfigError: naming the first, and the nearest of those that are known.
    """
    if words:
        nearest = difflib.get_close_matches(words[0].partition("=")[0], known, n=1)
        raise ConfigError(f"unknown option {words[0]}", f"did you mean {nearest[0]}?" if nearest else "see --help")


class BundleOption(argparse.Action):
    """A bundle by its name, short name or folder.

    Raises:
        ConfigError: there is none.
    """

    def __call__(self, _: object, namespace: argparse.Namespace, values: Any, option_string: str | None = None) -> None:
        """Put the bundle in the place of its name."""
        setattr(namespace, self.dest, None if values is None else bundle_named(values))


def add_bundle(parser: argparse.ArgumentParser, optional: str = "") -> None:
    """Add the bundle, by name or folder, as first argument; one that may be missing has words about that."""
    about = "a bundle that synthesize list prints, or the folder of one"
    if optional:
        parser.add_argument("bundle", metavar="BUNDLE", nargs="?", action=BundleOption, help=f"{about}; {optional}")
    else:
        parser.add_argument("bundle", metavar="BUNDLE", action=BundleOption, help=about)


def add_run_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of every run of a bundle: overlays, which may be given again, and all of its log."""
    about = "changes settings: the name of a config of the bundle, such as demo, or a file; may be given again"
    parser.add_argument("--overlay", metavar="NAME", type=path_option, action="append", default=[], help=about)
    parser.add_argument("--verbose", action="store_true", help="log times and modules, and what MONAI and Ignite log")


def add_reader(parser: argparse.ArgumentParser) -> None:
    """Add the options that select a series or acquisition of DICOM folders."""
    group = parser.add_argument_group("DICOM series")
    group.add_argument("--series", nargs="+", metavar="UID", help="SeriesInstanceUID of the series to read")
    group.add_argument("--phase", type=int, help="number of the acquisition to read, from 1")
    group.add_argument("--resample_tilt", action="store_true", help="resample tilted or unevenly spaced slices")


def reader_of(options: argparse.Namespace) -> VolumeReader:
    """The reader with the parsed options; options that a command does not have keep their defaults."""
    from common.io import VolumeReader

    names = ("nan_fill", "series", "phase", "resample_tilt", "channels", "resample", "pictures")
    return VolumeReader(**{name: value for name, value in vars(options).items() if name in names})


def config_files(bundle: Bundle, names: Sequence[str], overlays: Sequence[Path]) -> list[str]:
    """Paths of a bundle's configs and of overlays; each overlay is read once, to name a fault and its line.

    Raises:
        ConfigError: one does not exist, or MONAI could not read it.
    """
    paths = [bundle.config(name) for name in names] + [overlay_path(bundle, overlay) for overlay in overlays]
    for path in paths:
        require_settings(path)
    return [str(path) for path in paths]


def overlay_path(bundle: Bundle, overlay: Path) -> Path:
    """The file of an overlay; a name without folder and ending is that of a config of the bundle."""
    own = bundle.config(overlay.name)
    if overlay.name != str(overlay) or overlay.suffix:
        return overlay
    if not own.is_file():
        if overlay.exists():
            return overlay
        names = sorted(path.stem for path in own.parent.glob("*.yaml"))
        nearest = difflib.get_close_matches(overlay.name, names, n=1)
        remedy = f"did you mean {nearest[0]}?" if nearest else "name one of its configs, or a file .yaml"
        raise ConfigError(f"{bundle.short} has no overlay {overlay}", remedy)
    return own


def require_settings(path: Path) -> None:
    """Refuse a config file that MONAI could not read, with the line; what its settings are is checked by the bundle.

    Raises:
        ConfigError: naming the file.
    """
    import yaml  # takes as long as all other imports of a command

    try:
        text = path.read_text(encoding="utf-8")
        merges = [each for each in yaml.scan(text) if isinstance(each, yaml.ScalarToken) and each.value == "<<"]
        content = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ConfigError(
            f"{path}:{line} is not valid YAML, {error.problem}", "correct this line, or the one before"
        ) from error
    except (OSError, ValueError, yaml.YAMLError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(f"cannot read {path} ({reason})", "check the path, or write the file again") from error
    if merges:
        place = f"{path}:{merges[0].start_mark.line + 1}"
        raise ConfigError(f"{place} has a merge (<<), which MONAI does not read", "write the settings out")
    require_bounded(content, str(path))
    if not isinstance(content, dict):
        raise ConfigError(f"{path} holds {repr(content)[:80]}, no settings NAME: VALUE", "see the bundle's overlays")
    if names := [name for name in content if not isinstance(name, str) or not name.strip(":#+")]:
        kind = "setting" if isinstance(names[0], str) else "text"
        raise ConfigError(f"{path} has the name {names[0]!r}, which is no {kind}", "correct the name, or remove it")
    for text in texts(content).splitlines():
        if text.startswith("%") and (".yaml" in text or ".json" in text or "/" in text):
            raise ConfigError(f"{path} has the macro {text} of another file", "write the value itself")
