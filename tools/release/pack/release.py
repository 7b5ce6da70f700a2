"""The files of a release, by their path inside the bundle's folder."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from monai.bundle import ConfigParser

from common.errors import ConfigError
from common.trust.record import path_of as calibration_of
from common.weights import checkpoints
from common.weights.info import IMAGES, WeightsInfo, as_text, bundle_metadata, read_info, sidecar
from common.weights.shipped import SHIPPED_PREFIX, shipped_weights
from tools.release.pack import archive, documents, overlay
from tools.release.pack.packages import Packages, package_name
from tools.release.pack.sizes import resized
from tools.repository import bundle_names

MODEL_INFO = "model_info.json"
OVERLAID = ("train", "inference")
"""The configs that an overlay is merged into; the others are overlays themselves or a task of their own."""
WEIGHTS = "models/model*.pt"
"""The networks that inference can load. Checkpoints of training and earlier runs stay at home."""
MODEL = f"models/{checkpoints.WEIGHTS_NAME}"


def release(root: Path, bundle: str, overlay_name: str | None = None, run: Path | None = None) -> dict[str, bytes]:
    """Every file of a bundle's release with its bytes.

    Weights give train and inference the settings that they were trained with.

    Args:
        root: of the repository.
        bundle: its name.
        overlay_name: such as ``demo``, which is merged into train and inference instead.
        run: the folder of the training whose weights are packed; by default the bundle's own.

    Raises:
        ConfigError: where there is no such bundle or overlay, or the overlay cannot be merged.
        CheckpointError: where ``models/model.pt`` is damaged or is not of the network of the packed configs.
    """
    folder = root / "bundles" / bundle
    if not (folder / "configs" / "train.yaml").is_file():
        raise ConfigError(f"no bundle {bundle}", f"choose one of {', '.join(bundle_names(root))}")
    version = str(bundle_metadata(folder)["version"])
    packages = Packages(root, bundle, package_name(bundle, version))
    stems = {path.stem: path.read_text() for path in sorted((folder / "configs").glob("*.yaml"))}
    sources = weights_of(folder, run or folder)
    if overlay_name is None and sources:
        overlay_name, about = overlay.WEIGHTS, read_info(sources[MODEL])
        configs = stems | {name: overlay.of_weights(about, stems[name]) for name in OVERLAID}
    else:
        configs = dict(_configs(stems, overlay_name))
    weights = _weights(sources, configs)
    texts = {
        **_packed_configs(configs, packages),
        **_documents(folder, packages, configs["train"], bool(weights) and not _is_shipped(sources)),
    }
    files = packages.files() | {path: text.encode() for path, text in texts.items()} | weights
    info = {"name": bundle, "version": version, "package": packages.name, "overlay": overlay_name}
    return files | {MODEL_INFO: model_info(info, files)}


def pack(root: Path, bundle: str, out: Path, overlay: str | None = None, run: Path | None = None) -> Path:
    """Build one bundle's :func:`release` as a zip; see :func:`write_zip`."""
    return write_zip(release(root, bundle, overlay, run), out)


def write_zip(files: Mapping[str, bytes], out: Path) -> Path:
    """Write a release as ``<bundle>_v<version>.zip``, in place of one of the same name.

    Raises:
        OutputError: where the zip cannot be written.
    """
    about = json.loads(files[MODEL_INFO])
    path = out / f"{about['name']}_v{about['version']}.zip"
    archive.write(path, about["name"], files)
    return path


def origin_of_weights(files: Mapping[str, bytes]) -> str:
    """What the weights of a release were trained on, in words; that there are none, where that is so."""
    if MODEL not in files:
        return "no weights: nothing was trained, and the bundle ships none"
    trained_on = json.loads(files[sidecar(Path(MODEL)).as_posix()])["trained_on"]
    return f"weights trained on {trained_on.get('data', IMAGES)}"


def weights_of(folder: Path, run: Path) -> dict[str, Path]:
    """The weights to pack by their place in the release: those trained here, else those that the bundle ships."""
    own = {path.relative_to(run).as_posix(): path for path in sorted(run.glob(WEIGHTS))}
    if run != folder:
        checkpoints.require_same_hash(run / MODEL)
    shipped = shipped_weights(folder)
    return {MODEL: shipped, **own} if shipped.is_file() and MODEL not in own else own


def _is_shipped(sources: dict[str, Path]) -> bool:
    """Whether the weights are those of the repository, which its documents describe already."""
    return sources[MODEL].name.startswith(SHIPPED_PREFIX)


def _configs(texts: dict[str, str], overlay_name: str | None) -> Iterator[tuple[str, str]]:
    """The text of every YAML config by its stem, the overlay merged in."""
    if overlay_name is not None:
        if overlay_name not in texts:
            raise ConfigError(f"no overlay {overlay_name} among {', '.join(sorted(texts))}", "choose demo, or none")
        overlay.require_mergeable(texts[overlay_name], overlay_name, texts["train"])
    for name, text in texts.items():
        merged = overlay_name is not None and name in OVERLAID
        yield name, overlay.merge(text, texts[str(overlay_name)], str(overlay_name)) if merged else text


def _packed_configs(configs: dict[str, str], packages: Packages) -> dict[str, str]:
    packed = {name: documents.head(packages.text(text)) for name, text in configs.items()}
    twins = {f"configs/{name}.json": documents.twin(text, f"{name}.yaml") for name, text in packed.items()}
    return {f"configs/{name}.yaml": text for name, text in packed.items()} | twins


def _documents(folder: Path, packages: Packages, train: str, own_weights: bool) -> dict[str, str]:
    kept = ["LICENSE", "docs/data_license.txt", "configs/logging.conf"]
    texts = {place: (folder / place).read_text() for place in kept}
    texts["requirements.txt"] = (packages.root / "requirements.txt").read_text()
    texts["docs/README.md"] = documents.card(packages.text((folder / "docs" / "README.md").read_text()), own_weights)
    metadata = documents.metadata((folder / "configs" / "metadata.json").read_text(), own_weights)
    published = (folder / "configs" / "train.yaml").read_text()
    texts["configs/metadata.json"] = metadata if train == published else resized(metadata, published, train)
    return texts


def _weights(sources: dict[str, Path], configs: dict[str, str]) -> dict[str, bytes]:
    """Weights that are there, each with what is known of it and its calibration, all of the packed network."""
    found: dict[str, bytes] = {}
    for place, path in sources.items():
        about, config = read_info(path), yaml.safe_load(configs["inference"])
        about.require_safe()
        _require_same_network(about, config)
        parser = ConfigParser({**config, **about.settings})
        checkpoints.load_weights(parser.get_parsed_content("network_def"), path)
        found[place] = path.read_bytes()
        found[sidecar(Path(place)).as_posix()] = _metadata(about).encode()
        if calibration_of(path).is_file():
            found[calibration_of(Path(place)).as_posix()] = calibration_of(path).read_bytes()
    return found


def _require_same_network(about: WeightsInfo, config: dict[str, Any]) -> None:
    """Refuse weights whose network has other settings than the packed configs, such as those of an overlay."""
    for name in sorted(about.network_settings() & config.keys()):
        trained, packed = about.settings[name], config[name]
        if not isinstance(trained, dict) and trained != packed:
            fault = f"--overlay sets {name} to {packed}, the network of {about.path} was trained with {trained}"
            raise ConfigError(fault, "omit the overlay")


def _metadata(about: WeightsInfo) -> str:
    """The JSON file of weights, written here for those of a version that wrote none."""
    if sidecar(about.path).is_file():
        return sidecar(about.path).read_text()
    known = {"bundle": about.bundle, "settings": about.settings, "trained_on": about.trained_on}
    return as_text({"sha256": about.sha256, **known}) + "\n"


def model_info(about: dict[str, str | None], files: dict[str, bytes]) -> bytes:
    """What a release says of itself and of its files: :data:`MODEL_INFO`."""
    hashes = {path: hashlib.sha256(content).hexdigest() for path, content in sorted(files.items())}
    info = {**about, "weights": hashes.get(MODEL), "sha256": hashes}
    return (json.dumps(info, indent=4) + "\n").encode()
