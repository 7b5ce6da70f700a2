"""Pages of one HTML file that need no network: templates, what they take in from other files, data for scripts."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup
from PIL.Image import Image


def template(path: Path) -> Template:
    """Template that escapes what is filled in, and refuses names without a value."""
    options: dict[str, Any] = {"autoescape": True, "undefined": StrictUndefined}
    environment = Environment(loader=FileSystemLoader(path.parent), trim_blocks=True, lstrip_blocks=True, **options)
    return environment.get_template(path.name)


def as_it_is(path: Path) -> Markup:
    """Text of a style or script, which a template takes in without escaping."""
    return Markup(path.read_text(encoding="utf-8"))


def script_json(data: Any) -> str:
    """JSON that can stand in an HTML script element."""
    return json.dumps(data, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def png_of(image: Image) -> bytes:
    """An image as the content of a PNG file, as small as it gets."""
    stream = io.BytesIO()
    image.save(stream, "PNG", optimize=True)
    return stream.getvalue()


def embedded(png: bytes) -> str:
    """Address that holds a PNG."""
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")
