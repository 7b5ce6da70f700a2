"""The configuration of a bundle's run from its files and from options that are data: none of them is evaluated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from monai.bundle import ConfigParser, ReferenceResolver

from common.config.command import Command, as_meant, merged, read_option, set_options
from common.config.files import BundleFiles, files_of, read_file, top
from common.config.start import start
from common.errors import ConfigError
from common.path_names import texts
from common.raw_settings import Settings


class RunFiles(NamedTuple):
    """The config files of a run, merged, and the options that were set in them.

    Attributes:
        parser: with the content of the files and the options.
        files: each, by its path.
        options: by their id.
    """

    parser: ConfigParser
    files: dict[str, Settings]
    options: Settings

    @property
    def folder(self) -> Path:
        """The bundle's folder ``configs``."""
        return Path(next(iter(self.files))).parent


def run_files(config_files: Sequence[str], options: Mapping[str, Any]) -> RunFiles:
    """Config files with options in them; nothing is checked or built yet.

    Args:
        config_files: their paths; the first lies in the folder ``configs`` of a bundle.
        options: values by name, or by id.

    Raises:
        ConfigError: an option is an expression, which would be evaluated, or reaches into what is not there.
    """
    given = as_meant(options)
    for name, value in given.items():
        if any(line[:1] in ("$", "%") for line in texts(value).splitlines()):
            raise ConfigError(
                f"--{name} is the expression {value}", "pass a value, or write it in a file for --overlay"
            )
    files = fitting({path: read_file(path) for path in config_files}, files_of(Path(config_files[0]).parent))
    parser = ConfigParser(merged(files))
    set_options(parser, given)
    return RunFiles(parser, files, given)


def from_texts(options: Mapping[str, str]) -> dict[str, Any]:
    """The values of options that were typed, see :func:`common.config.command.read_option`."""
    return {name: read_option(ReferenceResolver.normalize_id(name), text) for name, text in options.items()}


def started(run: RunFiles, run_id: str) -> ConfigParser:
    """The parser of a run, its configuration composed and checked; see :func:`common.config.prepare`.

    Raises:
        ConfigError: a setting is unknown, or has a value that it cannot have.
        CheckpointError: nothing is known of the weights in use, or they are not the ones that are described.
    """
    run.parser.read_meta(str(run.folder / "metadata.json"))
    run.parser.resolve_macro_and_relative_ids()  # as MONAI's command does, so that hashes of settings are its own
    start(run.parser, Command(run.parser, run.files, run.options, run_id), str(run.folder.resolve().parent))
    return run.parser


def fitting(files: dict[str, Settings], known: BundleFiles) -> dict[str, Settings]:
    """Config files by their path; overlays without parts of sections that others of the bundle alone have.

    An overlay with a network and ``losses::l1::function`` fits a training and, written to a folder, an inference.
    """
    fits: dict[str, Settings] = {}
    here: set[str] = set()
    for path, content in files.items():
        lost = {key for key in content if fits and "::" in key and top(key) in known.tops and top(key) not in here}
        fits[path] = {key: value for key, value in content.items() if key not in lost}
        here |= fits[path].keys()
    return fits
