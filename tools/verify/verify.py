"""All checks on one bundle, be it a folder or a zip."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from common.errors import DataError
from tools.verify import archives, checks, configs, process
from tools.verify.bundle import Bundle
from tools.verify.networks import all_networks
from tools.verify.verdicts import Check, NetworkCheck, NotApplicableError, Verdict, judge

LIMIT = 600
"""Seconds for each check that runs a bundle's code."""


@dataclass(frozen=True)
class Options:
    """How bundles are verified.

    Args:
        schema: file with a JSON schema for the metadata.
        overlay: config, by stem, over train and inference when networks are built.
        limit: seconds for each check that runs code.
        execute: whether the bundle's code is run at all.
    """

    schema: Path | None = None
    overlay: str | None = None
    limit: int = LIMIT
    execute: bool = True


@dataclass(frozen=True)
class Outcome:
    """What is known of a bundle after it was verified, and of a zip after it is packed away again."""

    bundle: Bundle
    verdicts: list[Verdict]
    kind: str
    house: bool
    expressions: list[dict[str, str]] = field(default_factory=list)


def verify(path: Path, options: Options) -> Outcome:
    """Judge a bundle's folder or zip.

    Raises:
        DataError: for a path that is neither.
    """
    os.environ["MONAI_FAIL_ON_DUPLICATE_CONFIG"] = "1"
    with tempfile.TemporaryDirectory(prefix="verify-") as scratch:
        if path.is_dir():
            return _folder(Bundle(path.resolve(), options.overlay), options, Path(scratch), [])
        if not path.is_file():
            raise DataError(str(path), "is a bundle's folder or zip", "no such file", "give an existing path")
        return _zip(path.resolve(), options, Path(scratch))


def _zip(path: Path, options: Options, scratch: Path) -> Outcome:
    faults = list(archives.faults(path))
    verdict = Verdict.of(archives.CHECK, judge(lambda: faults))
    if faults:
        return Outcome(Bundle(path.with_suffix(""), archive=path), [verdict], "not unpacked", False)
    folder = archives.unpack(path, scratch / "unpacked")
    return _folder(Bundle(folder, options.overlay, path), options, scratch, [verdict])


def _folder(bundle: Bundle, options: Options, scratch: Path, found: list[Verdict]) -> Outcome:
    if not bundle.configs.is_dir():
        value = sorted(path.name for path in bundle.folder.glob("*"))[:8]
        remedy = "give a bundle's folder or zip"
        raise DataError(str(bundle.folder), "is a bundle: it has a folder configs", value, remedy)
    for check in checks.of_files(options.schema):
        found.append(Verdict.of(check, judge(partial(check.find, bundle))))
    if options.execute:
        found += _executed(bundle, options, scratch)
    kind = "a release of this collection" if bundle.packed else "of this collection" if bundle.house else "foreign"
    return Outcome(bundle, found, kind, bundle.house, configs.expressions(bundle))


def _executed(bundle: Bundle, options: Options, scratch: Path) -> list[Verdict]:
    try:
        networks = [network.name for network in all_networks(bundle)]
    except NotApplicableError:
        networks = []
    asked: list[tuple[Check | NetworkCheck, str]] = [(check, "") for check in checks.of_code()]
    asked += [(check, name) for name in networks for check in checks.OF_NETWORKS]
    copied = replace(bundle, folder=archives.copy(bundle, scratch / "copy"))
    found = process.findings(copied, [(check.id, name) for check, name in asked], options.limit, scratch)
    return [Verdict.of(check, finding, name) for (check, name), finding in zip(asked, found, strict=True)]
