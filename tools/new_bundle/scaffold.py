"""The files of a new bundle: those of another one under a new name, without its weights, results and history."""

from __future__ import annotations

import json
import re
from pathlib import Path
from string import Template

from tools.release.pack.documents import DATA_AND_WEIGHTS

VERSION = "0.1.0"
TAKEN = ("LICENSE", "configs", "docs")
"""What is taken from the other bundle, with its package."""
CONFIGS = ("train", "demo", "evaluate", "inference", "multi_gpu_train", "no_adversarial")
"""Configs that are taken, with the modules that they need; other overlays are of the other bundle."""
LEFT_OUT = ("pretrained*", "*.pyc", ".*")
"""Names that belong to weights, caches and editors."""
CARD = "docs/README.md"
NOT_MEASURED = "# Time and result are not measured yet; those of {like} do not carry over."


def files(like: Path, name: str) -> dict[str, bytes]:
    """Every file of the new bundle by its path in it; ``like`` is the folder of the one that it is made from."""
    version = str(json.loads((like / "configs" / "metadata.json").read_text(encoding="utf-8"))["version"])
    found, modules = {}, used_modules(like)
    for path in sorted(like.rglob("*")):
        place = path.relative_to(like)
        left_out = any(Path(part).match(pattern) for part in place.parts for pattern in LEFT_OUT)
        left_out |= path.suffix == ".yaml" and path.stem not in CONFIGS
        left_out |= path.suffix == ".py" and path not in modules
        if path.is_file() and place.parts[0] in (*TAKEN, like.name) and not left_out:
            found[renamed(place.as_posix(), like.name, name)] = _content(path, like.name, name, version)
    metadata = found["configs/metadata.json"].decode()
    found["configs/metadata.json"] = reset_metadata(metadata, like.name, name).encode()
    found[CARD] = card(like.name, name).encode()
    return found


def used_modules(like: Path) -> set[Path]:
    """Modules of a bundle that the taken configs name, and those that these import; of a package in it all."""
    package = like / like.name
    found, todo = {package / "__init__.py"}, [like / "configs" / f"{name}.yaml" for name in CONFIGS]
    while todo:
        text = path.read_text(encoding="utf-8") if (path := todo.pop()).is_file() else ""
        for name in set(re.findall(rf"\b{re.escape(like.name)}\.(\w+)", text)):
            named = {package / f"{name}.py", *(package / name).rglob("*.py")} - found
            todo += named
            found |= named
    return found


def renamed(text: str, like: str, name: str) -> str:
    """A text in which the new bundle's name stands for the other's, wherever that is a whole word."""
    return re.sub(rf"\b{re.escape(like)}\b", name, text)


def _content(path: Path, like: str, name: str, version: str) -> bytes:
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:  # a picture
        return path.read_bytes()
    text = renamed(text.replace(f"{like} {version}", f"{like} {VERSION}"), like, name)
    if path.suffix == ".yaml":  # time and result are in the third line
        text = re.sub(r"\A(#.*\n#.*\n)#.*", rf"\g<1>{NOT_MEASURED.format(like=like)}", text)
    return text.encode()


def reset_metadata(text: str, like: str, name: str) -> str:
    """``metadata.json`` with the name and the first version of the new bundle, its layout kept."""
    history = json.dumps({VERSION: f"first version, made from {like}"})
    text = re.sub(r'^( *)"version": "[^"]*"', rf'\1"version": "{VERSION}"', text, count=1, flags=re.MULTILINE)
    text = re.sub(r'"changelog": \{[^}]*\}', lambda _: f'"changelog": {history}', text, count=1)
    text = re.sub(r'^( *)"name": "[^"]*"', rf'\1"name": "{name}"', text, count=1, flags=re.MULTILINE)
    no_weights, *with_weights = DATA_AND_WEIGHTS
    return re.sub("|".join(with_weights), no_weights, text)


def card(like: str, name: str) -> str:
    """The skeleton of the model card."""
    text = (Path(__file__).parent / "card.md.in").read_text(encoding="utf-8")
    return Template(text).substitute(name=name, like=like)
