"""The site of ``make docs``: the repository's pages at their places, and an API reference from docstrings."""

from __future__ import annotations

import ast
import re
import shutil
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from posixpath import normpath
from pydoc import locate
from typing import Any

from docutils.nodes import Element, TextElement
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

ROOT = Path(__file__).resolve().parents[2]
INDEX = ROOT / "docs" / "README.md"
"""Its headings and links are the navigation."""
API = ROOT / "docs" / "api"
"""Generated pages, one a room of ``common`` and one a bundle."""

project = "MONAI bundles for medical image synthesis"
html_title = project
html_theme = "furo"
html_theme_options = {"announcement": "For research; not for clinical use."}
html_static_path = ["site.css"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_copyright = False
root_doc = "README"
include_patterns = ["*.md", "docs/**.md", "docs/api/*.rst", "bundles/*/docs/README.md", "examples/*/README.md"]
exclude_patterns = [".*", "build", "common", "dist", "tests", "tools", "bundles/*/demo*"]
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
highlight_language = "bash"
myst_heading_anchors = 4
nitpicky = True
nitpick_ignore_regex = [
    (r"py:.*", r"((argparse|collections|ignite|monai|numpy|pathlib|pydicom|torch)\..*|NotComputableError)"),
    (r"py:(data|attr|obj)", ".*"),
]
autodoc_inherit_docstrings = False
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # docstrings give shapes, ranges and units
napoleon_use_ivar = True
toc_object_entries = False


def setup(app: Sphinx) -> None:
    """Write the pages of the API, add the navigation and find names where they are defined."""
    shutil.rmtree(API, ignore_errors=True)
    API.mkdir()
    _write("common", ROOT.glob("common/*.py"))
    bundles = (path for path in ROOT.glob("bundles/*/*/__init__.py") if not path.parent.is_symlink())
    for package in (*ROOT.glob("common/*/__init__.py"), *bundles):
        _write(_name(package), package.parent.rglob("*.py"))
    app.connect("source-read", _navigation)
    app.connect("autodoc-skip-member", _skipped)
    app.connect("autodoc-process-docstring", _escaped, priority=400)  # before napoleon
    app.connect("missing-reference", _elsewhere)
    app.connect("build-finished", _index)


def _write(title: str, paths: Iterable[Path]) -> None:
    modules = {_name(path): ast.parse(path.read_text()).body for path in sorted(paths)}
    headings = (f"{name}\n{'=-'[name != title] * len(name)}\n\n" for name in modules)
    texts = (heading + _members(*module) for heading, module in zip(headings, modules.items(), strict=True))
    (API / f"{title}.rst").write_text("\n".join(texts))


def _name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[2:] if parts[0] == "bundles" else parts).removesuffix(".__init__")


def _members(module: str, body: list[ast.stmt]) -> str:
    """What a module defines, and links to what it takes from others to be imported from it."""
    own = [node.name for node in body if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name[0] != "_"]
    lists = [node for node in body if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"]
    taken = [name for node in lists for name in ast.literal_eval(node.value) if name not in own and not name.isupper()]
    links = ", ".join(f":py:obj:`{name} <{module}.{name}>`" for name in taken)
    members = f"   :members: {', '.join(own)}\n" if own else ""
    return f".. automodule:: {module}\n{members}\n{links}\n"


def _navigation(app: Sphinx, name: str, content: list[str]) -> None:
    if name == root_doc:
        content[0] += _toctree("", "All pages <docs/README>")
        for part in INDEX.read_text().split("\n## ")[1:]:
            links = re.findall(r"\[(.+?)\]\((.+?)\.md\)", part)
            pages = [f"{title} <{normpath(f'docs/{page}')}>" for title, page in links]
            content[0] += _toctree(part.splitlines()[0], *pages)
        pages = sorted(f"docs/api/{path.stem}" for path in API.glob("*.rst"))
        content[0] += _toctree("API of common", *(page for page in pages if page.startswith("docs/api/common")))
        content[0] += _toctree("API of bundles", *(page for page in pages if not page.startswith("docs/api/common")))


def _toctree(caption: str, *pages: str) -> str:
    return "\n".join(["\n```{toctree}", ":hidden:", f":caption: {caption}" if caption else "", "", *pages, "```\n"])


def _skipped(app: Sphinx, kind: str, name: str, member: Any, skip: bool, options: Any) -> bool | None:
    """Leave out fields, which the docstring of their class describes; show calls."""
    if name == "__call__":
        return not member.__doc__
    return None if callable(member) or isinstance(member, property | cached_property) else True


def _escaped(app: Sphinx, kind: str, name: str, member: Any, options: Any, lines: list[str]) -> None:
    """The bars of a magnitude are no substitution, and what stands before a colon in a property is no type."""
    lines[:] = [*(["\\"] if kind == "property" else []), *(line.replace("|", r"\|") for line in lines)]


def _elsewhere(app: Sphinx, env: BuildEnvironment, node: Element, text: TextElement) -> Element | None:
    """A name as it is imported leads to where it is defined."""
    target = node["reftarget"]
    found = locate(target) or locate(f"{node.get('py:module')}.{target}")
    if node.get("refdomain") != "py" or not hasattr(found, "__qualname__"):
        return None
    place = f"{found.__module__}.{found.__qualname__}"
    return env.domains["py"].resolve_xref(env, node["refdoc"], app.builder, node["reftype"], place, node, text)


def _index(app: Sphinx, error: Exception | None) -> None:
    if error is None:
        shutil.copy(Path(app.outdir) / f"{root_doc}.html", Path(app.outdir) / "index.html")
