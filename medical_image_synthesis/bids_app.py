"""``synthesize bids-app BUNDLE bids_dir output_dir participant``: the command line that BIDS Apps share.

A bundle is the first argument, not a level of the analysis and no option: ``synthesize bids-app mr2ct`` is then what a
container starts, and all that follows is as a runner of BIDS Apps writes it. The rest is ``synthesize BUNDLE bids_dir
--bids output_dir``, whose options it takes.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence

from common.errors import ConfigError, path_option
from medical_image_synthesis import bids, infer
from medical_image_synthesis.command import Parser
from medical_image_synthesis.info import version
from medical_image_synthesis.options import add_bundle

PARTICIPANT, GROUP = LEVELS = ("participant", "group")
EPILOG = """examples:
  synthesize bids-app mr2ct RAW RAW/derivatives/mr2ct participant --participant_label 01 02
  synthesize bids-app pd2t2 RAW OUT participant --source PDw --uncertainty true

Any option of synthesize BUNDLE can follow. Exit code 0: a volume of each case; 1: cases failed or were refused; 2:
nothing was done, such as for a participant without a suitable image."""


def add(command: argparse.ArgumentParser, name: str) -> None:
    """Add the arguments of a BIDS App."""
    add = command.add_argument
    add_bundle(command)
    add("bids_dir", metavar="bids_dir", type=path_option, help="raw data set, which may be read-only")
    add("output_dir", metavar="output_dir", type=path_option, help="folder of derivatives")
    add("analysis_level", metavar="analysis_level", choices=LEVELS, help=f"{PARTICIPANT}; there is no {GROUP} level")
    bids.add_labels(command)
    about = "accepted as other BIDS Apps do: names are checked as they are read, and no validator is started"
    add("--skip_bids_validation", "--skip_bids_validator", action="store_true", help=about)
    add("--n_cpus", "--nprocs", metavar="N", type=int, help="threads (default: as many as cores are idle)")
    add("--version", action="version", version=f"synthesize {version()}", help="print the version")
    command.epilog = EPILOG
    command.set_defaults(run=run, takes_settings=True)


def run(options: argparse.Namespace, words: Sequence[str]) -> int:
    """Infer the participants as ``synthesize BUNDLE --bids`` does.

    Raises:
        ConfigError: for the group level, a bundle that reads no volumes, or no thread.
    """
    if options.analysis_level == GROUP:
        raise ConfigError("there is no group level: each participant has results alone", f"pass {PARTICIPANT}")
    if not options.bundle.reads_volumes:
        raise ConfigError(f"{options.bundle.name} reads no volumes", "choose a bundle that does")
    if options.n_cpus is not None:
        if options.n_cpus < 1:
            raise ConfigError(f"--n_cpus is {options.n_cpus}", "pass 1 or more")
        os.environ["OMP_NUM_THREADS"] = str(options.n_cpus)  # PyTorch is not imported yet
    command = Parser(prog="synthesize bids-app")
    infer.add(command, options.bundle)
    parsed, rest = command.parse_known_args([str(options.bids_dir), "--bids", str(options.output_dir), *words])
    parsed.participant_label, parsed.session_label = options.participant_label, options.session_label
    return infer.synthesise(parsed, rest)
