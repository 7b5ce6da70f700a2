"""The files of a release, by their path inside the bundle's folder."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from configparser import ConfigParser as IniParser
from pathlib import Path

import yaml
from monai.bundle import ConfigParser

from common import checkpoints
from common.errors import ConfigError
from common.trained import PRETRAINED_NAME, read_info
from common.weights_info import TRAINED_ON, sidecar
from tools.pack import archive, documents, overlay
from tools.pack.renaming import SHARED, Renaming, package_name
from tools.pack.sizes import resized
from tools.repository import bundle_names

MODEL_INFO = "model_info.json"
OVERLAID = ("train", "inference")
"""The configs that an overlay is merged into; the others are overlays themselves or a task of their own."""
PRETRAINED = "pretrained"
"""Stands for an overlay where shipped weights are packed: the settings that they need."""
WEIGHTS = "models/model*.pt"
"""The networks that inference can load. Checkpoints of training and earlier runs stay at home."""


def release(root: Path, bundle: str, overlay_name: str | None = None) -> dict[str, bytes]:
    """Every file of a bundle's release with its bytes; an overlay such as ``demo`` is merged into train and inference.

    Raises:
        ConfigError: where there is no such bundle or overlay, or the overlay cannot be merged.
        CheckpointError: where ``models/model.pt`` is damaged or is not of the network of the packed configs.
    """
    folder = root / "bundles" / bundle
    if not (folder / "configs" / "train.yaml").is_file():
        raise ConfigError("bundle", f"is one of {', '.join(bundle_names(root))}", bundle, "choose one of them")
    version = str(json.loads((folder / "configs" / "metadata.json").read_text())["version"])
    package = package_name(bundle, version)
    renaming = Renaming.of(package, {bundle: folder / bundle, SHARED: root / SHARED})
    stems = {path.stem: path.read_text() for path in sorted((folder / "configs").glob("*.yaml"))}
    pretrained = _pretrained(folder) if overlay_name is None else None
    if pretrained is not None:
        overlay_name = PRETRAINED
        stems[PRETRAINED] = overlay.of_settings(read_info(pretrained).settings, f"Trained on {TRAINED_ON}.")
    configs = dict(_configs(stems, overlay_name))
    weights = _weights(folder, configs, pretrained)
    texts = {
        **{f"{package}/{path}": text for path, text in _code(folder / bundle, renaming)},
        **{f"{package}/{SHARED}/{path}": text for path, text in _code(root / SHARED, renaming)},
        **_packed_configs(configs, renaming),
        **_documents(root, folder, renaming, configs["train"], bool(weights)),
    }
    files = {path: text.encode() for path, text in texts.items()} | _package_data(root, package) | weights
    about = {"name": bundle, "version": version, "package": package, "overlay": overlay_name}
    return files | {MODEL_INFO: _model_info(about, files)}


def pack(root: Path, bundle: str, out: Path, overlay: str | None = None) -> Path:
    """Build one bundle's :func:`release` as ``<bundle>_v<version>.zip``, in place of one of the same name.

    Raises:
        UserError: where something is missing, weights and configs do not match, or the zip cannot be written.
    """
    files = release(root, bundle, overlay)
    path = out / f"{bundle}_v{json.loads(files[MODEL_INFO])['version']}.zip"
    archive.write(path, bundle, files)
    return path


def _code(folder: Path, renaming: Renaming) -> Iterator[tuple[str, str]]:
    """Every module of a package. All of ``common`` travels: settings may name any loss or transform, and the
    commands ``python -m`` any reader; what is reached from the shipped configs alone would be less than is offered.
    """
    for path in sorted(folder.rglob("*.py")):
        place = path.relative_to(folder).as_posix()
        yield place, renaming.python(path.read_text(), str(path))


def _package_data(root: Path, package: str) -> dict[str, bytes]:
    """Files beside the modules of ``common`` that ``setup.cfg`` lists as package data."""
    setup = IniParser()
    setup.read(root / "setup.cfg")
    found = {}
    for name, patterns in setup["options.package_data"].items():
        folder = root / name.replace(".", "/")
        for path in (path for pattern in patterns.split() for path in folder.glob(pattern)):
            found[f"{package}/{path.relative_to(root).as_posix()}"] = path.read_bytes()
    return found


def _pretrained(folder: Path) -> Path | None:
    """The weights that the bundle ships, where its user has trained none."""
    path = folder / "models" / PRETRAINED_NAME
    return path if path.is_file() and not (folder / "models" / checkpoints.WEIGHTS_NAME).exists() else None


def _configs(texts: dict[str, str], overlay_name: str | None) -> Iterator[tuple[str, str]]:
    """The text of every YAML config by its stem, the overlay merged in."""
    if overlay_name is not None:
        if overlay_name not in texts:
            there = ", ".join(sorted(texts))
            raise ConfigError("--overlay", f"is one of {there}", overlay_name, "choose demo, or none")
        overlay.require_mergeable(texts[overlay_name], overlay_name, texts["train"])
    for name, text in texts.items():
        if name == PRETRAINED:
            continue
        merged = overlay_name is not None and name in OVERLAID
        yield name, overlay.merge(text, texts[str(overlay_name)], str(overlay_name)) if merged else text


def _packed_configs(configs: dict[str, str], renaming: Renaming) -> dict[str, str]:
    packed = {name: documents.head(renaming.config(text)) for name, text in configs.items()}
    twins = {f"configs/{name}.json": documents.twin(text, f"{name}.yaml") for name, text in packed.items()}
    return {f"configs/{name}.yaml": text for name, text in packed.items()} | twins


def _documents(root: Path, folder: Path, renaming: Renaming, train: str, weights: bool) -> dict[str, str]:
    kept = ["LICENSE", "docs/data_license.txt", "configs/logging.conf"]
    texts = {place: (folder / place).read_text() for place in kept}
    texts["requirements.txt"] = (root / "requirements.txt").read_text()
    texts["docs/README.md"] = documents.card(renaming.text((folder / "docs" / "README.md").read_text()), weights)
    metadata = documents.metadata((folder / "configs" / "metadata.json").read_text(), weights)
    published = (folder / "configs" / "train.yaml").read_text()
    texts["configs/metadata.json"] = metadata if train == published else resized(metadata, published, train)
    return texts


def _weights(folder: Path, configs: dict[str, str], pretrained: Path | None) -> dict[str, bytes]:
    """Weights that are there, each with its hash in a file beside it, and all of them of the packed network."""
    sources = {path.relative_to(folder).as_posix(): path for path in sorted(folder.glob(WEIGHTS))}
    found: dict[str, bytes] = {}
    if pretrained is not None:
        sources = {f"models/{checkpoints.WEIGHTS_NAME}": pretrained}
        about = sidecar(pretrained)  # by which inference knows what they were trained on
        found[about.relative_to(folder).as_posix()] = about.read_bytes()
    for place, path in sources.items():
        parser = ConfigParser(yaml.safe_load(configs["inference"]))
        checkpoints.load_weights(parser.get_parsed_content("network_def"), path)
        found[place] = path.read_bytes()
        noted = f"{hashlib.sha256(found[place]).hexdigest()}  {Path(place).name}\n"
        found[f"{place}{checkpoints.HASH_SUFFIX}"] = noted.encode()
    return found


def _model_info(about: dict[str, str | None], files: dict[str, bytes]) -> bytes:
    hashes = {path: hashlib.sha256(content).hexdigest() for path, content in sorted(files.items())}
    info = {**about, "weights": hashes.get(f"models/{checkpoints.WEIGHTS_NAME}"), "sha256": hashes}
    return (json.dumps(info, indent=4) + "\n").encode()
