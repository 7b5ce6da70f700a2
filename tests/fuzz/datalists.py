"""Mutations of datalists: keys, types, paths and sections."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping
from typing import Any

from tests.fuzz import json_trees
from tests.fuzz.mutation import Mutation, Rule, Target

NAMES = (
    "",
    ".",
    "..",
    "../victim",
    "/tmp/victim",
    "a/b",
    "größe µ😀",
    "x" * 300,
    "con",
    "a\u0000b",
    "a\nb",
    "-",
    "\ud800",
)
PATHS = (
    "", ".", "..", "/", "gone.nii.gz", "data", "../in/data/phantom_000/mr.nii.gz", "list.json", "/dev/null",
    "data/phantom_000/mr.nii.gz\u0000", "https://example.org/mr.nii.gz", "run/models/model.pt", "\ud800.nii.gz", "~",
)  # fmt: skip


def mutate(rng: random.Random, target: Target) -> Mutation:
    """Change the datalist of a command."""
    path = target.inputs / "list.json"
    if rng.random() < 0.5:
        content, what, place = json_trees.mutated(path.read_bytes(), rng)
        path.write_bytes(content)
        is_nameless = place[-1:] == ("case",) and what.endswith("removed")  # then it has the name of its image
        return Mutation("datalist json", f"list.json, {what}", Rule.FINITE if is_nameless else Rule.SAME)
    datalist = json.loads(path.read_text())
    what, rule, case = _change(datalist, rng)
    path.write_text(json.dumps(datalist))
    return Mutation("datalist content", f"list.json: {what}", rule, case)


def _change(datalist: dict[str, Any], rng: random.Random) -> tuple[str, Rule, str]:
    items = datalist["test"]
    item, other = rng.sample(items, 2)
    name, path, key = rng.choice(NAMES), rng.choice(PATHS), rng.choice(("image", "label", "mask"))
    ways: Mapping[str, tuple[Callable[[], object], Rule]] = {
        f"case named {name[:30]!r}": (lambda: item.update(case=name), Rule.SAME),
        f"{key} at {path!r}": (lambda: item.update({key: path}), Rule.SAME),
        "the same case twice": (lambda: item.update(case=other["case"]), Rule.REFUSED),
        "names differ in upper and lower case alone": (lambda: item.update(case=other["case"].upper()), Rule.SAME),
        "a case removed": (lambda: items.remove(item), Rule.SAME),
        "no case": (items.clear, Rule.REFUSED),
        "an unknown section": (lambda: datalist.update(tset=datalist.pop("test")), Rule.REFUSED),
        "sections exchanged": (lambda: datalist.update(training=datalist.pop("test")), Rule.SAME),
        "a patient in two sections": (lambda: datalist.update(training=[{**item, "case": "third"}]), Rule.SAME),
        "the image as its label": (lambda: item.update(label=item["image"]), Rule.SAME),
        "a list of images": (lambda: item.update(image=[item["image"], item["image"]]), Rule.SAME),
        "an empty list of images": (lambda: item.update(image=[]), Rule.REFUSED),
        "an unknown key": (lambda: item.update(imgae="x"), Rule.REFUSED),
        "a case more": (lambda: items.append({**item, "case": "more"}), Rule.SAME),
    }
    what = rng.choice(list(ways))
    change, rule = ways[what]
    case = item["case"]
    change()
    only = {"a case more": "more", "a case removed": case}
    return f"{case}: {what}", rule, case if what.startswith(key) else only.get(what, "")
