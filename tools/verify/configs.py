"""Whether configs can be read, refer to what exists, and what of them is code."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from monai.bundle import ConfigParser, ReferenceResolver

from tools.verify.bundle import WHOLE, Bundle
from tools.verify.verdicts import Check, Fault, Found, NotApplicableError

MONAI = "monai.bundle.ConfigParser"
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
DUPLICATE = "uplicate key"


def leaves(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Every value of a nested configuration with its id, as MONAI writes it."""
    nested = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
    if nested is None:
        yield name, value
        return
    for key, part in nested:
        yield from leaves(part, f"{name}::{key}" if name else str(key))


def readable(bundle: Bundle) -> Found:
    """Files that the parser reads."""
    for path, error in _unreadable(bundle):
        if DUPLICATE not in error:
            yield Fault(f"configs/{path.name}", "is a mapping in sound YAML or JSON", error, "mend the file")


def duplicates(bundle: Bundle) -> Found:
    """MONAI lets the last of two equal keys win with a mere warning."""
    for path, error in _unreadable(bundle):
        if DUPLICATE in error:
            yield Fault(f"configs/{path.name}", "names every key once", error, "remove one of the two")


def _unreadable(bundle: Bundle) -> Iterator[tuple[Path, str]]:
    for path in bundle.config_files:
        try:
            bundle.own(path)
        except NotApplicableError as error:
            yield path, " ".join(str(error.__cause__ or error).split())[:300]


def _read(bundle: Bundle) -> Iterator[tuple[Path, dict[str, Any]]]:
    for path in bundle.config_files:
        try:
            yield path, bundle.own(path)
        except NotApplicableError:
            continue  # configs.readable says so


def numbers(bundle: Bundle) -> Found:
    """YAML reads 1e-4 as a text."""
    for path, content in _read(bundle):
        for name, value in leaves(content):
            if isinstance(value, str) and NUMBER.fullmatch(value) and not name.endswith("version"):
                remedy = "write 1.0e-4, not 1e-4, for a number in YAML"
                yield Fault(f"configs/{path.name} {name}", "is a number", f"the text {value!r}", remedy)


def references(bundle: Bundle) -> Found:
    """Every ``@id`` and ``%id`` exists, in the file or in the one that it lies over."""
    for path, _ in _read(bundle):
        missing = [_missing(bundle, files) for files in _stacks(bundle, path)]
        for name, reference in min(missing, key=len):
            remedy = "define it, or mend the reference"
            yield Fault(f"configs/{path.name} {name}", "refers to what exists", reference, remedy)


def _stacks(bundle: Bundle, path: Path) -> list[list[Path]]:
    """A file by itself; and, unless it is complete by itself, over those that are."""
    if path.stem in WHOLE:
        return [[path]]
    bases = [base for stem in WHOLE if (base := bundle.config(stem)) is not None]
    return [[path], *([base, path] for base in bases)]


def _missing(bundle: Bundle, files: list[Path]) -> list[tuple[str, str]]:
    parser = ConfigParser()
    try:
        parser.read_config([str(file) for file in files])
        parser.read_meta(bundle.metadata)
        parser.resolve_macro_and_relative_ids()
    except NotApplicableError:
        pass  # without metadata
    except Exception as error:
        return [("a macro (%) or file", " ".join(str(error).split())[:200])]
    meta = ConfigParser.meta_key
    found = []
    for name, value in leaves({key: part for key, part in parser.get().items() if key != meta}):
        if isinstance(value, str) and value[:1] in "@$":
            wanted = ReferenceResolver.match_refs_pattern(value)
            found += [(name, f"@{reference}") for reference in wanted if not _has(parser, reference)]
    return found


def _has(parser: ConfigParser, reference: str) -> bool:
    """Whether an id is defined, or lies inside something that is a component or an expression."""
    if reference in parser:
        return True
    parts = ReferenceResolver.split_id(reference)
    for end in range(len(parts) - 1, 0, -1):
        outer = "::".join(parts[:end])
        if outer in parser:
            return isinstance(parser[outer], str) and str(parser[outer])[:1] in "$@"
    return False


def expressions(bundle: Bundle) -> list[dict[str, str]]:
    """Everything in the configs that Python evaluates: file, id and the expression itself."""
    found = []
    for path, content in _read(bundle):
        values = [(name, value) for name, value in leaves(content) if isinstance(value, str) and value[:1] == "$"]
        found += [{"file": path.name, "id": name, "expression": value} for name, value in values]
    return found


def code(bundle: Bundle) -> Found:
    """Expressions that Python can parse; their number, since configs are code."""
    found = expressions(bundle)
    for entry in found:
        text = re.sub(r"@[\w:]*\w", "_", entry["expression"][1:]).strip()
        try:
            ast.parse(text)
        except SyntaxError as error:
            name = f"configs/{entry['file']} {entry['id']}"
            yield Fault(name, "is an expression of Python", f"{entry['expression']} ({error.msg})", "mend it")
    yield f"{len(found)} $ expressions are code that runs with the bundle (listed by --json)"


def inference_alone(bundle: Bundle) -> Found:
    """Label, Deploy and the zoo load one file by itself."""
    for stem in ("inference", "train"):
        path = bundle.config(stem)
        if path is None:
            continue
        for name, reference in _missing(bundle, [path]):
            remedy = "what it refers to must stand in the same file"
            yield Fault(f"configs/{path.name} {name}", "is complete in its file", reference, remedy)


CHECKS = (
    Check("configs.readable", "every config can be read", MONAI, "zoo", readable),
    Check("configs.duplicates", "no key stands twice", "MONAI_FAIL_ON_DUPLICATE_CONFIG", "sound", duplicates),
    Check("configs.numbers", "no number is read as a text", "YAML 1.1: 1e-4 is a text", "sound", numbers),
    Check("configs.references", "every @ and % refers to what exists", MONAI, "sound", references),
    Check("configs.complete", "train and inference are each complete in one file", MONAI, "zoo", inference_alone),
    Check("configs.expressions", "every $ expression is Python", "configs are code", "sound", code),
)
