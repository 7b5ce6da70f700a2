"""What the user chooses for a case: bundle, options and settings, checked before a scan is stored."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from typing import Any, NamedTuple

from common.errors import CheckpointError, ConfigError, choose
from medical_image_synthesis.catalogue import Bundle, bundles

AUTO = "auto"
"""The accelerator that PyTorch finds, else the CPU."""
SETTINGS = (
    "accept_modality", "dicom_axial", "inference_batch", "max_memory_gb", "mirrored", "nan_fill", "output_dtype",
    "phase", "precision", "resample_tilt", "seed", "series",
)  # fmt: skip
"""Settings of inference that may be given as text: none of them names a file or a class."""


class CaseChoices(NamedTuple):
    """Bundle, options and settings of a case."""

    bundle: Bundle
    device: str = AUTO
    uncertainty: bool = False
    refuse: bool = True
    settings: Mapping[str, str] = {}

    def options(self) -> dict[str, str]:
        """Options of ``synthesize``, as they are typed."""
        given = {"uncertainty": str(self.uncertainty).lower(), "refuse": str(self.refuse).lower()}
        given |= {} if self.device == AUTO else {"device": self.device}
        return {**given, **self.settings}


def weights_of(bundle: Bundle) -> str:
    """Which weights a bundle uses, of which training, and their error, in a line."""
    assert bundle.weights is not None
    about = json.loads(bundle.weights.with_suffix(".json").read_text(encoding="utf-8"))
    which = "Shipped weights" if about.get("shipped") else "Weights of an own training"
    unknown = "error on patients not known" if "no patient" in bundle.network else ""
    limits = "; ".join(filter(None, (bundle.error, unknown)))
    return f"{which}, {about['sha256'][:8]}: {bundle.network}{f'. {limits}' if limits else ''}"


@cache
def devices() -> tuple[str, ...]:
    """The devices of this machine, once PyTorch is there to say so."""
    from common.devices import names

    return (AUTO, *names())


def described() -> list[dict[str, Any]]:
    """Each bundle as a page shows it."""
    return [
        {
            "name": bundle.short, "title": bundle.name, "task": bundle.metadata["task"],
            "weights": None if bundle.weights is None else weights_of(bundle), "unusable": bundle.unservable,
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
    if (reason := bundle.unservable) is not None:
        raise CheckpointError(f"{bundle.name} cannot be used here", reason)
    device = form.get("device", AUTO)
    if device != AUTO and device not in devices():
        raise ConfigError(f"device is {device!r}", choose(devices()))
    uncertainty, refuse = _switch(form, "uncertainty", False), _switch(form, "refuse", True)
    return CaseChoices(bundle, device, uncertainty, refuse, _settings(form.get("settings", "")))


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
