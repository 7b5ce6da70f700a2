"""Ways to break a bundle, and what the validator has to say of each."""

from __future__ import annotations

import json
import pickle
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from packed_copies import package_of, version_of

NAME = "mr2ct_pix2pix"
Change = Callable[[Path], None]
EXECUTED = Path(tempfile.gettempdir(), "verify_executed")
"""Would be there if a pickle had been executed."""


def remove(name: str) -> Change:
    def change(folder: Path) -> None:
        path = folder / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()

    return change


def text(name: str, content: str) -> Change:
    def change(folder: Path) -> None:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(content)

    return change


def replaced(name: str, old: str, new: str) -> Change:
    def change(folder: Path) -> None:
        content = (folder / name).read_text()
        assert old in content, f"{name} has no {old!r} to replace"
        (folder / name).write_text(content.replace(old, new, 1))

    return change


def metadata(key: str, value: Any) -> Change:
    """Set a value at a path of keys; ``None`` removes it."""

    def change(folder: Path) -> None:
        path = folder / "configs" / "metadata.json"
        content = json.loads(path.read_text())
        *outer, last = key.split("/")
        place = content
        for part in outer:
            place = place[part]
        place[last] = value
        if value is None:
            del place[last]
        path.write_text(json.dumps(content))

    return change


def saved(name: str, content: Any) -> Change:
    def change(folder: Path) -> None:
        (folder / "models").mkdir(exist_ok=True)
        torch.save(content, folder / "models" / name)

    return change


class Hostile:
    """Would write a file if it were unpickled."""

    def __reduce__(self):
        return (Path.touch, (EXECUTED,))


def pickled(folder: Path) -> None:
    (folder / "models").mkdir(exist_ok=True)
    (folder / "models" / "model.pt").write_bytes(pickle.dumps(Hostile()))


IN, OUT = "network_data_format/inputs/image", "network_data_format/outputs/pred"
INFO = json.dumps({"name": "other", "version": "0.1.0", "sha256": {"LICENSE": "0" * 64}})
TRAIN, INFER = "configs/train.yaml", "configs/inference.yaml"
BROKEN: list[tuple[str, Change, str]] = [
    ("metadata.schema", text("configs/metadata.json", "[1"), "the check: runs to its end, but got JSONDecodeError"),
    ("files.present", remove("configs/metadata.json"), "configs/metadata.json: exists, but got no such file"),
    ("files.present", remove("configs/multi_gpu_train.yaml"), "configs/multi_gpu_train.yaml: exists"),
    ("files.present", text("scripts/__init__.py", ""), r"packages: are one, named mr2ct_pix2pix.*scripts"),
    ("files.texts", remove("LICENSE"), "LICENSE: is the Apache License, but got no text"),
    (
        "files.texts",
        replaced("docs/README.md", "What differs from", "On"),
        "has a section What differs from the paper",
    ),
    (
        "weights.large_files",
        text("large_files.yml", "large_files: [{path: ../up.pt}]"),
        "url: is there.*stays inside the bundle",
    ),
    (
        "weights.large_files",
        text("large_files.yml", "large_files: [{path: models/model.pt, url: 'https://example.com/model.pt'}]"),
        "large_files 0 url: is a public address, no placeholder, but got https://example.com",
    ),
    ("metadata.schema", metadata("task", None), "metadata task: is there"),
    ("metadata.schema", metadata("numpy_version", 2.4), r"numpy_version: is a text, but got 2.4 \(float\)"),
    ("metadata.schema", metadata(f"{IN}/dtype", None), "inputs image dtype: is there, but got no such key"),
    ("metadata.schema", metadata(f"{IN}/num_channels", True), r"num_channels: is an integer, but got True"),
    (
        "metadata.schema",
        metadata(f"{IN}/spatial_shape", [1.5]),
        "spatial_shape 0: is an integer or a text, but got 1.5",
    ),
    ("metadata.schema", metadata("network_data_format/outputs", None), "network_data_format outputs: is there"),
    ("metadata.contents", metadata("version", "8.0.0"), "metadata changelog: has version 8.0.0"),
    ("metadata.complete", metadata("version", "next"), "metadata version: is like 1.2.3, but got next"),
    ("metadata.complete", metadata("monai_version", "latest"), "monai_version: is a version, but got latest"),
    ("metadata.complete", metadata("intended_use", None), "metadata intended_use: is there, but got no such key"),
    ("metadata.complete", metadata("references", []), r"metadata references: names a paper, but got \[\]"),
    ("metadata.complete", metadata("eval_metric", {}), "eval_metric: is a known key.*did you mean eval_metrics"),
    ("metadata.complete", metadata("optional_packages_version", {}), "optional_packages_version: is a known key"),
    (
        "metadata.complete",
        metadata(f"{OUT}/value_ranges", []),
        "value_ranges: is a known key.*did you mean value_range",
    ),
    ("metadata.complete", metadata("network_data_format/outputs", {}), "outputs: names a tensor"),
    (
        "metadata.complete",
        metadata(f"{IN}/channel_def", ["MR"]),
        r"channel_def: is an object, but got \['MR'\] \(list\)",
    ),
    ("metadata.values", metadata(f"{IN}/channel_def", {"1": "MR"}), "describes channels 0 to 0"),
    ("metadata.complete", metadata(f"{IN}/dtype", "float31"), "dtype: is a type of torch, but got float31"),
    ("metadata.values", metadata(f"{IN}/value_range", [1, -1]), r"is \[\] or \[lowest, highest\], but got \[1, -1\]"),
    ("metadata.values", metadata(f"{IN}/spatial_shape", ["8*k"]), "has sides like 64.*Invalid names"),
    ("metadata.complete", metadata(f"{IN}/num_channels", 0), "num_channels: is at least 1, but got 0"),
    (
        "metadata.complete",
        metadata(f"{OUT}/modality", "MR"),
        "modality: is CT where the format is hounsfield, but got MR",
    ),
    ("metadata.contents", text("model_info.json", INFO), "model_info.json name: is mr2ct_pix2pix, but got other"),
    ("configs.readable", text(INFER, "a: [1"), "configs/inference.yaml: is a mapping in sound YAML or JSON"),
    ("configs.readable", replaced(TRAIN, "seed: 0\n", "seed: 0\nseed: 1\n"), "names every key once.*seed"),
    ("configs.numbers", replaced(TRAIN, "2.0e-4", "2e-4"), "learning_rate: is a number, but got the text '2e-4'"),
    (
        "configs.references",
        replaced(TRAIN, '"@batch_size"', '"@batchsize"'),
        "refers to what exists, but got @batchsize",
    ),
    (
        "configs.references",
        replaced(INFER, "\nspacing: null\n", "\n"),
        "inference.yaml preprocessing.*: refers to what exists, but got @spacing; define it in the same file",
    ),
    ("code.pickles", text(f"{NAME}/new.py", "a = torch.load(p, weights_only=False)"), r"new.py:1: executes no pickle"),
    (
        "code.vendored",
        text(f"{package_of(NAME)}/__init__.py", "from common.errors import A"),
        "imports no common, but got from",
    ),
    ("weights.tensors", pickled, "model.pt: is a whole file of tensors that executes nothing"),
    ("weights.tensors", saved("model.pt", {"a": torch.tensor([float("nan")])}), "model.pt a: is finite, but got NaN"),
    (
        "weights.settings",
        text(
            "models/model.json",
            json.dumps({"settings": {"spacing": f"$__import__('pathlib').Path('{EXECUTED}').touch()"}}),
        ),
        "models/model.json: settings: spacing: executes nothing, but got .*does more than calculate; train",
    ),
    ("weights.hashes", text("model_info.json", INFO), "LICENSE: has sha256 000000000000.*configs/demo.yaml: is listed"),
    ("weights.tensors", saved("model.pt", {"model": {}}), r"raw state_dict of network_def, but got \['dict'\]"),
    ("label.inference", replaced(INFER, "\npostprocessing:", "\npost:"), "inference postprocessing: is there"),
    ("label.names", saved("g.pt", {}), "models/g.pt: has a name no shorter than model.pt"),
    ("label.tensors", metadata("network_data_format/inputs", {"mr": {}}), r"has image first, but got \['mr'\]"),
    ("label.tensors", metadata(f"{OUT}/dtype", "float16"), "pred dtype: is not half precision"),
    ("label.inference", replaced(INFER, "_target_: Invertd", "_target_: Identityd"), "has Invertd, since the geometry"),
    (
        "label.inference",
        replaced(INFER, "common.transforms.WorkingSpacingd", "Spacingd"),
        "does not use Spacingd on image",
    ),
    (
        "label.handlers",
        replaced(TRAIN, "  handlers:\n", '  handlers:\n    - "@network"\n'),
        "handlers 0: is a component",
    ),
    ("label.names", text("utils/__init__.py", ""), "package utils: has a name that no other bundle has"),
    ("configs.common_parts", replaced(INFER, "depth: 8", "depth: 7"), "depth: is the same in train and inference"),
    (
        "configs.overlays",
        replaced("configs/demo.yaml", "width: 16", "breadth: 16"),
        "breadth: is a plain setting of train",
    ),
    (
        "configs.overlays",
        replaced("configs/demo.yaml", "depth: 5", "depth: 8"),
        "depth: differs from train, but got 8",
    ),
    (
        "configs.overlays",
        replaced("configs/unpaired.yaml", "variant: unpaired", "variant: cycle"),
        "variant: is unpaired",
    ),
    ("configs.tasks", replaced(TRAIN, 'run: "%training"', 'run: "%inference"'), "run: is %training"),
    ("configs.twins", text("configs/train.json", "{}"), "train.json: has what train.yaml has"),
    (
        "configs.tasks",
        replaced(TRAIN, "{_target_: mr2ct_pix2pix.bundle_root}", "."),
        "found by the bundle's package",
    ),
    ("metadata.contents", metadata("discriminator_data_format", None), "describes discriminator_def"),
    ("metadata.complete", metadata("schema", "schema.json"), "metadata schema: is the schema's address"),
    (
        "metadata.contents",
        replaced(INFER, f"{NAME} {version_of(NAME)}", f"{NAME} 0.0.9"),
        f"is mr2ct_pix2pix {version_of(NAME)}, but got mr2ct_pix2pix 0.0.9",
    ),
    ("metadata.contents", metadata("eval_metrics/mae", None), "eval_metrics: explains mae"),
    (
        "metadata.complete",
        metadata("intended_use", "Clinics"),
        "intended_use: says not for clinical use, but got Clinics",
    ),
    (
        "configs.layout",
        replaced(TRAIN, "# python -m monai.bundle", "# python monai"),
        "gives the command in its second",
    ),
    ("configs.plain", replaced(TRAIN, "$2 ** @depth", "$4 if @depth else 2"), "no lambda, loop, condition or import"),
]
