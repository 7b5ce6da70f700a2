"""Answers of the readers of a study, and their scores: accuracy with intervals, errors by kind, learning, agreement."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import DegenerateDataWarning, binomtest, bootstrap
from sklearn.metrics import cohen_kappa_score

from ..errors import DataError
from ..files import as_cell, parse_json, write_text
from .image_folders import REAL, SYNTHETIC
from .study import OF_CLASS, PAIR

COLUMNS = ["study", "reader", "position", "answer", "seconds"]
TRIAL = ["item", "answer", "repeat", "kind", "case"]
MEASURES = ["reader", "measure", "value", "low", "high", "n"]
FILES = ("scores.csv", "confusion.csv")
POOLED, BETWEEN = "(pooled)", "(between)"  # which the page accepts of no reader
Measure = tuple[str, float | None, float | None, float | None, int]
"""Name, value, its interval at 95 % and the number of answers; None where there is none."""


def read_key(path: Path) -> tuple[dict[str, Any], pd.DataFrame]:
    """The key of a study, and its trials by position from 1 (the columns ``TRIAL``).

    Raises:
        DataError: for a file that is none.
    """
    try:
        key = parse_json(path.read_text(encoding="utf-8"))
        trials = pd.DataFrame(key["trials"])[TRIAL].rename(columns={"answer": "truth"})
    except (OSError, ValueError, LookupError, TypeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no key of a study"
        raise DataError(f"cannot read --key {path} ({reason})", "pass the key.json of the study") from error
    return key, trials.set_index(pd.RangeIndex(1, len(trials) + 1, name="position"))


def read_answers(paths: Sequence[Path], key: Mapping[str, Any], trials: pd.DataFrame) -> pd.DataFrame:
    """Answers of all readers with the columns of their trials, by reader and position.

    Raises:
        DataError: for a file that is none of one reader's answers to each trial of this study, or two of one reader.
    """
    tables = [_answers(path, key, len(trials)) for path in paths]
    names = [table["reader"].iloc[0].casefold() for table in tables]
    if twice := [name for name in names if names.count(name) > 1]:
        raise DataError(f"--answers has several files of reader {twice[0]}", "pass one file of each reader")
    return pd.concat(tables).join(trials, on="position").sort_values(["reader", "position"])


def _answers(path: Path, key: Mapping[str, Any], count: int) -> pd.DataFrame:
    again = "save the file again from the page"
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, usecols=COLUMNS, index_col=False)
    except (OSError, ValueError) as error:
        named = str(error).startswith("Usecols")  # what pandas calls the columns
        reason = f"its columns are not {', '.join(COLUMNS)}, separated by commas" if named else error
        raise DataError(f"cannot read --answers {path} ({reason})", again) from error
    table = table[(table != "").any(axis=1)].reset_index(drop=True)  # a spreadsheet saves empty rows too
    if wrong := sorted({*table["study"]} - {key["study"]}):
        raise DataError(f"{path} answers the study {wrong[0]!r}, the key is of {key['study']}", "pass its key")
    if table["position"].tolist() != [str(position) for position in range(1, count + 1)]:
        fault = f"{path} has {len(table)} answers, not one to each of {count} trials in their order"
        raise DataError(fault, f"let the reader finish, and {again}")
    table["position"] = range(1, count + 1)
    table["seconds"] = pd.to_numeric(table["seconds"], errors="coerce")
    valid = table["answer"].isin(key["choices"]) & table["seconds"].between(0, np.inf, inclusive="left")
    valid &= (table["reader"] == table["reader"].iloc[0]) & (table["reader"] != "")
    if not valid.all():
        fault = f"{path}, line {np.argmin(valid) + 2} has no answer of {', '.join(key['choices'])}, number of seconds"
        raise DataError(f"{fault} or name of the reader of the first line", again)
    return table


def scores_of(key: Mapping[str, Any], answers: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Scores of the readers; answers to repeated trials count for the agreement of a reader's own answers alone.

    Returns:
        Measures (the columns ``MEASURES``), and counts of answers by reader, kind and truth.
    """
    once = answers[~answers["repeat"]]
    table = once.assign(correct=once["answer"] == once["truth"])
    correct = table.pivot(index="reader", columns="position", values="correct")
    trials = once.drop_duplicates("position")
    cases = pd.factorize(trials["case"])[0]
    parts = _parts(key, trials["kind"].to_numpy())
    rows: list[tuple[Any, ...]] = []
    for reader, own in answers.groupby("reader"):
        alone = correct.loc[[reader]].to_numpy()
        found = [_share(name, alone[0, part[0]]) for name, part in parts.items() if len(part) == 1]
        found += [_over_cases(name, alone, cases, part) for name, part in parts.items() if len(part) > 1]
        if len({*cases}) < len(cases):
            found.append(_over_cases("accuracy_over_cases", alone, cases, parts["accuracy"]))
        chance = float(binomtest(int(alone.sum()), alone.size, 1 / len(key["choices"])).pvalue)
        seconds = float(own.loc[~own["repeat"], "seconds"].median())
        found += [("p_chance", chance, None, None, alone.size), ("seconds_median", seconds, None, None, alone.size)]
        rows += [(reader, *measure) for measure in [*found, *_repeats(key, own)]]
    if len(correct) > 1:
        rows += [(POOLED, *_over_cases(name, correct.to_numpy(), cases, part)) for name, part in parts.items()]
        rows += [(BETWEEN, *measure) for measure in _agreement(once)]
    counts = pd.crosstab([once["reader"], once["kind"], once["truth"]], once["answer"])
    return pd.DataFrame(rows, columns=MEASURES), counts


def _parts(key: Mapping[str, Any], kinds: np.ndarray) -> dict[str, list[np.ndarray]]:
    """Trials (N,) of which a measure is the accuracy, by its name; of two, it is that of the first minus the second."""
    real, synthetic = kinds == REAL, kinds == SYNTHETIC
    late = np.arange(len(kinds)) >= len(kinds) // 2
    parts = {"accuracy": [real | synthetic], "learning": [late, ~late]}
    if key["about"] == OF_CLASS:
        return parts | {"real": [real], "synthetic": [synthetic], "synthetic_minus_real": [synthetic, real]}
    return parts if key["design"] == PAIR else parts | {"sensitivity": [synthetic], "specificity": [real]}


def _share(name: str, correct: np.ndarray) -> Measure:
    """Share of independent trials with Wilson's interval."""
    test = binomtest(int(correct.sum()), len(correct))
    low, high = test.proportion_ci(method="wilson")
    return name, float(test.statistic), float(low), float(high), len(correct)


def _over_cases(name: str, correct: np.ndarray, cases: np.ndarray, parts: Sequence[np.ndarray]) -> Measure:
    """Mean over readers and trials, or of a part minus that of another, with an interval over readers and cases.

    Readers and cases are drawn with replacement, each by itself: the pigeonhole bootstrap (Owen 2007, Annals of Applied
    Statistics 1, 386-411), which errs on the wide side. The interval of a single reader is about cases. ``correct`` is
    (readers, N), ``cases`` (N,) the index of each trial's case from 0, ``parts`` are one or two masks (N,).
    """
    samples = [np.arange(cases.max() + 1)] + ([np.arange(len(correct))] if len(correct) > 1 else [])

    def mean(drawn: np.ndarray, readers: np.ndarray | slice = slice(None)) -> float:
        weights = np.bincount(drawn, minlength=len(samples[0]))[cases]
        shares = weights * correct[readers].mean(0)
        with np.errstate(invalid="ignore"):  # a draw may have none of the trials of a part
            means = [shares[part].sum() / weights[part].sum() for part in parts]
        return float(means[0] - sum(means[1:]))

    low = high = None
    if len(samples[0]) > 1:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DegenerateDataWarning)
            options: dict[str, Any] = {"n_resamples": 4000, "method": "percentile", "vectorized": False}
            draws = bootstrap(samples, mean, random_state=0, **options).bootstrap_distribution
        low, high = np.nanquantile(draws, [0.025, 0.975]).tolist()
    n = int(np.any(parts, axis=0).sum()) * len(correct)
    return (name, mean(*samples), low, high, n) if low != high else (name, mean(*samples), None, None, n)


def _repeats(key: Mapping[str, Any], own: pd.DataFrame) -> Iterator[Measure]:
    """Agreement of a reader's answers to repeated trials; those with the sides of the images changed are turned."""
    if own["repeat"].any():
        again = own[own["repeat"]]
        before = own[~own["repeat"]].set_index("item").loc[again["item"]]
        other = dict(zip(key["choices"], key["choices"][::-1], strict=True))
        seen = again["answer"].where(
            again["truth"].to_numpy() == before["truth"].to_numpy(), again["answer"].map(other)
        )
        yield _share("repeats_same", before["answer"].to_numpy() == seen.to_numpy())
        yield "repeats_kappa", _cohen(before["answer"], seen), None, None, len(again)


def _cohen(first: pd.Series, second: pd.Series) -> float | None:
    """Cohen's kappa; None where both have one answer throughout."""
    return float(cohen_kappa_score(first, second)) if len({*first, *second}) > 1 else None


def _agreement(once: pd.DataFrame) -> Iterator[Measure]:
    """Share of equal answers and Cohen's kappa of each two readers, and the mean kappa (Light 1971)."""
    seen = once.pivot(index="position", columns="reader", values="answer")
    kappas = []
    for one, other in combinations(seen.columns, 2):
        yield f"same: {one}, {other}", float((seen[one] == seen[other]).mean()), None, None, len(seen)
        kappas.append(_cohen(seen[one], seen[other]))
        yield f"cohen: {one}, {other}", kappas[-1], None, None, len(seen)
    if len(kappas) > 1:
        yield "cohen, mean", float(pd.Series(kappas, dtype=float).mean()), None, None, len(seen)


def write_scores(out: Path, measures: pd.DataFrame, counts: pd.DataFrame) -> None:
    """Write ``scores.csv`` and ``confusion.csv``.

    Raises:
        OutputError: a file cannot be written.
    """
    for name, table in zip(FILES, (measures, counts.reset_index()), strict=True):
        write_text(out / name, table.map(as_cell).to_csv(index=False, lineterminator="\n"))
