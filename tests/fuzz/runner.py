"""The commands of a seed, one after another or two at a time; their record, from which a stopped run goes on."""

from __future__ import annotations

import json
import os
import random
import shutil
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from tests.fuzz import datalists, dicom, names, nifti, options, results, resumed, surroundings, weights
from tests.fuzz.mutation import Mutation, Mutator, Rule, Target
from tests.fuzz.oracle import FOUND, Case, Verdict, assess
from tests.fuzz.prepare import code_hash
from tests.fuzz.running import Done, changes, listing, run, snapshot
from tests.fuzz.scenes import ROOT, Scene, baseline, scenes

MUTATORS: Mapping[str, Mutator] = {
    "option": options.mutate,
    "overlay": options.mutate_overlay,
    "nifti": nifti.mutate,
    "dicom": dicom.mutate,
    "datalist": datalists.mutate,
    "weights": weights.mutate,
    "sidecar": weights.mutate_sidecar,
    "run": weights.mutate_run,
    "output": weights.mutate_output,
    "name": names.mutate,
    "change": resumed.mutate,
    "environment": surroundings.mutate_environment,
    "stream": surroundings.mutate_stream,
}
KEPT_BYTES = 20 * 2**20
"""Of the inputs of a command that found something."""
RECORD = "record.jsonl"
CACHES = ("home/.cache", "home/.config", "tmp/torchinductor_")
"""Where libraries keep what they have computed for all programs of a user, such as matplotlib's list of fonts."""


@dataclass(frozen=True)
class Row:
    """One command in the record."""

    seed: int
    index: int
    code: str
    scene: str
    kind: str
    what: str
    outcome: str
    reasons: list[str]
    returncode: int
    seconds: float
    words: list[str]


class Fuzzer:
    """Runs the commands of a seed.

    Args:
        seed: of all; with its number it alone decides a command and its mutation.
        folder: receives the record, and what belongs to each command that found something.
        prepared: what the commands begin from.
    """

    def __init__(self, seed: int, folder: Path, prepared: Path) -> None:
        self.seed = seed
        self.folder = folder
        self.prepared = prepared
        self.scenes = scenes()
        self.code = code_hash()
        self._writing = threading.Lock()
        self._shipped = listing(ROOT / "bundles")
        self._baselines: dict[str, results.Results] = {}

    def choose(self, index: int) -> tuple[random.Random, Scene, str]:
        """The command of a number, the kind of its mutation, and what decides the rest."""
        rng = random.Random(f"{self.seed}/{index}")
        scene = rng.choices(self.scenes, [each.share for each in self.scenes])[0]
        kind = rng.choices(list(scene.kinds), list(scene.kinds.values()))[0]
        return rng, scene, kind

    def fuzz(self, index: int) -> Row:
        """mutate, run and assess one command, and add it to the record."""
        rng, scene, kind = self.choose(index)
        box = self.folder / f"{self.seed}-{index:05}"
        shutil.rmtree(box, ignore_errors=True)
        scene.lay_out(self.prepared, box)
        target = Target(scene, box, self.prepared, scene.options)
        mutation = MUTATORS[kind](rng, target)
        changed = scene if mutation.program is None else replace(scene, program=mutation.program)
        words = changed.words(scene.options if mutation.options is None else mutation.options, box)
        if kind == "overlay":
            words = options.with_overlay(words, target.inputs / "mine.yaml")
        done, verdict = self._assessed(scene, mutation, words, box)
        row = Row(
            self.seed, index, self.code, scene.name, mutation.kind, mutation.what.replace(str(box), "{box}"),
            verdict.outcome, verdict.reasons, done.returncode, round(done.seconds, 2), words,
        )  # fmt: skip
        self._record(row)
        self._tidy(box, row, done)
        return row

    def _assessed(self, scene: Scene, mutation: Mutation, words: list[str], box: Path) -> tuple[Done, Verdict]:
        out = box / "out"
        kept = {str(path.relative_to(box)) for pattern in scene.kept for path in out.glob(pattern)}
        before = snapshot(box)
        done = run(words, box, mutation.environment, mutation.streams)
        after = snapshot(box)
        places = [out, *mutation.writes]
        changed, new = changes(before, after)
        changed = [name for name in changed if name in kept or not _within(box / name, places)]
        new = [name for name in new if not name.startswith(CACHES)]
        strays = [name for name in new if not _within(box / name, places) and not _holds(box / name, places)]
        shipped = listing(ROOT / "bundles")
        strays += [f"bundles/{name}" for name in sorted(shipped.items() ^ self._shipped.items())]
        said = json.loads((baseline(self.prepared, scene) / "said.json").read_text())
        given = next((place for place in (out, *mutation.writes) if os.path.isdir(place) and os.listdir(place)), out)
        baseline_results = self._results_of(scene, said)
        if mutation.rule is Rule.FRESH and done.returncode == 0:
            options = resumed.fresh(scene.options if mutation.options is None else mutation.options)
            again = run(scene.words(options, box), box)
            if again.returncode != 0:
                reasons = [f"ends well, though the same command into an empty folder does not: {again.stderr[-300:]}"]
                return done, Verdict(FOUND, reasons)
            baseline_results = results.results(box / "fresh", "", texts=False)
        case = Case(scene, mutation, done, given, box, changed, strays, said, baseline_results)
        return done, assess(case)

    def _results_of(self, scene: Scene, said: Mapping[str, str]) -> results.Results:
        if scene.name not in self._baselines:
            out = baseline(self.prepared, scene) / "out"
            self._baselines[scene.name] = results.results(out, said["stdout"], texts=not scene.configs)
        return self._baselines[scene.name]

    def _record(self, row: Row) -> None:
        with self._writing, (self.folder / RECORD).open("a") as file:
            file.write(json.dumps(asdict(row)) + "\n")

    def _tidy(self, box: Path, row: Row, done: Done) -> None:
        """Remove the command's folder; where it found something, keep what it began from and what it said."""
        if row.outcome == FOUND:
            kept = self.folder / "found" / box.name
            shutil.rmtree(kept, ignore_errors=True)
            kept.mkdir(parents=True)
            (kept / "row.json").write_text(json.dumps(asdict(row), indent=1))
            (kept / "stdout.txt").write_text(done.stdout[-100_000:])
            (kept / "stderr.txt").write_text(done.stderr[-100_000:])
            regular = [path for path in box.rglob("*") if path.is_file() and not path.is_symlink()]
            if sum(path.stat().st_size for path in regular) < KEPT_BYTES:
                (box / "in").rename(kept / "in")
        shutil.rmtree(box, ignore_errors=True)


def _within(path: Path, places: list[Path]) -> bool:
    return any(path == place or place in path.parents for place in places)


def _holds(path: Path, places: list[Path]) -> bool:
    """Whether a folder is one that an output folder lies in."""
    return any(path in place.parents for place in places)


def recorded(folder: Path, seed: int, code: str) -> dict[int, Row]:
    """The commands of a seed that an earlier run with the same code has finished, by their number."""
    path = folder / RECORD
    rows = [Row(**json.loads(line)) for line in path.read_text().splitlines()] if path.is_file() else []
    return {row.index: row for row in rows if row.seed == seed and row.code == code}


def fuzz_all(fuzzer: Fuzzer, indices: Iterable[int], jobs: int, tell: Callable[[Row], None]) -> list[Row]:
    """Run the commands of these numbers, so many at a time, and tell of each."""

    def one(index: int) -> Row:
        row = fuzzer.fuzz(index)
        tell(row)
        return row

    with ThreadPoolExecutor(jobs) as pool:
        return list(pool.map(one, indices))


def table(rows: list[Row]) -> str:
    """Counts by kind of mutation and outcome."""
    kinds = sorted({row.kind.partition(" ")[0] for row in rows})
    counts = Counter((row.kind.partition(" ")[0], row.outcome) for row in rows)
    outcomes = [name for name, _ in Counter(row.outcome for row in rows).most_common()]
    lines = [f"{'':34}" + "".join(f"{kind:>10}" for kind in kinds) + f"{'all':>10}"]
    for outcome in outcomes:
        numbers = [counts[kind, outcome] for kind in kinds]
        lines.append(f"{outcome:34}" + "".join(f"{number:10}" for number in (*numbers, sum(numbers))))
    numbers = [sum(counts[kind, outcome] for outcome in outcomes) for kind in kinds]
    return "\n".join([*lines, f"{'all':34}" + "".join(f"{number:10}" for number in (*numbers, sum(numbers)))])


def by_scene(rows: list[Row]) -> str:
    """Counts by command."""
    counts = Counter(row.scene for row in rows)
    return "\n".join(f"{number:5} {name}" for name, number in sorted(counts.items()))
