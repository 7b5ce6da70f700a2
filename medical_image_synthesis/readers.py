"""``synthesize reader-study``: ``make`` writes a page for readers, ``score`` evaluates their answers."""

from __future__ import annotations

import argparse
import secrets
from pathlib import Path

from common.errors import OutputError, path_option
from medical_image_synthesis.options import add_reader, reader_of

EXAMPLES = """examples:
  synthesize reader-study make --real DATA --real_name ct --synthetic PREDICTIONS --slices 4 --out STUDY
  synthesize reader-study score --key STUDY/key.json --answers answers_A.csv answers_B.csv --out SCORES"""


def add(command: argparse.ArgumentParser, _: str) -> None:
    """Add the two commands."""
    command.epilog = EXAMPLES
    commands = command.add_subparsers(required=True, metavar="{make,score}", prog="synthesize reader-study")
    _add_make(commands.add_parser("make", help="write one HTML page with blinded slices, and the key to it"))
    scoring = commands.add_parser("score", help="print accuracy with intervals, learning and agreement of readers")
    add = scoring.add_argument
    add("--key", type=path_option, required=True, help="key.json of the study")
    add("--answers", type=path_option, nargs="+", required=True, metavar="CSV", help="files that the page saved")
    add("--out", type=path_option, metavar="DIR", help="also write scores.csv and confusion.csv")
    add("--overwrite", action="store_true", help="replace existing scores")
    scoring.set_defaults(run=score)


def _add_make(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    for kind in ("real", "synthetic"):
        add(f"--{kind}", type=path_option, required=True, metavar="DIR", help=f"folder of the {kind} images")
        add(f"--{kind}_name", metavar="NAME", help=f"{kind} images are DIR/<case>/NAME.nii.gz or a DICOM series")
    about = "folder of the results, for_readers/page.html and key.json (default: %(default)s)"
    add("--out", type=path_option, default=Path("reading_study"), metavar="DIR", help=about)
    add("--overwrite", action="store_true", help="replace the study in --out, after which its answers have no key")
    about = "two images or one at a time (default: two-alternative)"
    add("--design", choices=("two-alternative", "single"), default="two-alternative", help=about)
    about = "real or synthetic, or the class of single images (default: %(default)s)"
    add("--question", choices=("real", "class"), default="real", help=about)
    add("--slices", type=int, default=1, help="number of random axial slices of each volume (default: %(default)s)")
    add("--trials", type=int, help="number of trials, equally of real and synthetic images (default: all slices)")
    about = "window of all images (default: percentiles 0.5 and 99.5 of the real slices)"
    add("--window", type=float, nargs=2, metavar=("LOW", "HIGH"), help=about)
    add("--repeats", type=int, default=0, help="number of trials shown twice, for agreement (default: %(default)s)")
    add("--seed", type=int, help="seed of all random numbers (default: drawn, and saved in the key)")
    add_reader(parser)
    parser.set_defaults(run=make)


def _require_free(paths: list[Path], overwrite: bool) -> None:
    if not overwrite and (there := [path for path in paths if path.exists()]):
        raise OutputError(f"{there[0]} exists (from --out)", "add --overwrite, or choose another folder")


def make(options: argparse.Namespace) -> int:
    """Write the page and the key of a study."""
    from common.reader_study.image_folders import find_images
    from common.reader_study.study import KEY, PAGE, Study, make_study, write_study

    places = [options.out / PAGE, options.out / KEY]
    _require_free(places, options.overwrite)
    names = ("design", "question", "slices", "trials", "window", "repeats")
    seed = secrets.randbits(62) if options.seed is None else options.seed  # nobody can guess
    study = Study(**{name: getattr(options, name) for name in names}, seed=seed)
    real = find_images(options.real, "real", options.real_name)
    synthetic = find_images(options.synthetic, "synthetic", options.synthetic_name)
    page, key = make_study(real, synthetic, study, reader_of(options))
    write_study(page, key, options.out)
    print("{question} {} trials, window {window[0]:g} to {window[1]:g}".format(len(key["trials"]), **key))
    print(f"for readers: {places[0]} ({places[0].stat().st_size / 1e6:.1f} MB)\nnot for readers: {places[1]}")
    return 0


def score(options: argparse.Namespace) -> int:
    """Print the scores of the readers, and write them with ``--out``."""
    from common.reader_study.scores import FILES, read_answers, read_key, scores_of, write_scores

    _require_free([options.out / name for name in FILES] if options.out else [], options.overwrite)
    key, trials = read_key(options.key)
    measures, counts = scores_of(key, read_answers(options.answers, key, trials))
    guesses = f"guesses are correct in {1 / len(key['choices']):.3g}"
    print(f"{key['question']} Study {key['study']}; {guesses}.\n")
    print(f"{measures.to_string(index=False, na_rep='', float_format='{:.3g}'.format)}\n\n{counts.to_string()}")
    if options.out:
        write_scores(options.out, measures, counts)
        print(f"written to {options.out}")
    return 0
