"""Checks of configs: syntax, references, expressions."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from monai.bundle import ConfigParser

from common.errors import CheckpointError
from common.path_names import texts
from common.weights.safe_settings import require_safe
from tools.verify.bundle import SUFFIXES, WHOLE, Bundle, read
from tools.verify.verdicts import Fault, Found, NotApplicableError, check, one_line

MONAI = "monai.bundle.ConfigParser"
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


def leaves(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Every value of a nested configuration with its id, as MONAI writes it."""
    nested = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
    if nested is None:
        yield name, value
        return
    for key, part in nested:
        yield from leaves(part, f"{name}::{key}" if name else str(key))


def all_leaves(bundle: Bundle) -> Iterator[tuple[str, Any]]:
    """Every value of every config that can be read, with file and id, as ``configs/train.yaml network_def::depth``."""
    for path, content in bundle.readable().items():
        for name, value in leaves(content):
            yield f"configs/{path.name} {name}", value


@check("configs.readable", "zoo", f"{MONAI}, MONAI_FAIL_ON_DUPLICATE_CONFIG")
def readable(bundle: Bundle) -> Found:
    """Every config can be read and names every key once."""
    for path in bundle.config_files:
        try:
            read(path)
        except NotApplicableError as error:
            value = one_line(error.__cause__ or error, 300)
            rule = "names every key once" if "uplicate key" in value else "is a mapping in sound YAML or JSON"
            yield Fault(f"configs/{path.name}", rule, value, "correct the file")


@check("configs.numbers", "sound", "YAML 1.1: 1e-4 is a text")
def numbers(bundle: Bundle) -> Found:
    """No number is read as a text."""
    remedy = "write 1.0e-4, not 1e-4, for a number in YAML"
    for name, value in all_leaves(bundle):
        if isinstance(value, str) and NUMBER.fullmatch(value) and not name.endswith("version"):
            yield Fault(name, "is a number", f"the text {value!r}", remedy)


@check("configs.references", "zoo", MONAI)
def references(bundle: Bundle) -> Found:
    """Every @ and % refers to what exists; train and inference are each complete in one file."""
    bases = {base: _missing(bundle, base) for stem in WHOLE if (base := bundle.config(stem)) is not None}
    for path in bundle.readable():
        stacks = [bases[path] if path in bases else _missing(bundle, path)]
        if path not in bases:  # an overlay: only what its base does not lack already
            over = [(_missing(bundle, base, path), lacking) for base, lacking in bases.items()]
            stacks += [{key: found[key] for key in found.keys() - lacking} for found, lacking in over]
        found = min(stacks, key=len)
        for reference, name in found.items():
            remedy = "define it in the same file" if path in bases else "define it, or correct the reference"
            yield Fault(f"configs/{path.name} {name}", "refers to what exists", reference, remedy)


def _missing(bundle: Bundle, *files: Path) -> dict[str, str]:
    """What MONAI cannot resolve in a stack of files, each with the first id that needs it; nothing is instantiated."""
    parser = ConfigParser()
    found: dict[str, str] = {}
    try:
        parser.read_config([str(file) for file in files])
        with suppress(NotApplicableError):
            parser.read_meta(bundle.metadata)
        parser.parse(True)
    except Exception as error:
        return {one_line(error, 200): "a macro (%) or file"}
    for name in parser.get():
        try:
            parser.get_parsed_content(name, instantiate=False, eval_expr=False)
        except Exception as error:
            reference = re.search(r"@[\w:]+", str(error))
            found.setdefault(reference.group() if reference else one_line(error, 200), name)
    return found


def expressions(bundle: Bundle) -> dict[str, str]:
    """Everything in the configs that Python evaluates, by file and id."""
    return dict(_expressions(all_leaves(bundle)))


def all_expressions(bundle: Bundle) -> dict[str, str]:
    """Those of the configs, and what looks like one in any other JSON or YAML file, such as one beside weights."""
    found = expressions(bundle)
    for path in bundle.files():
        if path.suffix in SUFFIXES and path not in bundle.config_files:
            with suppress(NotApplicableError):
                place = bundle.relative(path)
                found |= _expressions((f"{place} {name}", value) for name, value in leaves(read(path)))
    return found


def _expressions(found: Iterable[tuple[str, Any]]) -> Iterator[tuple[str, str]]:
    return ((name, value) for name, value in found if isinstance(value, str) and value[:1] == "$")


@check("weights.settings", "sound", "what people exchange as data executes nothing")
def settings(bundle: Bundle) -> Found:
    """Settings in the JSON beside weights build networks, transforms and inferers, and execute nothing else."""
    about = sorted(bundle.folder.glob("models/*.json"))
    given = texts(list(bundle.readable().values()))
    for path in about:
        with suppress(NotApplicableError):
            try:
                require_safe(read(path).get("settings", {}), f"models/{path.name}: settings", given)
            except CheckpointError as error:
                place, _, value = str(error).partition(": holds data alone, but got ")
                yield Fault(place, "executes nothing", value.partition(";")[0], "train the weights again")
    yield f"{len(about)} files"


@check("configs.expressions", "sound", "configs are code")
def code(bundle: Bundle) -> Found:
    """Every $ expression is Python."""
    found = expressions(bundle)
    for name, expression in found.items():
        try:
            ast.parse(re.sub(r"@[\w:]*\w", "_", expression[1:]).strip())
        except SyntaxError as error:
            yield Fault(name, "is an expression of Python", f"{expression} ({error.msg})", "correct it")
    yield f"{len(found)} $ expressions are code that runs with the bundle (listed by --json)"
