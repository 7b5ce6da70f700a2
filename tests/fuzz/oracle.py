"""The oracle of a fuzzed command: what is a fault, whatever was mutated, and what is not."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tests.fuzz import results
from tests.fuzz.mutation import Mutation, Rule
from tests.fuzz.running import Done
from tests.fuzz.scenes import Scene

FOUND = "FOUND"
REFUSED = "refused"
COMPONENT = "refused, in a component's words"
MONAI = "MONAI's own"
FAILED = "case failed"
EQUAL = "same result"
WARNED = "other result, with a warning"
MEANT = "other result, as the option means"
VALID = "other valid input"

REASON = re.compile(r"(?!.* (\(\)|is )[:;] |[^(]*, but got )(.+[:;] .+|.+ must .+)")
"""Fault and remedy, or a fault that says what must be; no empty value, and no rule in the place of the fault."""
LINE = re.compile(f"error: {REASON.pattern}")
OF_COMPONENT = re.compile(r": \S+ refuses the settings of --")
OF_FIRE = "For detailed information on this command, run:"
FOREIGN = re.compile(
    r"list index out of range|has no attribute|not subscriptable|unsupported operand|'NoneType'|is not iterable"
    r"|not callable|unexpected keyword|positional argument|<[\w.]+ object at 0x|<function |<class '|referenced before"
    r"|maximum recursion|^(\w+\.)*\w*(Error|Exception|Warning)\b: |: KeyError|\bbad operand|can't convert|not supported"
    r" between|cannot unpack|invalid literal|could not convert|incompatible function arguments"
)
"""What an error of a program says that met what its author had not thought of."""
OF_PROJECT = re.compile(r'File "[^"]*/(common|bundles/\w+|medical_image_synthesis)/[^"]*\.py"')
OF_RUNNING = re.compile(r"in (_run_expr|get_parsed_content|_get_parsed_content|instantiate|evaluate)$", re.MULTILINE)
"""Functions of MONAI under which the project's settings have been looked at, or could have been."""
TOLERANCE = 0.05
"""Of results by weights in half precision, relative to their largest value."""
MEANINGS = (
    "output_dtype", "output_format", "format", "samples", "classes", "suffix", "output", "unit", "modality", "dtype",
    "fractions", "counts", "seed", "mask", "source", "target", "patient_separator", "layout", "root", "out",
    "value_range", "report", "series", "nan_fill", "dataset_dir", "data", "key", "datalist", "bundle", "weights",
    "predictions_dir", "multiple_of",
)  # fmt: skip
"""Options whose value is what the result is, or what it is of: another value is another valid result. ``multiple_of``
is how far a slice is padded, which a network without pooling takes as any, and sees at the edges."""


@dataclass
class Verdict:
    """What came of a command; ``reasons`` are its faults."""

    outcome: str
    reasons: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Case:
    """A command that has run, with all that it is assessed by.

    Args:
        scene: the command.
        mutation: of it.
        done: how it ended.
        out: its outputs.
        box: its folder, whose name is replaced in what it said.
        changed: inputs that it changed or removed.
        strays: files that it wrote outside of its output folder.
        said: what the unmutated command said, on stdout alone under ``stdout``.
        baseline: the results of the unmutated command.
    """

    scene: Scene
    mutation: Mutation
    done: Done
    out: Path
    box: Path
    changed: Sequence[str]
    strays: Sequence[str]
    said: Mapping[str, str]
    baseline: results.Results

    @property
    def text(self) -> str:
        return self.done.text.replace(str(self.box), "{box}")


def assess(case: Case) -> Verdict:
    """The outcome, and every fault that can be seen."""
    reasons = [f"an input was changed: {name}" for name in case.changed]
    reasons += [f"a file outside the output folder: {name}" for name in case.strays]
    if case.done.hung:
        return Verdict(FOUND, [*reasons, f"still running after {case.done.seconds:.0f} s"])
    if "Traceback (most recent call last)" in case.text and not _only_of_logging(case):
        if _is_of_monai(case) and not reasons:
            return Verdict(MONAI)
        return Verdict(FOUND, [*reasons, f"a traceback: {_last(case.done.stderr)[:300]}"])
    if case.mutation.rule is Rule.STREAM and case.done.returncode in (0, 1, 2, -signal.SIGPIPE):
        return _unheard(case, reasons)
    ends = {0: _ended_well, 1: _some_failed, 2: _refused}
    if case.done.returncode not in ends:
        return Verdict(FOUND, [*reasons, f"exit code {case.done.returncode}: {_last(case.done.stderr)[:300]}"])
    verdict = ends[case.done.returncode](case)
    reasons += verdict.reasons
    return Verdict(FOUND if reasons else verdict.outcome, reasons)


def _only_of_logging(case: Case) -> bool:
    """Whether every traceback is about a line that could not be logged, before any code of the project was run."""
    before, *errors = case.text.split("--- Logging error ---")
    logged = "Traceback" not in before and all(error.count("Traceback") == 1 for error in errors)
    return case.mutation.rule is Rule.STREAM and logged and not any(map(OF_PROJECT.search, errors))


def _is_of_monai(case: Case) -> bool:
    """Whether MONAI's own reading of the command line and the files failed, before any code of the project was run.

    No frame of the project is in the traceback, nor one of the functions by which MONAI evaluates settings.
    """
    trace = case.done.stderr[case.done.stderr.index("Traceback") :] if "Traceback" in case.done.stderr else ""
    return (
        case.mutation.of_monai
        and case.done.returncode == 1
        and bool(trace)
        and not (OF_PROJECT.search(trace) or OF_RUNNING.search(trace))
    )


def _refused(case: Case) -> Verdict:
    line = _last(case.done.stderr)
    if case.mutation.of_monai and OF_FIRE in case.done.stderr:
        return Verdict(MONAI)
    if case.scene.name.startswith("check") and not line.startswith("error: "):
        return _checked(case)
    if not LINE.fullmatch(line):
        return Verdict(FOUND, [f"the last line is not of the form error: fault: remedy: {line[:400]!r}"])
    return _worded(line, REFUSED)


def _checked(case: Case) -> Verdict:
    """A data check that found errors prints them, and their number in the end."""
    errors = [line for line in case.done.stdout.splitlines() if line.startswith("error: ")]
    wrong = [line for line in errors if not LINE.fullmatch(line) or FOREIGN.search(line)]
    if not errors or wrong:
        return Verdict(
            FOUND, [f"exit code 2 without errors in the house's form: {(wrong or case.done.stdout[-300:])!r}"]
        )
    return Verdict(REFUSED)


def _worded(reason: str, outcome: str) -> Verdict:
    if OF_COMPONENT.search(reason):
        return Verdict(COMPONENT)
    if found := FOREIGN.search(reason.replace("error: ", "", 1)):
        return Verdict(FOUND, [f"a foreign exception's words ({found.group()}): {reason[:400]}"])
    return Verdict(outcome)


def _some_failed(case: Case) -> Verdict:
    """Exit code 1: failed cases with their reasons in the manifest, and all others done as without the mutation."""
    failed = {str(entry.get("case")): str(entry.get("reason")) for entry in results.manifest(case.out)
              if entry.get("status") == "failed"}  # fmt: skip
    if not failed and case.scene.name == "synthesize" and LINE.fullmatch(_last(case.done.stderr)):
        failed = {case.mutation.case: _last(case.done.stderr).removeprefix("error: ")}  # its manifest was temporary
    if not failed:
        return Verdict(FOUND, [f"exit code 1 without failed cases in a manifest: {_last(case.done.stderr)[:300]}"])
    reasons = [f"a failed case's reason is not of the house's form: {reason[:400]}" for reason in failed.values()
               if not REASON.fullmatch(reason)]  # fmt: skip
    reasons += [text for reason in failed.values() for text in _worded(reason, FAILED).reasons]
    if case.mutation.case and case.scene.name != "synthesize":  # which has this case alone
        reasons += [
            f"a sound case failed: {name}: {failed[name][:300]}" for name in failed.keys() - {case.mutation.case}
        ]
        reasons += _differences(case, but=case.mutation.case)
    return Verdict(FOUND if reasons else FAILED, reasons)


def _ended_well(case: Case) -> Verdict:
    if case.mutation.rule is Rule.REFUSED:
        return Verdict(FOUND, [f"exit code 0, though this {Rule.REFUSED.value}"])
    try:
        made = results.results(case.out, case.done.stdout.replace(str(case.box), "{box}"), not case.scene.configs)
    except Exception as error:  # a damaged output has many
        return Verdict(FOUND, [f"outputs that cannot be read: {error!r}"])
    made = results.renamed(made, case.mutation.renamed)
    if case.mutation.writes or case.mutation.rule is Rule.FRESH:  # into a folder that may hold other files
        made = {name: value for name, value in made.items() if name in case.baseline}
    if broken := results.not_finite(made):
        return Verdict(FOUND, [f"results that are not finite: {broken}"])
    return {
        Rule.SAME: _as_before,
        Rule.SOURCE: _as_source,
        Rule.FINITE: _valid,
        Rule.CLOSE: _close,
        Rule.EQUAL: _equal,
        Rule.FRESH: _equal,
    }[case.mutation.rule](case, made)


def _explained(case: Case) -> bool:
    """Whether a new warning names what was mutated."""
    warnings = results.new_warnings(case.text, case.said["text"])
    return any(not case.mutation.named or any(name in line for name in case.mutation.named) for line in warnings)


def _as_before(case: Case, made: results.Results) -> Verdict:
    differing = _different(case.baseline, made)
    if not differing:
        return Verdict(EQUAL)
    if case.mutation.kind == "datalist content" and case.mutation.case and not case.scene.whole:
        reasons = _differences(case, but=case.mutation.case)  # that case is another one, or gone
        return Verdict(FOUND if reasons else VALID, reasons)
    if _explained(case):
        return Verdict(WARNED)
    if case.scene.name.startswith("check"):  # it says how many cases it checked
        return Verdict(VALID)
    if case.mutation.named and {part for name in case.mutation.named for part in name.split("::")} & {*MEANINGS}:
        return Verdict(MEANT)
    return Verdict(FOUND, [f"another result without a line that says why: {', '.join(differing)[:300]}"])


def _valid(case: Case, made: results.Results) -> Verdict:
    """Another valid input: the same kinds of results; options of a training are in its record."""
    if not _different(case.baseline, made):
        return Verdict(EQUAL)
    if case.mutation.kind.startswith("option") and not _is_recorded(case):
        return Verdict(FOUND, ["another result, and the option is not in run.json"])
    if not made:
        return Verdict(FOUND, ["exit code 0 without results"])
    return Verdict(VALID)


def _is_recorded(case: Case) -> bool:
    record = next(case.out.rglob("run.json"), None)  # a variant has a folder of its own
    if record is None:
        return False
    config = json.loads(record.read_text())["config"]
    name = case.mutation.named[0]
    value: Any = config
    for part in name.split("::"):
        value = value[int(part)] if isinstance(value, list) and part.isdigit() else dict(value).get(part, KeyError)
    return value is not KeyError


def _equal(case: Case, made: results.Results) -> Verdict:
    differing = _different(case.baseline, made)
    reasons = [f"another result than that of the equivalent command: {', '.join(differing)[:300]}"] if differing else []
    if case.mutation.rule is Rule.FRESH and case.mutation.case:
        others = [entry for entry in results.manifest(case.out) if entry.get("case") != case.mutation.case]
        again = [str(entry.get("case")) for entry in others if entry.get("status") != "kept"]
        reasons += [f"a case whose source, options and output are unchanged was made again: {name}" for name in again]
    return Verdict(FOUND if reasons else EQUAL, reasons)


def _unheard(case: Case, reasons: list[str]) -> Verdict:
    """The files of a command whose words went nowhere, and the line about it where that can be read."""
    made = results.results(case.out, "", not case.scene.configs)
    differing = _different({**case.baseline, "stdout": ""}, {**made, "stdout": ""})
    if differing:
        reasons.append(f"files missing or changed: {', '.join(differing)[:300]}")
    if (
        case.done.returncode > 0
        and "stderr" not in case.mutation.streams
        and not LINE.fullmatch(_last(case.done.stderr))
    ):
        reasons.append(f"the last line is not of the form error: fault: remedy: {_last(case.done.stderr)[:400]!r}")
    return Verdict(FOUND if reasons else EQUAL, reasons)


def _close(case: Case, made: results.Results) -> Verdict:
    differing = _different(case.baseline, made, TOLERANCE)
    reasons = [f"results differ by more than the rounding of weights: {differing}"] if differing else []
    return Verdict(FOUND if reasons else EQUAL, reasons)


def _as_source(case: Case, made: results.Results) -> Verdict:
    """A mutated NIfTI file that the command accepted, compared with what nibabel reads from it."""
    assert case.mutation.volume is not None
    path, content = case.mutation.volume
    now = results.as_nibabel_reads(path.read_bytes(), case.box, path.name) if path.is_file() else None
    before = results.as_nibabel_reads(content, case.box, path.name)
    assert before is not None, path
    if now is None:
        if not _different(case.baseline, made):
            return Verdict(EQUAL)
        explained = _explained(case)
        return (
            Verdict(WARNED) if explained else Verdict(FOUND, ["nibabel does not read the volume, and no line says so"])
        )
    if results.same(now[0], before[0]) and results.same(now[1], before[1]):
        return _as_before(case, made)
    others = [] if case.scene.whole else _differences(case, but=case.mutation.case)
    grids = [] if case.scene.whole or _explained(case) else _off_grid(made, case.mutation.case, now)
    reasons = [*others, *grids]
    return Verdict(FOUND if reasons else VALID, reasons)


def _off_grid(made: results.Results, case: str, source: tuple[np.ndarray, np.ndarray]) -> list[str]:
    """The volumes of a case that are not on the grid of their source."""
    values, affine = source
    found = []
    for name, volume in made.items():
        if name.startswith(f"{case}_") and f"{name} affine" in made and name.endswith((".nii.gz", ".nii")):
            shape, own = values.shape[:3], made[f"{name} affine"]
            if volume.shape != shape or not np.allclose(own, affine, rtol=1e-4, atol=1e-3):
                found.append(f"{name} has shape {volume.shape} and affine {own.tolist()}, its source {shape} and "
                             f"{affine.tolist()}, and no line says why")  # fmt: skip
    return found


def _different(baseline: results.Results, made: results.Results, tolerance: float = 0.0) -> list[str]:
    names = sorted(baseline.keys() | made.keys())
    return [
        name
        for name in names
        if name not in baseline or name not in made or not results.same(made[name], baseline[name], tolerance)
    ]


def _differences(case: Case, but: str) -> list[str]:
    """Results of the other cases that are not those of the unmutated command."""
    made = results.results(case.out, "", texts=False)
    expected = {
        name: value for name, value in case.baseline.items() if not name.startswith(f"{but}_") and name != "stdout"
    }
    wrong = [name for name in expected if name not in made or not results.same(made[name], expected[name])]
    return [f"the result of another case changed or is missing: {name}" for name in wrong]


def _last(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1].strip() if lines else ""
