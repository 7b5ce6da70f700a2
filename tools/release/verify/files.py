"""Checks of a bundle's files, code and weights."""

from __future__ import annotations

import hashlib
import json
import re
import zipfile
from pathlib import Path
from typing import Any

import torch
from monai.bundle import ConfigParser
from torch import Tensor

from common.errors import CheckpointError
from common.path_names import texts
from common.weights.safe_settings import require_safe
from tools.release.verify import schema
from tools.release.verify.bundle import ValidatedBundle, leaves, read
from tools.release.verify.verdicts import Fault, Faults, NotApplicableError, check, expect, one_line

CONFIGS = ("demo", "evaluate", "inference", "multi_gpu_train", "train")
FILES = (*(f"configs/{stem}.yaml" for stem in CONFIGS), "configs/logging.conf", "configs/metadata.json")
TEMPLATE = (
    *("Authors", "Tags", "Model Description", "Data", "Performance", "System Configuration", "Limitations"),
    "References",
)
"""Sections that the model zoo's template of a card has (docs/readme_template.md there), but for optional ones."""
TEXTS = (
    *(
        ("docs/README.md", rf"(?m)^#+ {name}\n\n\S", f"has no section {name} of the zoo's template", "write it")
        for name in TEMPLATE
    ),
    ("docs/README.md", "(?m)^#+ What differs from the paper", "has no section What differs from the paper", "write it"),
    ("docs/README.md", "(?i)not for clinical use", "does not say not for clinical use", "add the sentence"),
    ("LICENSE", "Apache License", "is not the Apache License", "copy the collection's"),
    ("docs/data_license.txt", r"(\S+\s+){20}\S", "has no more than 20 words", "state what licence the data have"),
)
"""File, what it has to match, the fault where it does not, and the remedy."""
SHARED = "common"
"""The package that bundles share in the repository and that a release carries under a name of its own."""
EXECUTING = r"weights_only\s*=\s*False|allow_pickle\s*=\s*True|\b(pickle\.(loads?|Unpickler)|joblib\.load)\("
IMPORTING = rf"^\s*(from|import) {SHARED}\b|_target_\W+{SHARED}\."


@check("files.present")
def present(bundle: ValidatedBundle) -> Faults:
    """Every bundle has the same files and one package, named as the bundle."""
    for name in FILES:
        yield expect((bundle.folder / name).is_file(), f"no file {name}", "see CONTRIBUTING.md")
    own = len(bundle.packages) == 1 and re.fullmatch(rf"{re.escape(bundle.name)}(_v\w+)?", bundle.packages[0])
    yield expect(own, f"packages are {bundle.packages}, not one named {bundle.name}", "see CONTRIBUTING.md")


@check("files.texts")
def card(bundle: ValidatedBundle) -> Faults:
    """The card has the zoo's sections, what differs from the paper, not for clinical use; licences are there."""
    for place, pattern, fault, remedy in TEXTS:
        text = bundle.text(place)
        yield expect(re.search(pattern, text), f"{place} {fault} ({one_line(text, 80) or 'no text'})", remedy)


def _lines(bundle: ValidatedBundle, pattern: str, fault: str, remedy: str) -> Faults:
    """A fault for each line of code and configs in which a pattern is found."""
    for path in [*bundle.sources, *bundle.config_files]:
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
            if re.search(pattern, line):
                yield Fault(f"{bundle.relative(path)}:{number} {fault} ({line.strip()[:120]})", remedy)


@check("code.pickles")
def pickles(bundle: ValidatedBundle) -> Faults:
    """No pickle is executed."""
    return _lines(bundle, EXECUTING, "executes a pickle", "load tensors alone: torch.load(..., weights_only=True)")


@check("code.vendored")
def vendored(bundle: ValidatedBundle) -> Faults:
    """A release imports its own copy of the shared package, not the top-level one."""
    if not bundle.packed:
        raise NotApplicableError("no release: the shared package is imported from the repository")
    return _lines(bundle, IMPORTING, f"imports {SHARED}", f"pack it again: {SHARED} is inside its own package")


@check("weights.large_files")
def large_files(bundle: ValidatedBundle) -> Faults:
    """large_files.yml names public addresses, and files inside the bundle with their hashes."""
    path = bundle.folder / "large_files.yml"
    if not path.is_file():
        raise NotApplicableError("there is no large_files.yml")
    yield from schema.faults(
        path.name, ConfigParser.load_config_file(path), "large_files", "see docs/how-to/own-parts.md"
    )


def read_weights(path: Path) -> Any:
    """What a file of weights holds; nothing in it is executed and each record's checksum is compared."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            if damaged := archive.testzip():
                raise ValueError(f"the checksum of {damaged} is wrong")
    return torch.load(path, map_location="cpu", weights_only=True)


@check("weights.tensors")
def tensors_only(bundle: ValidatedBundle) -> Faults:
    """Weights hold finite tensors and no code, model.pt a raw state_dict."""
    paths = sorted((bundle.folder / "models").glob("*.pt"))
    if not paths:
        raise NotApplicableError("no weights inside")
    for path in paths:
        name = f"models/{path.name}"
        try:
            content = read_weights(path)
        except Exception as error:  # torch and zipfile have a dozen types for a file that is no checkpoint
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            yield Fault(f"{name} is not a complete PyTorch state_dict ({reason[:200]})", "save a state_dict")
            continue
        kinds = {type(value).__name__ for value in content.values()} if isinstance(content, dict) else {"no dict"}
        raw = path.name != "model.pt" or kinds <= {"Tensor"}
        fault = f"{name} holds {sorted(kinds)}, not the raw state_dict of network_def"
        yield expect(raw, fault, "save network.state_dict()")
        for key, value in leaves(content):
            finite = not isinstance(value, Tensor) or torch.isfinite(value).all()
            yield expect(finite, f"{name} {key} has NaN or infinity", "use an earlier checkpoint")


@check("weights.settings")
def settings(bundle: ValidatedBundle) -> Faults:
    """Settings in the JSON next to weights build networks, transforms and inferers, and execute nothing else."""
    given = texts(list(bundle.contents.values()))
    for path in sorted(bundle.folder.glob("models/*.json")):
        try:
            require_safe(read(path).get("settings", {}), f"models/{path.name}: settings", given)
        except CheckpointError as error:
            yield Fault(str(error).partition(": use weights")[0], "train the weights again")


@check("weights.hashes")
def hashes(bundle: ValidatedBundle) -> Faults:
    """Files have the hashes that model_info.json and the JSON files of weights name, and no other file is inside."""
    listed = dict(bundle.model_info.get("sha256") or {})
    sidecars = {path.stem: json.loads(path.read_text()) for path in bundle.folder.glob("models/*.json")}
    weights = {stem: str(about.get("sha256")) for stem, about in sidecars.items() if "settings" in about}
    named = {f"models/{stem}.pt": sha256 for stem, sha256 in weights.items()} | listed
    if not named:
        raise NotApplicableError("no model_info.json and no JSON file of weights inside")
    large = ConfigParser.load_config_file(path) if (path := bundle.folder / "large_files.yml").is_file() else {}
    elsewhere = {entry.get("path") for entry in large.get("large_files", [])}
    for name, expected in sorted(named.items()):
        path = bundle.folder / name
        if path.is_file() or name not in elsewhere:
            own = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "none"
            fault = f"{name} has sha256 {own[:12]}, {expected[:12]} is listed"
            yield expect(own == expected, fault, "restore the file, or pack again")
    held = {bundle.relative(path) for path in bundle.files()} - {"model_info.json"}
    for name in sorted(held - named.keys()) if listed else ():
        yield Fault(f"{name} is not listed in model_info.json", "remove it or pack again")
    for stem in sorted(sidecars.keys() - weights.keys()):  # a grading or calibration
        sha256 = str(sidecars[stem].get("sha256"))
        fault = f"models/{stem}.json is of weights {sha256[:12]}, which are not there"
        yield expect(sha256 in weights.values(), fault, "make it again")
