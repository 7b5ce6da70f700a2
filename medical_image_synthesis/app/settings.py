"""What the user chooses for a case: bundle, options and settings, checked before a scan is stored."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from common.errors import CheckpointError, ConfigError, choose
from medical_image_synthesis.catalogue import Bundle, bundles

FORMATS = ("nifti", "dicom")
DEVICE = re.compile(r"auto|cpu|mps|cuda(:\d+)?")
SEVERAL = re.compile(r'^source: "?\w+,', re.MULTILINE)
"""In the inference config of a bundle whose source is several volumes."""
SETTINGS = (
    "accept_modality", "dicom_axial", "inference_batch", "max_memory_gb", "mirrored", "nan_fill", "output_dtype",
    "phase", "precision", "resample_tilt", "seed", "series",
)  # fmt: skip
"""Settings of inference that may be given as text: none of them names a file or a class."""


class CaseChoices(NamedTuple):
    """Bundle, options and settings of a case."""

    bundle: Bundle
    device: str = "auto"
    uncertainty: bool = False
    refuse: bool = True
    output_format: str = "nifti"
    settings: Mapping[str, str] = {}

    def words(self) -> list[str]:
        """Options of ``synthesize``."""
        given = {"uncertainty": str(self.uncertainty).lower(), "refuse": str(self.refuse).lower()}
        given |= {} if self.device == "auto" else {"device": self.device}
        return [
            "--output_format", self.output_format,
            *(f"--{name}={value}" for name, value in {**given, **self.settings}.items()),
        ]  # fmt: skip


def why_not(bundle: Bundle) -> str | None:
    """Why a bundle cannot be used here; None if it can."""
    if not bundle.reads_volumes:
        return "samples images and translates no scan"
    if SEVERAL.search(bundle.config("inference").read_text(encoding="utf-8")):
        return "needs several volumes of a case: use the command line"
    if bundle.weights is None:
        return f"no weights, train first: {bundle.training}"
    return "takes k-space: use the command line" if bundle.takes_kspace else None


def described() -> list[dict[str, Any]]:
    """Each bundle as a page shows it."""
    return [
        {
            "name": bundle.short, "title": bundle.name, "task": bundle.metadata["task"], "network": bundle.network,
            "error": bundle.error if why_not(bundle) is None else None, "unusable": why_not(bundle),
        }
        for bundle in bundles()
    ]  # fmt: skip


def chosen(form: Mapping[str, str]) -> CaseChoices:
    """The choices in a form.

    Raises:
        ConfigError: one of them is not to be had.
        CheckpointError: the bundle has no weights.
    """
    known = {each.short: each for each in bundles()}
    bundle = known.get(form.get("bundle", ""))
    if bundle is None:
        raise ConfigError(f"no bundle {form.get('bundle', '')!r}", choose(known))
    if (reason := why_not(bundle)) is not None:
        raise CheckpointError(f"{bundle.name} cannot be used here", reason)
    device, output_format = form.get("device", "auto"), form.get("output_format", FORMATS[0])
    if not DEVICE.fullmatch(device):
        raise ConfigError(f"device is {device!r}", "choose auto, cpu or cuda:0")
    if output_format not in FORMATS:
        raise ConfigError(f"output_format is {output_format!r}", choose(FORMATS))
    uncertainty, refuse = _switch(form, "uncertainty", False), _switch(form, "refuse", True)
    return CaseChoices(bundle, device, uncertainty, refuse, output_format, _settings(form.get("settings", "")))


def _switch(form: Mapping[str, str], name: str, default: bool) -> bool:
    text = form.get(name, str(default)).lower()
    if text not in ("true", "false"):
        raise ConfigError(f"{name} is {text!r}", "choose true or false")
    return text == "true"


def _settings(text: str) -> dict[str, str]:
    """Settings in lines ``NAME VALUE``.

    Raises:
        ConfigError: a line is none, or names another setting.
    """
    found = {}
    for line in filter(None, map(str.strip, text.splitlines())):
        name, _, value = line.lstrip("-").replace("=", " ", 1).partition(" ")
        if name not in SETTINGS:
            raise ConfigError(f"the setting {name} cannot be given here", choose(SETTINGS))
        if not value.strip():
            raise ConfigError(f"the setting {name} has no value", "write it after the name")
        found[name] = value.strip()
    return found
