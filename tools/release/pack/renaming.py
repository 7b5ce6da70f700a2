"""Renaming of modules in code, configs and texts of a release.

Two releases in one process share every module whose name they share. In a release the bundle's package is therefore
named by bundle and version, ``mr2ct_pix2pix_v0_1_0``, and ``common`` is a part of it.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

import yaml

from common.errors import ConfigError, DataError

SHARED = "common"
TARGET = "_target_"
VERSION = r"\d+(\.\d+)*((a|b|rc)\d+)?"
"""Versions whose dots can become underscores without two of them becoming one."""
PROSE = (tokenize.STRING, tokenize.COMMENT, getattr(tokenize, "FSTRING_MIDDLE", tokenize.STRING))
"""From Python 3.12 on, the text of an f-string is a token of its own."""
Edit = tuple[int, int, str]
"""Start and end of what is replaced, as places in the text, and the replacement."""


def package_name(bundle: str, version: str) -> str:
    """The package of a release: that of ``mr2ct_pix2pix`` 0.1.0 is ``mr2ct_pix2pix_v0_1_0``.

    Raises:
        ConfigError: for a version that is not numbers and dots.
    """
    if not re.fullmatch(VERSION, version):
        raise ConfigError(f"version {version!r} of {bundle} is not like 0.2.0", "correct it in metadata.json")
    return f"{bundle}_v{version.replace('.', '_')}"


@dataclass(frozen=True)
class Renaming:
    """Which packages are renamed, to which dotted name, and what each holds: modules and what ``__init__`` defines."""

    packages: dict[str, str]
    members: dict[str, set[str]]

    @classmethod
    def of(cls, package: str, folders: dict[str, Path]) -> Renaming:
        """The renaming into ``package`` of the bundle's own package and of ``common``, each with its folder."""
        new = {name: f"{package}.{SHARED}" if name == SHARED else package for name in folders}
        return cls(new, {name: _members(folder) for name, folder in folders.items()})

    def python(self, source: str, name: str) -> str:
        """A module with its imports, and the modules that its strings and comments name, renamed; all else as it was.

        Raises:
            DataError: where code uses the name that ``import common.x`` without ``as`` binds: it is no longer bound.
        """
        starts = _line_starts(source)
        edits: list[Edit] = []
        tree = ast.parse(source, name)
        used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        for start, module, named in _imports(source, tree):
            top = module.split(".")[0]
            if top in self.packages and not named and top in used:
                fault = f"{name} has import {module}, a module of this project without from or as"
                raise DataError(fault, "write from ... import ..., or import ... as ...")
            if top in self.packages:
                edits.append((start, start + len(top), self.packages[top]))
        for token in tokenize.generate_tokens(io.StringIO(source).readline):
            if token.type in PROSE:
                start, end = (starts[line - 1] + column for line, column in (token.start, token.end))
                edits.append((start, end, self.text(source[start:end])))
        return replaced(source, edits)

    def config(self, text: str) -> str:
        """A YAML config with every ``_target_``, every expression and every comment line renamed, its layout kept."""
        edits = [(start, end, self._value(key, text[start:end])) for key, start, end in _scalars(yaml.compose(text))]
        comments = re.finditer(r"^[ \t]*#.*$", text, re.MULTILINE)
        edits += [(match.start(), match.end(), self.text(match.group())) for match in comments]
        return replaced(text, edits)

    def _value(self, key: str, value: str) -> str:
        """The source of a scalar, which may stand in quotes."""
        return self.text(value) if key == TARGET or value.lstrip("'\"").startswith("$") else value

    def text(self, text: str) -> str:
        """Prose: modules as ``common.data``, files as ``common/data`` or as seen from the repository's root."""
        for old, new in self.packages.items():
            known = "|".join(sorted(self.members[old]))
            text = re.sub(rf"\bbundles/{old}/", "", text)
            text = re.sub(rf"(?<![\w./]){old}\.(?=({known})\b)", f"{new}.", text)
            text = re.sub(rf"(?<![\w./]){old}/(?=({known})\b)", f"{new.replace('.', '/')}/", text)
        return text


def replaced(text: str, edits: list[Edit]) -> str:
    """The text after replacements that do not overlap."""
    for start, end, new in sorted(edits, reverse=True):
        text = text[:start] + new + text[end:]
    return text


def _members(folder: Path) -> set[str]:
    tree = ast.parse((folder / "__init__.py").read_text())
    defined = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    assigned = [node for node in tree.body if isinstance(node, ast.Assign)]
    defined |= {target.id for node in assigned for target in node.targets if isinstance(target, ast.Name)}
    modules = {path.stem for path in folder.glob("*.py")} - {"__init__"}
    return defined | modules | {path.parent.name for path in folder.glob("*/__init__.py")}


def _imports(source: str, tree: ast.Module) -> Iterator[tuple[int, str, bool]]:
    """Every absolute import: place and name of the module, and whether ``as`` or ``from`` binds another name."""
    starts = _line_starts(source)
    lines = [line.encode() for line in io.StringIO(source)]  # Python counts a node's column in bytes
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            keyword = starts[node.lineno - 1] + len(lines[node.lineno - 1][: node.col_offset].decode())
            yield source.index(node.module, keyword + len("from")), node.module, True
        elif isinstance(node, ast.Import):
            for alias in node.names:
                column = len(lines[alias.lineno - 1][: alias.col_offset].decode())
                yield starts[alias.lineno - 1] + column, alias.name, alias.asname is not None


def _scalars(node: yaml.Node | None, key: str = "") -> Iterator[tuple[str, int, int]]:
    """Every scalar value with the key that it stands under and its place in the text."""
    if isinstance(node, yaml.MappingNode):
        for name, value in node.value:
            yield from _scalars(value, name.value)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            yield from _scalars(value, key)
    elif node is not None:
        yield key, node.start_mark.index, node.end_mark.index


def _line_starts(text: str) -> list[int]:
    return list(accumulate((len(line) for line in io.StringIO(text)), initial=0))
