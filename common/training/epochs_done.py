"""How far the training of some weights has come, by the files of its run."""

from __future__ import annotations

import csv
from pathlib import Path

from monai.bundle.config_parser import ConfigParser

from ..config.record import RunRecord, config_of
from ..raw_settings import lookup, references
from ..weights.info import RUN_NAME, read_run
from ..weights.safe_settings import require_safe
from .handlers.run_folder import LOG_NAME

TRAINED_EPOCHS = "train::trainer::max_epochs"


def unfinished(weights: Path, record: RunRecord | None = None) -> str:
    """For the row of a variant whose training has not ended: " (epoch 3 of 12)"; empty for others.

    Args:
        weights: of the variant.
        record: of the command, whose own classes a run may name too.
    """
    run = weights.parents[1]
    if not (run / RUN_NAME).is_file() or not (run / LOG_NAME).is_file():
        return ""
    try:
        config = read_run(run / RUN_NAME)
        epochs = {"epochs": lookup(config, TRAINED_EPOCHS)}
        needed = epochs | {name: config[name] for name in references(epochs | config, epochs) if name in config}
        require_safe(needed, str(run / RUN_NAME), str(config_of(record)))
        planned = int(ConfigParser(needed).get_parsed_content("epochs"))
    except (KeyError, ValueError, RuntimeError):  # a run of an earlier version
        return ""
    with (run / LOG_NAME).open(newline="") as log:
        done = max((int(row["epoch"]) for row in csv.DictReader(log)), default=0)
    return f" (epoch {done} of {planned})" if done < planned else ""
