"""SHA-256 and software bill of materials of every artefact in ``dist``: ``python -m tools.release.artefacts``.

Bills are CycloneDX 1.6: the Python packages that an artefact needs, and its weights with what they were trained on.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import tarfile
import uuid
import zipfile
from collections.abc import Iterator
from email import message_from_bytes
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

from common.errors import exit_code_of_user_errors
from common.files import write_text
from tools.checks.environment import pins
from tools.repository import ROOT

PATTERNS = ("*.zip", "python_free/*.zip", "*.whl", "*.tar.gz")
SUMS = "SHA256SUMS"
BILL = ".cdx.json"
WEIGHTS = (".pt", ".ts")
PROVENANCE = ("commit", "training", "seed", "epoch", "versions", "trained_on")
"""What the JSON file of weights says of their training."""


def artefacts(folder: Path) -> list[Path]:
    """Zips, wheels and source distributions, sorted."""
    return sorted(path for pattern in PATTERNS for path in folder.glob(pattern))


def describe(folder: Path) -> list[Path]:
    """Write the bill of each artefact beside it, and the SHA-256 of all of them; the paths written."""
    bills = [path.with_name(path.name + BILL) for path in artefacts(folder)]
    for path, bill in zip(artefacts(folder), bills, strict=True):
        write_text(bill, json.dumps(bill_of(path), indent=2) + "\n")
    listed = sorted([*artefacts(folder), *bills])
    lines = (f"{sha256(path.read_bytes())}  {path.relative_to(folder).as_posix()}\n" for path in listed)
    write_text(folder / SUMS, "".join(lines))
    return [*bills, folder / SUMS]


def bill_of(path: Path) -> dict[str, Any]:
    """The bill of an artefact, the same whenever it is written."""
    held, own = members(path), sha256(path.read_bytes())
    name, version, needed = _of_package(held) if path.suffix in (".whl", ".gz") else _of_release(held)
    about = {"type": "application", "bom-ref": f"{name}@{version}", "name": name, "version": version}
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_OID, own)}",
        "version": 1,
        "metadata": {"component": {**about, "hashes": _hashes(own)}},
        "components": [*map(_package, needed), *_weights(held)],
    }


def members(path: Path) -> dict[str, bytes]:
    """Every file of a zip, wheel or source distribution, by its path without the top folder."""
    if path.suffix == ".gz":
        with tarfile.open(path) as archive:
            inside = {entry: archive.extractfile(entry) for entry in archive if entry.isfile()}
            return {entry.name.partition("/")[2]: file.read() for entry, file in inside.items() if file}
    with zipfile.ZipFile(path) as archive:
        cut = path.suffix == ".zip"
        names = [name for name in archive.namelist() if not name.endswith("/")]
        return {name.partition("/")[2] if cut else name: archive.read(name) for name in names}


def sha256(content: bytes) -> str:
    """In hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def _of_package(held: dict[str, bytes]) -> tuple[str, str, list[str]]:
    """Name, version and requirements of a wheel or source distribution, without its extras."""
    (place,) = (name for name in held if name == "PKG-INFO" or name.endswith(".dist-info/METADATA"))
    about = message_from_bytes(held[place])
    needed = [each for each in about.get_all("Requires-Dist", []) if "extra ==" not in each]
    return str(about["Name"]), str(about["Version"]), needed


def _of_release(held: dict[str, bytes]) -> tuple[str, str, list[str]]:
    metadata, info = (json.loads(held[name]) for name in ("configs/metadata.json", "model_info.json"))
    return info["name"], info["version"], pins(metadata)


def _package(line: str) -> dict[str, Any]:
    """A Python package; its version where one is pinned."""
    needed = Requirement(line)
    pinned = [each.version for each in needed.specifier if each.operator == "=="]
    at = f"@{pinned[0]}" if pinned else ""
    name = needed.name.lower().replace("_", "-")
    found = {"type": "library", "bom-ref": f"pkg:pypi/{name}{at}", "name": needed.name, "purl": f"pkg:pypi/{name}{at}"}
    if pinned:
        return {**found, "version": pinned[0]}
    return {**found, "properties": [{"name": "range", "value": str(needed.specifier)}]} if needed.specifier else found


def _weights(held: dict[str, bytes]) -> Iterator[dict[str, Any]]:
    """Every file of weights, with what its JSON file says."""
    for place in sorted(name for name in held if name.endswith(WEIGHTS)):
        about = json.loads(held.get(place.rpartition(".")[0] + ".json", b"{}"))
        said = {key: about[key] for key in PROVENANCE if key in about}
        properties = [{"name": key, "value": value if isinstance(value, str) else json.dumps(value)}
                      for key, value in said.items()]  # fmt: skip
        own = {
            "type": "machine-learning-model",
            "bom-ref": place,
            "name": place,
            "hashes": _hashes(sha256(held[place])),
        }
        yield {**own, "properties": properties} if properties else own


def _hashes(content: str) -> list[dict[str, str]]:
    return [{"alg": "SHA-256", "content": content}]


@exit_code_of_user_errors
def main(words: list[str] | None = None) -> int:
    """Describe what is in a folder."""
    parser = argparse.ArgumentParser(prog="python -m tools.release.artefacts", description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "dist", help="folder of the artefacts")
    print(*describe(parser.parse_args(words).out), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
