"""Names for the cases of datalists without names, such as those of the Medical Segmentation Decathlon."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any

from ..errors import DataError
from ..io.reader import volume_stem


def name_cases(items: Sequence[object], file: str) -> None:
    """Give a ``case`` to the items that have none: the name of the image's file, or of its folder where files share
    a name, or both, joined. Names follow from the paths alone, whatever the order of the items.

    Args:
        items: of one datalist, as read; entries without an image are left to other checks.
        file: of the datalist, for messages.

    Raises:
        DataError: naming two images that share file and folder name.
    """
    nameless = [each for each in items if isinstance(each, dict) and "case" not in each and _image(each)]
    paths = [PurePath(_image(each)) for each in nameless]
    files, folders = [volume_stem(path) for path in paths], [path.parent.name for path in paths]
    joined = ["_".join(filter(None, (folder, name))) for folder, name in zip(folders, files, strict=True)]
    names = next((names for names in (files, folders) if len(set(names)) == len(names) and all(names)), joined)
    seen: dict[str, PurePath] = {}
    for item, name, path in zip(nameless, names, paths, strict=True):
        if name in seen:
            fault = f"{file}: file and folder give {seen[name]} and {path} the same name '{name}'"
            raise DataError(fault, "give these cases a 'case' each")
        seen[name] = path
        item["case"] = name


def _image(item: Mapping[str, Any]) -> str:
    """The path of a case's first image; empty where it has none."""
    image = item.get("image")
    first = image[0] if isinstance(image, list) and image else image
    return first if isinstance(first, str) else ""
