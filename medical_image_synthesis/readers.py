"""``synthesize reader-study``: ``make`` writes a page for readers, ``score`` evaluates their answers."""

from __future__ import annotations

import argparse
import logging
import secrets
from pathlib import Path

from common.errors import path_option
from medical_image_synthesis.options import add_reader, reader_of

SEED_BITS = 62
DESIGNS = ("two-alternative", "single")
OF_KIND, OF_CLASS = "real", "class"
BY_CASE, BY_CLASS = "case", "class"
PLANES = ("axial", "coronal", "sagittal")
EXAMPLES = """examples:
  synthesize reader-study make --real DATA --real_name ct --synthetic PREDICTIONS --slices 4 --out STUDY
  synthesize reader-study score --key STUDY/key.json --answers answers_A.csv answers_B.csv --out SCORES"""


def add(command: argparse.ArgumentParser, _: str) -> None:
    """Add the two commands."""
    command.epilog = EXAMPLES
    commands = command.add_subparsers(required=True, metavar="{make,score}", prog="synthesize reader-study")
    _add_make(commands.add_parser("make", help="write one HTML page with blinded slices, and the key to it"))
    about = "print accuracy with intervals, learning effect and agreement of readers"
    scoring = commands.add_parser("score", help=about)
    scoring.add_argument("--key", type=path_option, required=True, help="key.json of the study")
    about = "CSV files that the page saved"
    scoring.add_argument("--answers", type=path_option, nargs="+", required=True, metavar="CSV", help=about)
    scoring.add_argument("--out", type=path_option, metavar="DIR", help="also write scores.csv and scores.json")
    scoring.add_argument("--overwrite", action="store_true", help="replace existing scores")
    scoring.set_defaults(run=score)


def _add_make(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--real", type=path_option, required=True, metavar="DIR", help="folder of the real images")
    add("--synthetic", type=path_option, required=True, metavar="DIR", help="folder of the synthetic images")
    about = "folder of the results, for_readers/page.html and key.json (default: %(default)s)"
    add("--out", type=path_option, default=Path("reading_study"), metavar="DIR", help=about)
    add("--overwrite", action="store_true", help="replace the study in --out")
    add("--design", choices=DESIGNS, default=DESIGNS[0], help="two images or one at a time (default: %(default)s)")
    about = (
        f"{OF_KIND} (or synthetic), {OF_CLASS} (which one, of single images), or the name of a class (default: real)"
    )
    add("--question", default=OF_KIND, help=about)
    about = "what the real and the synthetic image shown together share (default: %(default)s)"
    add("--match", choices=(BY_CASE, BY_CLASS), default=BY_CASE, help=about)
    add("--real_name", metavar="NAME", help="real images are DIR/<case>/NAME.nii.gz or a DICOM series")
    add("--synthetic_name", metavar="NAME", help="synthetic images are DIR/<case>/NAME.nii.gz or a DICOM series")
    add("--plane", choices=PLANES, default="axial", help="plane of the slices (default: %(default)s)")
    add("--slices", type=int, default=1, help="number of random slices of each volume (default: %(default)s)")
    add("--trials", type=int, help="number of trials, equally of real and synthetic images (default: all slices)")
    about = "window of all images (default: percentiles 0.5 and 99.5 of the real slices)"
    add("--window", type=float, nargs=2, metavar=("LOW", "HIGH"), help=about)
    about = "number of trials shown twice, for the agreement within readers (default: %(default)s)"
    add("--repeats", type=int, default=0, help=about)
    add("--pages", type=int, default=1, help="number of pages, each in another order (default: %(default)s)")
    add("--confidence", action="store_true", help="ask for a confidence from 1 to 5 after each answer")
    add("--seed", type=int, help="seed of all random numbers (default: drawn, and saved in the key)")
    add_reader(parser)
    parser.set_defaults(run=make)


def make(options: argparse.Namespace) -> int:
    """Write the page and the key of a study."""
    from common.reader_study.build import Choices, make_study, require_free, write_study

    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    require_free(options.out, options.overwrite)
    seed = secrets.randbits(SEED_BITS) if options.seed is None else options.seed
    names = ("design", "question", "match", "plane", "slices", "trials", "repeats", "pages", "confidence")
    given = {name: getattr(options, name) for name in (*names, "real_name", "synthetic_name")}
    window = None if options.window is None else (options.window[0], options.window[1])
    choices = Choices(**given, window=window, seed=seed)
    study = make_study(options.real, options.synthetic, choices, reader_of(options))
    *pages, key = write_study(study, options.out)
    shown = f"{len(study.trials)} trials" + (f" and {study.repeats} of them again" if study.repeats else "")
    print(f"{study.question.text} {shown}, window {study.window[0]:g} to {study.window[1]:g}")
    for page in pages:
        print(f"for readers: {page} ({page.stat().st_size / 1e6:.1f} MB)")
    print(f"not for readers: {key}")
    return 0


def score(options: argparse.Namespace) -> int:
    """Print the scores of the readers, and write them with ``--out``."""
    from common.reader_study.answers import read_answers, read_key
    from common.reader_study.scores import scores_of
    from common.reader_study.tables import require_new, text_of, write_scores

    require_new(options.out, options.overwrite)
    key = read_key(options.key)
    scores = scores_of(key, read_answers(options.answers, key))
    print(text_of(scores))
    for path in write_scores(options.out, scores) if options.out else []:
        print(f"written to {path}")
    return 0
