"""Mutations of JSON files: the text itself, and keys and values at any depth."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any

Place = tuple[str | int, ...]
VALUES: Sequence[Any] = (
    None, True, 0, -1, 2.5, 1e308, 2**70, "", "text", "größe µ😀", "x" * 5000, [], {}, [None], {"a": 1}, [[[]]],
    "../../../etc/passwd", "/dev/null", "@missing", "\u0000", "nan", "line\nbreak", "-1",
)  # fmt: skip
DEPTH = 100_000
TEXTS: Sequence[tuple[str, bytes]] = (
    ("empty", b""),
    ("not UTF-8", b'{"a": "\xff\xfe"}'),
    ("no JSON", b"{"),
    ("a number", b"7"),
    ("a list", b"[]"),
    ("null", b"null"),
    ("an empty object", b"{}"),
    ("UTF-16", "{}".encode("utf-16")),
    ("nested deeply", b"[" * DEPTH + b"]" * DEPTH),
    ("a huge number", b'{"a": ' + b"9" * 6000 + b"}"),
)


def places(tree: Any, here: Place = ()) -> Iterator[Place]:
    """Every place below the root, sections before what they hold."""
    parts = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in parts:
        yield (*here, key)
        yield from places(value, (*here, key))


def at(tree: Any, place: Place) -> Any:
    for part in place:
        tree = tree[part]
    return tree


def named(place: Place) -> str:
    return "::".join(map(str, place))


def mutated(
    content: bytes, rng: random.Random, among: Callable[[Place], bool] = lambda place: True
) -> tuple[bytes, str, Place]:
    """The content of a JSON file after one change, the change in words, and its place; the root for the whole text.

    Args:
        content: of the file.
        rng: decides.
        among: whether a place may be chosen.
    """
    if rng.random() < 0.15:
        what, text = rng.choice(TEXTS)
        return text, what, ()
    if rng.random() < 0.1:
        end = rng.randrange(len(content))
        return content[:end], f"text cut after {end} bytes", ()
    tree = copy.deepcopy(json.loads(content))
    place = rng.choice([place for place in places(tree) if among(place)])
    what = _change(tree, place, rng)
    return json.dumps(tree, indent=1).encode(), f"{named(place)}: {what}", place


def _change(tree: Any, place: Place, rng: random.Random) -> str:
    holder, key = at(tree, place[:-1]), place[-1]
    how = rng.choice(("removed", "other", "other", "other", "renamed", "nested", "listed twice"))
    if how == "renamed" and isinstance(key, str):
        name = key[:-1] if len(key) > 2 else f"{key}x"
        holder[name] = holder.pop(key)
        return f"renamed {name}"
    if how == "removed" and isinstance(key, str):
        del holder[key]
        return "removed"
    if how == "nested":
        holder[key] = rng.choice((lambda value: [value], lambda value: {"value": value}))(holder[key])
        return "put into another level"
    if how == "listed twice" and isinstance(key, int):
        holder.insert(key, copy.deepcopy(holder[key]))
        return "listed twice"
    different = [value for value in VALUES if type(value) is not type(holder[key])]
    holder[key] = rng.choice(different)
    return f"is {str(holder[key])[:40]!r} ({type(holder[key]).__name__})"
