"""What a bundle's Python code shows without being run."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from tools.verify import configs
from tools.verify.bundle import Bundle
from tools.verify.verdicts import CONTRACT, Check, Fault, Found, NotApplicableError

SHARED = "common"
"""The package that bundles share in the repository and that a release carries under a name of its own."""


def _trees(bundle: Bundle) -> Iterator[tuple[str, ast.Module]]:
    if not bundle.sources:
        raise NotApplicableError("no Python code inside")
    for path in bundle.sources:
        try:
            yield str(path.relative_to(bundle.folder)), ast.parse(path.read_bytes())
        except (SyntaxError, ValueError):
            continue  # code.syntax says so


def syntax(bundle: Bundle) -> Found:
    """Files that this Python can parse."""
    if not bundle.sources:
        raise NotApplicableError("no Python code inside")
    for path in bundle.sources:
        try:
            ast.parse(path.read_bytes())
        except (SyntaxError, ValueError) as error:
            yield Fault(str(path.relative_to(bundle.folder)), "is sound Python", error, "mend it")


def pickles(bundle: Bundle) -> Found:
    """No call that executes what a file of weights or data holds."""
    for name, tree in _trees(bundle):
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and (call := _unsafe(node)):
                remedy = "load tensors alone: torch.load(..., weights_only=True)"
                yield Fault(f"{name}:{node.lineno}", "executes no pickle", call, remedy)
    for entry in configs.expressions(bundle):
        if "weights_only=False" in entry["expression"].replace(" ", ""):
            name = f"configs/{entry['file']} {entry['id']}"
            yield Fault(name, "executes no pickle", entry["expression"], "load tensors alone")


def _unsafe(call: ast.Call) -> str | None:
    called = ast.unparse(call.func)
    options = {word.arg: ast.unparse(word.value) for word in call.keywords}
    if called in ("pickle.load", "pickle.loads", "pickle.Unpickler", "joblib.load"):
        return called
    for option, value in (("weights_only", "False"), ("allow_pickle", "True")):
        if options.get(option) == value and called.endswith("load"):
            return f"{called}({option}={value})"
    return None


def vendored(bundle: Bundle) -> Found:
    """A release runs its own copy of the shared package, whatever else is installed or loaded."""
    if not bundle.packed:
        raise NotApplicableError("not a packed bundle: the shared package is imported from the repository")
    remedy = f"pack the bundle anew: it carries {SHARED} inside its own package"
    for name, tree in _trees(bundle):
        for node in ast.walk(tree):
            if any(module.split(".")[0] == SHARED for module in _imported(node)):
                yield Fault(f"{name}:{getattr(node, 'lineno', 0)}", f"imports no {SHARED}", ast.unparse(node), remedy)
    for path in bundle.config_files:
        for key, value in configs.leaves(bundle.own(path)):
            if key.endswith("_target_") and str(value).split(".")[0] == SHARED:
                yield Fault(f"configs/{path.name} {key}", f"uses no {SHARED}", value, remedy)


def _imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and not node.level:
        return [node.module or ""]
    return []


def module_names(bundle: Bundle) -> list[str]:
    """Every module of the bundle's packages; a ``__main__`` would run."""
    paths: list[Path] = [path.relative_to(bundle.folder) for path in bundle.sources]
    inside = [path.with_suffix("") for path in paths if path.parts[0] in bundle.packages and path.stem != "__main__"]
    return sorted(".".join(path.parts).removesuffix(".__init__") for path in inside)


CHECKS = (
    Check("code.syntax", "every Python file can be parsed", "Python", "sound", syntax),
    Check("code.pickles", "no pickle is executed", "torch: weights_only", "sound", pickles),
    Check("code.vendored", f"a release imports no top-level {SHARED}", CONTRACT, "house", vendored),
)
