"""Mutations of what surrounds a command: an environment variable more, an output stream that takes nothing."""

from __future__ import annotations

import random

from tests.fuzz.mutation import Mutation, Rule, Target
from tests.fuzz.scenes import BOX

VARIABLES = (
    ("RANK", "0"), ("RANK", "x"), ("LOCAL_RANK", "1"), ("WORLD_SIZE", "1"), ("WORLD_SIZE", ""), ("MASTER_ADDR", "gone"),
    ("CUDA_VISIBLE_DEVICES", "x"), ("TMPDIR", f"{BOX}/gone"), ("HOME", "/dev/null"), ("HOME", ""), ("TERM", ""),
    ("COLUMNS", "1"), ("COLUMNS", "x"), ("LINES", "-1"), ("NO_COLOR", "1"), ("FORCE_COLOR", "1"), ("TZ", "No/where"),
    ("MONAI_DATA_DIRECTORY", f"{BOX}/gone"), ("MPLBACKEND", "none"), ("MPLCONFIGDIR", "/dev/null"), ("LOGNAME", ""),
    ("TORCH_HOME", "/dev/null"), ("XDG_CACHE_HOME", "/dev/null"), ("XDG_CONFIG_HOME", "/dev/null"), ("USER", "größe µ"),
    ("TQDM_DISABLE", "x"), ("SOURCE_DATE_EPOCH", "x"), ("DICOMDICTPATH", "/dev/null"), ("http_proxy", "http://gone:1"),
    ("PAGER", "less"), ("BUNDLE_ROOT", "/"), ("seed", "7"), ("output_dir", "/"), ("PWD", "/gone"), ("CI", "true"),
)  # fmt: skip
STREAMS = ("full", "closed", "without a reader")


def mutate_environment(rng: random.Random, target: Target) -> Mutation:
    """One variable that another program left behind."""
    name, value = rng.choice(VARIABLES)
    environment = {name: value.replace(BOX, str(target.box))}
    return Mutation("environment", f"{name}={value}", Rule.SAME, named=(name,), environment=environment)


def mutate_stream(rng: random.Random, target: Target) -> Mutation:
    """Standard output or error that takes nothing: the outputs are written all the same."""
    name, how = rng.choice(("stdout", "stderr")), rng.choice(STREAMS)
    return Mutation("stream", f"{name} {how}", Rule.STREAM, streams={name: how})
