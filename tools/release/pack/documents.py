"""Model card, config comments and metadata of a release: commands for the unpacked folder, statements on weights."""

from __future__ import annotations

import json
import re

import yaml

from common.errors import ConfigError

SHIPPED = re.compile(r"^\*\*Shipped weights\*\*: .*$", re.MULTILINE)
"""What a card in the repository says of weights."""
DATA_AND_WEIGHTS = (
    "no patient data and no weights are distributed",
    "no patient data are distributed; the weights are trained on simulated heads alone",
    "no patient data are distributed; the weights are trained on CT of four people, under open licences",
    "no patient data are distributed; the weights are trained on simulated heads and MR of three patients, "
    "under open licences",
)
"""The same of ``metadata.json``."""
DEMO = "python -m monai.bundle run training --config_file \"['configs/train.yaml','configs/demo.yaml']\""
"""What ``make demo`` begins with; the Makefile does not travel."""


def card(text: str, own_weights: bool) -> str:
    """The model card, after modules and paths were renamed, of a release whose weights are others than the shipped."""
    text = re.sub(r"`(make \w+[^`]*)`", r"`\1` in the repository", text)
    return SHIPPED.sub("**Shipped weights**: those named in `model_info.json`", text) if own_weights else text


def head(text: str) -> str:
    """A config, after renaming, with the commands of its comments."""
    text = re.sub(r"^# make demo BUNDLE=\w+$", f"# {DEMO}", text, flags=re.MULTILINE)
    return re.sub(r"^#.*$", lambda line: re.sub(r"\bC(ONFIGS)?/", "configs/", line.group()), text, flags=re.MULTILINE)


def metadata(text: str, own_weights: bool) -> str:
    """``metadata.json``, which says of weights that are others than the shipped where they are named."""
    named = "no patient data are distributed; the weights are those named in model_info.json"
    return re.sub("|".join(DATA_AND_WEIGHTS), named, text) if own_weights else text


def twin(config: str, name: str) -> str:
    """A YAML config as JSON, which is what :func:`monai.bundle.load` reads.

    Raises:
        ConfigError: for what JSON cannot hold, such as keys that are not texts.
    """
    content = yaml.safe_load(config)
    text = json.dumps(content, indent=4, default=str)
    if json.loads(text) != content:
        raise ConfigError(f"{name} has values that are not valid JSON, such as numbers as keys", "put keys in quotes")
    return text + "\n"
