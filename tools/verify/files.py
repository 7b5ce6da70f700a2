"""Checks of the files that a bundle needs."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any

from monai.bundle import ConfigParser

from tools.verify.bundle import Bundle
from tools.verify.verdicts import Fault, Found, NotApplicableError, check

ZOO = "model zoo, verify_bundle.py: verify_bundle_directory"
LARGE_FILES = ("large_files.yml", "large_files.yaml", "large_files.json")


@check("files.texts", "zoo", ZOO)
def texts(bundle: Bundle) -> Found:
    """LICENSE and the model card docs/README.md are there and not empty."""
    for name in ("LICENSE", "docs/README.md"):
        if not bundle.text(name).strip():
            value = "an empty file" if (bundle.folder / name).is_file() else "no such file"
            yield Fault(name, "exists and is not empty", value, "state licence, use and limits of the model")


@check("files.metadata", "zoo", ZOO)
def metadata(bundle: Bundle) -> Found:
    """configs/metadata.json is a JSON object."""
    try:
        yield f"version {bundle.metadata.get('version')}"
    except NotApplicableError as error:
        value = str(error.__cause__ or error)
        yield Fault("configs/metadata.json", "exists and holds a JSON object", value, "write it as the schema asks")


@check("files.inference", "zoo", ZOO)
def inference(bundle: Bundle) -> Found:
    """There is an inference config."""
    if bundle.config("inference") is None:
        names = [path.name for path in bundle.config_files]
        yield Fault("configs/inference.yaml or .json", "exists", names, "add a config that infers on its own")


@check("files.weights", "zoo", ZOO)
def weights(bundle: Bundle) -> Found:
    """Weights are inside, or large_files.yml names where they are and stays inside the bundle."""
    entries = _entries(bundle)
    for entry in entries:
        name = f"large_files: {entry.get('path')}"
        for key in ("path", "url"):
            if not isinstance(entry.get(key), str):
                yield Fault(name, f"has a text {key}", entry.get(key), "add it")
        path = PurePosixPath(str(entry.get("path", "")).replace("\\", "/"))
        if path.is_absolute() or ".." in path.parts:
            yield Fault(name, "stays inside the bundle", path, "give a path below the bundle's folder")
    if (bundle.folder / "models" / "model.pt").is_file():
        return
    if held := [f"{entry.get('path')}{'' if entry.get('hash_val') else ' (no hash)'}" for entry in entries]:
        raise NotApplicableError(f"not downloaded: {', '.join(held)} (nothing is fetched here)")
    if bundle.house:
        raise NotApplicableError("no models/model.pt: untrained; inference refuses to start without")
    found = sorted(path.name for path in (bundle.folder / "models").glob("*"))
    remedy = "put the weights there or name them in large_files.yml"
    yield Fault("models/model.pt", "exists, or large_files.yml says where it is", found, remedy)


def _entries(bundle: Bundle) -> list[dict[str, Any]]:
    found = [bundle.folder / name for name in LARGE_FILES if (bundle.folder / name).is_file()]
    listed = [entry for path in found for entry in ConfigParser.load_config_file(path).get("large_files", [])]
    return [entry for entry in listed if isinstance(entry, dict)]
