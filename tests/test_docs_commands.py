"""Every command of the documentation: its files, settings and options are those there are.

Whole trainings and servers are not started once more for each page. A command is read as the program that it names
reads it, up to the point where the work would begin.
"""

from __future__ import annotations

import argparse
import inspect
import io
import re
import runpy
import shlex
import sys
from collections.abc import Iterator
from configparser import ConfigParser as IniParser
from contextlib import redirect_stdout
from typing import NamedTuple

import monai.bundle
import pytest

from common.config import read_config
from common.raw_settings import lookup, settings_of
from medical_image_synthesis.benchmark.recipe import read_recipe
from medical_image_synthesis.catalogue import bundle_named
from medical_image_synthesis.command import COMMANDS, parser_of
from medical_image_synthesis.options import overlay_path, with_underscores
from medical_image_synthesis.options import settings_of as settings_given
from medical_image_synthesis.runs import FILES
from tools.repository import ROOT, bundle_names

ONE = "mr2ct_pix2pix"
NOT_RUN = {
    "apt-get": "installs packages of the system",
    "storescu": "of dcmtk, against servers; make pacs-test runs it",
    "sbatch": "needs a Slurm cluster",
    "cd": "a step of the shell",
    "source": "a step of the shell",
    "curl": "needs the internet or a server; make label-test runs those to MONAI Label",
    "docker": "needs a container engine; test_docker.py lints the Dockerfile, test_wheel.py builds its context",
    "build": "a program of its own, which the page installs",
    "bump-my-version": "likewise",
    "cyclonedx-py": "likewise",
    "twine": "needs a login and publishes",
    "monailabel": "run by make label-test, whose environment it needs",
    "pip": "needs an index; files and extras are checked below",
    "pre-commit": "needs the internet; what its hooks run is make lint and make types",
    "sha256sum": "a program of the system, on a download",
    "unzip": "a program of the system, on a release",
    "venv": "python's own; make does the same",
}
"""Programs whose commands are not run as they stand, with the reason."""
OF_TARGETS = {
    **{name: f"tools.{name}" for name in ("bench", "demo")},
    "dist": "tools.release.pack",
    "environment-test": "tools.checks.environment",
    "gpu-check": "tools.checks.gpu",
    "label-test": "tools.label",
    "real-check": "tools.checks.real",
    "pacs-test": "pytest",
    "test": "pytest",
}
"""The program that gets ``OPTIONS``."""
PROGRAM = re.compile(
    r"(\.\.\. (--|run )|make \w|python -m |torchrun |synthesize \w|pytest |pip install|monailabel |docker )"
)

EXAMPLES = (
    (r"^\.\.\. (?=run )", "python -m monai.bundle "),
    (r"^\.\.\. ", "python -m monai.bundle run training --config_file CONFIGS/train.yaml "),
    (r"(datalist|check) \.\.\.$", r"\1 --help"),
    (r"\[([^\]\[]*)\](?!['\"])(?<!\.\]\")", r"\1"),
    (r"\{(\w+),[\w,]+\}", r"\1"),
    (r" \.\.\.| PART\b", ""),
    (r"(?<=')\.\.\.(?=/)|\bCONFIGS\b|(?<= )configs(?=/)", "bundles/BUNDLE_NAME/configs"),
    (r"<name>(?=/)|(?<=BUNDLE=)(name|\.\.\.)|(?<=bundles/)NAME|(?<=tools\.\w{4} )NAME", "BUNDLE_NAME"),
    (r"(?<=tools\.release\.pack )NAME", "BUNDLE_NAME"),
    (r"\bOVERLAY\b(?!=)", "no_adversarial"),
    (r"tools\.<name>", "tools.release.pack"),
    (r"\b\w+_v\d+_\d+_\d+\.(?=common)", ""),
    (r"(?<= )(N|F|LOW)\b", "1"),
    (r"\bHIGH\b", "2"),
)
"""Patterns of placeholders and abbreviations on the pages, and an example for each."""


class Command(NamedTuple):
    """A command as it stands on a page."""

    page: str
    text: str


class ParsedError(Exception):
    """Raised where a program has read its options, before it works."""


def commands() -> Iterator[Command]:
    """Every line of a block, and every command in the text or a table."""
    pages = [
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
        *ROOT.glob("docs/**/*.md"),
        *ROOT.glob("bundles/*/docs/*.md"),
        *ROOT.glob("examples/*/*.md"),
    ]
    for page in sorted(pages):
        name, text = page.relative_to(ROOT).as_posix(), page.read_text()
        fenced = re.findall(r"^```(\w*)\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
        for block in (content for language, content in fenced if not language):
            for line in re.sub(r"\\\n\s*", "", block).splitlines():
                yield from (Command(name, part) for part in re.sub(r"\s+# .*", "", line).split(" && ") if part)
        for inline in re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)):
            if PROGRAM.match(inline) and not inline.endswith(" run ..."):
                yield Command(name, inline)


def words_of(command: Command) -> list[str]:
    """The words with examples in the place of placeholders, as a shell splits them."""
    bundle = command.page.split("/")[1] if command.page.startswith("bundles/") else ONE
    text = command.text
    for pattern, example in EXAMPLES:
        text = re.sub(pattern, example.replace("BUNDLE_NAME", bundle), text)
    return shlex.split(text)


def kind_of(words: list[str]) -> str:
    """What ``check`` or ``NOT_RUN`` calls the program: a module, with MONAI's command and the task that it runs."""
    if re.search(r"(^|/)python$", words[0]) and words[1] == "-m":
        if words[2] != "monai.bundle":
            return words[2]
        task = words[4] if words[3] == "run" and not words[4].startswith("--") else "inference"
        return " ".join([*words[2:4], task] if words[3] == "run" else words[2:4])
    if words[0].endswith("/python"):
        return next(word for word in words if word.endswith(".py"))
    return words[0].rsplit("/", 1)[-1]


NAMED_ALONE = (
    "tools.docs.results",
    "tools.docs.settings",
    "examples.notebook",
)
"""Programs that a page may name without their options."""


def check(words: list[str]) -> None:
    """Check what stands behind the name of the program."""
    kind = kind_of(words)
    if kind == "make":
        _check_make(words[1:])
    elif kind == "torchrun":
        check(["python", *words[words.index("-m") :]])
    elif kind.startswith("monai.bundle run"):
        _check_run(kind.rsplit(" ", 1)[1], _options(words))
    elif kind.startswith("monai.bundle "):
        function = getattr(monai.bundle, kind.split()[1])
        assert _options(words).keys() <= inspect.signature(function).parameters.keys() | {"config_file", "meta_file"}
    elif kind == "synthesize":
        _check_synthesize(words[1:])
    elif kind == "tools.demo":
        assert words[3] in bundle_names()
    elif kind in NAMED_ALONE:
        if words[3:]:  # else the page names the program, or it has no options
            _check_module(kind, words[3:])
    elif kind.startswith(("tools.", "common.", "examples.")):
        _check_module(kind, words[3:])
    elif kind in ("pip", "pytest"):
        _check_files(words)
    elif kind.startswith("examples/"):
        assert (ROOT / kind).is_file()
    else:
        assert kind in NOT_RUN, f"{kind} is no program that a page may name"


def _check_make(words: list[str]) -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = [word for word in words if "=" not in word]
    given = dict(word.split("=", 1) for word in words if "=" in word)
    assert set(targets) <= set(re.findall(r"^\.PHONY: (.*)", makefile, flags=re.MULTILINE)[0].split())
    assert [name for name in given if not re.search(rf"\$\([^()]*\b{name}\b", makefile)] == []
    assert given.get("BUNDLE", ONE) in bundle_names()
    if "OPTIONS" in given:
        check(["python", "-m", OF_TARGETS[targets[0]], *shlex.split(given["OPTIONS"])])


def _options(words: list[str]) -> dict[str, str]:
    """What stands behind each ``--name``."""
    found, rest = {}, iter(enumerate(words))
    for number, word in rest:
        if word.startswith("--"):
            found[word.removeprefix("--")] = words[number + 1]
    return found


def _check_run(task: str, given: dict[str, str]) -> None:
    """The files exist, have the task, and every other option is a setting or a new loss."""
    files = [ROOT / name for name in re.findall(r"[\w./]+\.yaml", given.pop("config_file", ""))]
    if not files:  # the page gives them elsewhere
        return
    settings = settings_of(read_config(files))
    assert task in settings, f"{task} is none of the tasks of {files}"
    assert _no_settings(given, settings) == []


def _no_settings(given: dict[str, str], settings: dict[str, object]) -> list[str]:
    """Names that are neither settings, at any depth, nor new losses."""
    new = [name for name, value in given.items() if name.startswith("losses::") and "'function'" in value]
    return [name for name in given if name not in (*settings, *new) and lookup(settings, name) is None]


def _check_synthesize(words: list[str]) -> None:
    """The command takes the words, and what is no option of it is a setting of the bundle."""
    given = with_underscores(words)
    parser = parser_of(given)
    if len(given) == 1 or "--help" in given:  # the page names the command
        return
    options, rest = parser.parse_known_args(given)
    if not options.takes_settings:
        assert rest == []
        return
    bundle = bundle_named(read_recipe(options.name).bundle) if given[0] == "benchmark" else options.bundle
    overlays = [overlay_path(bundle, path) for path in getattr(options, "overlay", [])]
    names = FILES.get(getattr(options, "of", "inference"), ("train", "evaluate"))
    settings = read_config([*map(bundle.config, names), *(path for path in overlays if path.is_file())])
    assert _no_settings(settings_given(rest), settings_of(settings)) == []


def _check_module(module: str, words: list[str]) -> None:
    """The module's own parser takes the words."""

    def parse(parser: argparse.ArgumentParser, arguments: list[str] | None = None, *_: object) -> None:
        read(parser, arguments)
        raise ParsedError

    read = argparse.ArgumentParser.parse_args
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(argparse.ArgumentParser, "parse_args", parse)
        patch.setattr(sys, "argv", [module, *words])
        patch.setattr(sys, "addaudithook", lambda hook: None)  # one that blocks the network could not be taken away
        for name in [name for name in sys.modules if name == f"{module}.__main__"]:
            patch.delitem(sys.modules, name)
        try:
            runpy.run_module(module, run_name="__main__", alter_sys=False)
        except ParsedError:
            return
        except SystemExit as end:
            if end.code or "--help" not in words:
                pytest.fail(f"{module} does not take {words}")
            return
    pytest.fail(f"{module} read no options")


def _check_files(words: list[str]) -> None:
    """Requirement files, tests and extras exist."""
    files = [words[number + 1] for number, word in enumerate(words) if word == "-r"]
    files += [word for word in words if word.startswith("tests/")]
    assert [name for name in files if not (ROOT / name).is_file()] == []
    setup = IniParser()
    setup.read(ROOT / "setup.cfg")
    extras = {extra for word in words for part in re.findall(r"^\.\[(.*)\]$", word) for extra in part.split(",")}
    assert extras <= set(setup["options.extras_require"])


ALL = sorted(set(commands()))


@pytest.mark.parametrize("command", ALL, ids=lambda command: f"{command.page}: {command.text}"[:120])
def test_every_command_is_what_its_program_takes(command: Command) -> None:
    words = [
        word for word in words_of(command) if not re.fullmatch(r"[A-Z_]+=\S+", word) or command.text[:5] == "make "
    ]
    if not words:  # sets a variable
        return
    check(words)


@pytest.mark.parametrize("name", ["", *COMMANDS, "mr2ct"])
def test_every_example_of_the_help_is_what_the_command_takes(name: str) -> None:
    given = [name] if name else []
    parser = parser_of(given)
    shown = io.StringIO()
    with redirect_stdout(shown), pytest.raises(SystemExit):
        parser.parse_args([*given, "--help"])
    examples = re.findall(r"^  synthesize (.*?)(?:   .*)?$", shown.getvalue(), flags=re.MULTILINE)
    assert examples or name == "list"
    for example in examples:
        _check_synthesize(shlex.split(example))
