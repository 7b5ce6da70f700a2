"""Which files a bundle has to have."""

from __future__ import annotations

from pathlib import PurePosixPath

from monai.bundle import ConfigParser

from tools.verify.bundle import Bundle
from tools.verify.verdicts import Check, Fault, Found, NotApplicableError

ZOO = "model zoo, verify_bundle.py: verify_bundle_directory"
SPECIFICATION = "MONAI bundle specification, directory structure"
LARGE_FILES = ("large_files.yml", "large_files.yaml", "large_files.json")


def licence(bundle: Bundle) -> Found:
    """A licence file that says something."""
    yield from _has_text(bundle, "LICENSE", "say under which licence the bundle stands")


def card(bundle: Bundle) -> Found:
    """A model card that says something."""
    yield from _has_text(bundle, "docs/README.md", "describe the model, its data, its use and its limits")


def _has_text(bundle: Bundle, name: str, remedy: str) -> Found:
    path = bundle.folder / name
    if not path.is_file() or not path.read_text(encoding="utf-8", errors="replace").strip():
        yield Fault(name, "exists and is not empty", "an empty file" if path.is_file() else "no such file", remedy)


def metadata(bundle: Bundle) -> Found:
    """Metadata that are a JSON object."""
    try:
        yield f"version {bundle.metadata.get('version')}"
    except NotApplicableError as error:
        value = str(error.__cause__ or error)
        yield Fault("configs/metadata.json", "exists and holds a JSON object", value, "write it as the schema says")


def inference(bundle: Bundle) -> Found:
    """An inference config."""
    if bundle.config("inference") is None:
        names = [path.name for path in bundle.config_files]
        yield Fault("configs/inference.yaml or .json", "exists", names, "add a config that infers on its own")


def weights(bundle: Bundle) -> Found:
    """Weights inside, or where to fetch them."""
    if (bundle.folder / "models" / "model.pt").is_file():
        return
    if held := _large_files(bundle):
        raise NotApplicableError(f"not downloaded: {', '.join(held)} (nothing is fetched here)")
    if bundle.house:
        raise NotApplicableError("no models/model.pt: untrained; inference refuses to start without")
    found = sorted(path.name for path in (bundle.folder / "models").glob("*"))
    remedy = "put the weights there or name them in large_files.yml"
    yield Fault("models/model.pt", "exists, or large_files.yml says where it is", found, remedy)


def large_files(bundle: Bundle) -> Found:
    """Download entries that are whole and stay inside the bundle."""
    for entry in _entries(bundle):
        name = f"large_files: {entry.get('path')}"
        for key in ("path", "url"):
            if not isinstance(entry.get(key), str):
                yield Fault(name, f"has a text {key}", entry.get(key), "add it")
        path = PurePosixPath(str(entry.get("path", "")).replace("\\", "/"))
        if path.is_absolute() or ".." in path.parts:
            yield Fault(name, "stays inside the bundle", path, "give a path below the bundle's folder")
        if not entry.get("hash_val"):
            yield f"{entry.get('path')} has no hash: what arrives is not checked"


def _entries(bundle: Bundle) -> list[dict[str, object]]:
    path = next((bundle.folder / name for name in LARGE_FILES if (bundle.folder / name).is_file()), None)
    if path is None:
        raise NotApplicableError("there is no large_files.yml")
    content = ConfigParser.load_config_file(path)
    return [entry for entry in content.get("large_files", []) if isinstance(entry, dict)]


def _large_files(bundle: Bundle) -> list[str]:
    try:
        return [str(entry.get("path")) for entry in _entries(bundle)]
    except NotApplicableError:
        return []


CHECKS = (
    Check("files.metadata", "configs/metadata.json is a JSON object", ZOO, "zoo", metadata),
    Check("files.license", "LICENSE says under which licence it stands", ZOO, "zoo", licence),
    Check("files.card", "docs/README.md is a model card", SPECIFICATION, "zoo", card),
    Check("files.inference", "there is an inference config", ZOO, "zoo", inference),
    Check("files.weights", "weights are inside or in large_files.yml", ZOO, "zoo", weights),
    Check("files.large_files", "large_files.yml is whole and stays inside", ZOO, "zoo", large_files),
)
