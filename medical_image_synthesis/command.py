"""``synthesize``: every command of a user; what needs PyTorch is imported by the command that runs."""

from __future__ import annotations

import argparse
import difflib
import signal
import sys
from collections.abc import Collection, Sequence
from importlib import import_module
from typing import Any, NoReturn

from common.errors import ConfigError, exit_code_of_user_errors
from medical_image_synthesis import infer
from medical_image_synthesis.catalogue import bundles
from medical_image_synthesis.info import version
from medical_image_synthesis.options import require_none, with_underscores
from medical_image_synthesis.terminal import say_loading

COMMANDS = {
    "list": ("listing", "bundles, their weights and folders"),
    "app": ("app.command", "a page in the browser: drop a scan, see the synthetic one, take it away"),
    "node": ("node.command", "a DICOM node: translate the series that an archive sends, and send them back"),
    "bids-app": ("bids_app", "inference as a BIDS App: bids_dir output_dir participant"),
    "datalist": ("datasets", "split the cases of a folder into training, validation and test"),
    "check": ("datasets", "read and check every case before a training"),
    "register": ("registering", "bring source and target of each case onto one grid"),
    "train": ("runs", "train a bundle, or fine-tune its weights"),
    "evaluate": ("runs", "score a trained bundle, its variants and baselines on the test cases"),
    "calibrate": ("runs", "prediction intervals and verdicts for trained weights"),
    "benchmark": ("benchmark.command", "train and score as a public benchmark, beside published numbers"),
    "config": ("runs", "print the settings of a run, and where each comes from"),
    "score": ("scores", "metrics of one synthetic volume"),
    "reader-study": ("readers", "blinded images for human readers, and their scores"),
    "simulate": ("simulating", "pairs of corrupted and given volumes"),
    "export": ("export", "make a pretraining the weights of its bundle"),
    "info": ("info", "versions, devices and weights, for a report of a bug"),
}
"""Each with the module that adds its options, and what it does."""
LOADS = ("node", "benchmark", "datalist", "check", "register", "score", "reader-study", "simulate", "export", "info")
"""Those that import PyTorch in this process; a bundle's run says so itself."""
WORDS = ("true", "false")
"""What may follow an option without a value."""
EXAMPLES = """examples:
  synthesize mr2ct T1.nii.gz -o ct.nii.gz
  synthesize train mr2ct --dataset_dir DATA --output_dir OUT
  synthesize train --help

For research; not for clinical use."""


class Parser(argparse.ArgumentParser):
    """A parser that takes no shortened names, and whose mistakes are those of a user."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False, **settings)

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:  # type: ignore[override]
        """Parse words in which an option without a value may have ``true`` or ``false``, as settings have."""
        flags = {name for each in self._actions if each.nargs == 0 for name in each.option_strings}
        return super().parse_known_args(_without_words(args, flags), namespace)

    def error(self, message: str) -> NoReturn:
        """Say what is wrong in one line.

        Raises:
            ConfigError: always.
        """
        raise ConfigError(message, f"see {self.prog} --help")


def _without_words(words: Sequence[str], flags: Collection[str]) -> list[str]:
    """Words of a command line with ``--flag true`` as ``--flag``, and without ``--flag false``."""
    kept: list[str] = []
    for word in words:
        name, _, value = word.partition("=")
        if kept and kept[-1] in flags and word in WORDS:
            name, value = kept.pop(), word
        elif name not in flags or value not in WORDS:
            kept.append(word)
            continue
        if value == "true":
            kept.append(name)
    return kept


@exit_code_of_user_errors
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code: 0, or that of the error whose line ends stderr."""
    given = with_underscores(sys.argv[1:] if arguments is None else arguments) or ["--help"]
    parser = parser_of(given)
    options, words = parser.parse_known_args(given)
    if given[0] in LOADS:
        say_loading(given[0])
    try:
        if options.takes_settings:
            return int(options.run(options, words))
        require_none(words, options.known)
        return int(options.run(options))
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


def parser_of(given: Sequence[str]) -> Parser:
    """The parser of a command line; of the commands only that which is given has its options.

    Raises:
        ConfigError: the first word is no command.
    """
    there = bundles()
    listed = [f"  {bundle.short:13} {bundle.metadata['task']}" for bundle in there]
    listed += ["", "other commands:", *(f"  {name:13} {about}" for name, (_, about) in COMMANDS.items())]
    parser = Parser(
        prog="synthesize", usage="synthesize COMMAND ...", add_help=False, epilog=EXAMPLES,
        description="\n".join(["synthetic images by a bundle:", *listed]),
    )  # fmt: skip
    parser.add_argument("-h", "--help", action="help", help=argparse.SUPPRESS)
    if given[:1] == ["--version"]:
        parser.add_argument("--version", action="version", version=f"synthesize {version()}")
    commands = parser.add_subparsers(required=True, prog="synthesize", help=argparse.SUPPRESS, metavar="COMMAND")
    for bundle in there:
        command = commands.add_parser(bundle.short, aliases=[bundle.name])
        command.set_defaults(takes_settings=True)
        if given and given[0] in (bundle.short, bundle.name):
            infer.add(command, bundle)
    for name, (module, text) in COMMANDS.items():
        about = f"{text[0].upper()}{text[1:]}."
        command = commands.add_parser(name, description=about)
        command.set_defaults(takes_settings=False)
        if given and given[0] == name:
            import_module(f"{__package__}.{module}").add(command, name)
            command.set_defaults(known=[text for action in command._actions for text in action.option_strings])
            command.usage = _usage(f"synthesize {name}", command)
    if given and not given[0].startswith("-") and given[0] not in commands.choices:
        nearest = difflib.get_close_matches(given[0], commands.choices, n=1)
        remedy = f"did you mean {nearest[0]}?" if nearest else "synthesize --help prints them"
        raise ConfigError(f"unknown bundle or command {given[0]}", remedy)
    return parser


def _usage(words: str, command: Parser) -> str:
    """What a command cannot do without, in one line: argparse would list every option."""
    shown = []
    for action in command._actions:
        name = str(action.metavar or action.dest.upper())
        if not action.option_strings:
            shown.append(f"[{name}]" if action.nargs == "?" else name)
        elif action.required:
            shown.append(f"{action.option_strings[0]} {name}")
    return " ".join([words, *shown, "[OPTION ...]"])
