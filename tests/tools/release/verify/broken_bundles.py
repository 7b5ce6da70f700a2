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
    ("metadata.schema", text("configs/metadata.json", "[1"), r"the check failed \(JSONDecodeError"),
    ("files.present", remove("configs/metadata.json"), "no file configs/metadata.json: see CONTRIBUTING.md"),
    ("files.present", text("scripts/__init__.py", ""), r"packages are .*scripts.*, not one named mr2ct_pix2pix"),
    ("files.texts", remove("LICENSE"), r"LICENSE is not the Apache License \(no text\)"),
    (
        "files.texts",
        replaced("docs/README.md", "What differs from", "On"),
        "has no section What differs from the paper",
    ),
    (
        "weights.large_files",
        text("large_files.yml", "large_files: [{path: ../up.pt}]"),
        r"has no url.*path leaves the bundle \(\.\./up\.pt\)",
    ),
    (
        "weights.large_files",
        text("large_files.yml", "large_files: [{path: models/model.pt, url: 'https://example.com/model.pt'}]"),
        r"large_files 0 url is not a public address \(https://example.com",
    ),
    ("metadata.schema", metadata("task", None), "metadata has no task"),
    ("metadata.schema", metadata("numpy_version", 2.4), r"numpy_version is not text \(2.4, float\)"),
    ("metadata.schema", metadata(f"{IN}/num_channels", True), r"num_channels is not an integer \(True"),
    (
        "metadata.schema",
        metadata(f"{IN}/spatial_shape", [1.5]),
        r"spatial_shape 0 is neither an integer nor a text \(1.5",
    ),
    ("metadata.contents", metadata("version", "8.0.0"), "metadata changelog has no version 8.0.0"),
    ("metadata.complete", metadata("version", "next"), r"metadata version is not like 1.2.3 \(next\)"),
    ("metadata.complete", metadata("monai_version", "latest"), r"monai_version is not a version \(latest\)"),
    ("metadata.complete", metadata("intended_use", None), "metadata has no intended_use"),
    ("metadata.complete", metadata("references", []), r"metadata references names no paper \(\[\]\)"),
    ("metadata.complete", metadata("eval_metric", {}), "has the unknown key eval_metric: did you mean eval_metrics"),
    ("metadata.complete", metadata("network_data_format/outputs", {}), "outputs names no tensor"),
    (
        "metadata.complete",
        metadata(f"{IN}/channel_def", ["MR"]),
        r"channel_def is not an object \(\['MR'\], list\)",
    ),
    ("metadata.values", metadata(f"{IN}/channel_def", {"1": "MR"}), "describes channels .*, not 0 to 0"),
    ("metadata.complete", metadata(f"{IN}/dtype", "float31"), r"dtype is not a torch dtype \(float31\)"),
    ("metadata.values", metadata(f"{IN}/value_range", [1, -1]), r"value_range is \[1, -1\]: give"),
    ("metadata.values", metadata(f"{IN}/spatial_shape", ["8*k"]), "cannot read .*Invalid names.*sides like 64"),
    ("metadata.complete", metadata(f"{IN}/num_channels", 0), r"num_channels is below 1 \(0\)"),
    (
        "metadata.complete",
        metadata(f"{OUT}/modality", "MR"),
        r"modality is not CT, though the format is hounsfield \(MR\)",
    ),
    ("metadata.contents", text("model_info.json", INFO), "model_info.json name is other, not mr2ct_pix2pix"),
    ("configs.readable", text(INFER, "a: [1"), r"cannot read configs/inference.yaml \("),
    ("configs.readable", replaced(TRAIN, "\nseed: 0", "\nseed: 1\nseed: 0"), "cannot read .*seed.*every key once"),
    ("configs.numbers", replaced(TRAIN, "2.0e-4", "2e-4"), "learning_rate is the text '2e-4'"),
    (
        "configs.references",
        replaced(TRAIN, '"@batch_size"', '"@batchsize"'),
        r"cannot be resolved \(@batchsize\)",
    ),
    (
        "configs.references",
        replaced(INFER, "\nspacing: null\n", "\n"),
        r"inference.yaml preprocessing.* cannot be resolved \(@spacing\): define it in the same file",
    ),
    ("code.pickles", text(f"{NAME}/new.py", "a = torch.load(p, weights_only=False)"), r"new.py:1 executes a pickle"),
    (
        "code.vendored",
        text(f"{package_of(NAME)}/__init__.py", "from common.errors import A"),
        r"imports common \(from common",
    ),
    ("weights.tensors", pickled, "model.pt is not a complete PyTorch state_dict"),
    ("weights.tensors", saved("model.pt", {"a": torch.tensor([float("nan")])}), "model.pt a has NaN"),
    (
        "weights.settings",
        text(
            "models/model.json",
            json.dumps({"settings": {"spacing": f"$__import__('pathlib').Path('{EXECUTED}').touch()"}}),
        ),
        "models/model.json: settings: spacing is .*does more than calculate: train",
    ),
    (
        "weights.hashes",
        text("model_info.json", INFO),
        "LICENSE has sha256 .*, 000000000000 is listed.*configs/demo.yaml is not listed",
    ),
    ("weights.tensors", saved("model.pt", {"model": {}}), r"holds \['dict'\], not the raw state_dict"),
    ("label.inference", replaced(INFER, "\npostprocessing:", "\npost:"), "configs/inference has no postprocessing"),
    ("label.names", saved("g.pt", {}), "models/g.pt has a shorter name than model.pt"),
    ("label.tensors", metadata("network_data_format/inputs", {"mr": {}}), r"inputs is \['mr'\], without image first"),
    ("label.tensors", metadata(f"{OUT}/dtype", "float16"), "pred dtype is float16, half precision"),
    ("label.inference", replaced(INFER, "common.transforms.InvertInPlaced", "Identityd"), "has no Invertd, though"),
    (
        "label.inference",
        replaced(INFER, "common.transforms.WorkingSpacingd", "Spacingd"),
        "preprocessing uses Spacingd on image",
    ),
    (
        "label.handlers",
        replaced(TRAIN, "  handlers:\n", '  handlers:\n    - "@network"\n'),
        "handlers 0 is @network, no component",
    ),
    ("label.names", text("utils/__init__.py", ""), "package utils has a name that another bundle may have"),
    ("configs.common_parts", replaced(INFER, "depth: 8", "depth: 7"), "depth is 8 in train and 7 in inference"),
    (
        "configs.overlays",
        replaced("configs/demo.yaml", "width: 16", "breadth: 16"),
        "breadth is 16, no plain setting of train",
    ),
    (
        "configs.overlays",
        replaced("configs/demo.yaml", "depth: 5", "depth: 8"),
        "depth is 8, as in train",
    ),
    (
        "configs.overlays",
        replaced("configs/unpaired.yaml", "variant: unpaired", "variant: cycle"),
        "variant is cycle, not unpaired",
    ),
    ("configs.tasks", replaced(TRAIN, 'run: "%training"', 'run: "%inference"'), "run is %inference: write %training"),
    ("configs.twins", text("configs/train.json", "{}"), "train.json differs from train.yaml"),
    (
        "configs.tasks",
        replaced(TRAIN, "{_target_: mr2ct_pix2pix.bundle_root}", "."),
        r"bundle_root is \.: write",
    ),
    ("metadata.contents", metadata("discriminator_data_format", None), "has no discriminator_data"),
    ("metadata.complete", metadata("schema", "schema.json"), "metadata schema is not the schema's address"),
    (
        "metadata.contents",
        replaced(INFER, f"{NAME} {version_of(NAME)}", f"{NAME} 0.0.9"),
        f"is mr2ct_pix2pix 0.0.9, not mr2ct_pix2pix {version_of(NAME)}",
    ),
    ("metadata.contents", metadata("eval_metrics/mae", None), "eval_metrics does not explain mae"),
    (
        "metadata.complete",
        metadata("intended_use", "Clinics"),
        r"intended_use does not say not for clinical use \(Clinics\)",
    ),
    (
        "configs.layout",
        replaced(TRAIN, "# python -m monai.bundle", "# python monai"),
        "has no command in its second line",
    ),
    ("configs.plain", replaced(TRAIN, "$2 ** @depth", "$4 if @depth else 2"), "has a lambda, loop, condition"),
]
