"""The oracle of the fuzzer: each planted fault is found, and what is none is not."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from tests.fuzz import oracle
from tests.fuzz.mutation import Mutation, Rule
from tests.fuzz.oracle import Case
from tests.fuzz.results import results
from tests.fuzz.running import Done, changes, snapshot
from tests.fuzz.scenes import ROOT, Scene

HOUSE = "error: --lr is -1, not above zero: give a positive number"
TRACE = """Traceback (most recent call last):
  File "/x/monai/bundle/scripts.py", line 1, in run
    parser.update(pairs=override)
{frame}KeyError: 'trian'
"""
OF_PROJECT = f'  File "{ROOT}/common/data/cases.py", line 3, in find\n    raise\n'
OF_SETTINGS = '  File "/x/monai/bundle/workflows.py", line 3, in _run_expr\n    raise\n'
RAMP = np.arange(60, dtype=np.float32).reshape(3, 4, 5)


def save(path: Path, values: np.ndarray = RAMP, affine: np.ndarray | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(values, np.diag([2.0, 3, 4, 1]) if affine is None else affine), path)
    return path


@pytest.fixture
def case(tmp_path: Path) -> Callable[..., Case]:
    """A command on the case ``a`` whose outputs are those of the unmutated one, with some parts otherwise."""
    out = tmp_path / "box" / "out"
    for name in ("a_ct.nii.gz", "b_ct.nii.gz"):
        save(out / name)
    baseline = results(out, "", texts=False)
    config = (ROOT / "bundles" / "mr2ct_pix2pix" / "configs" / "inference.yaml",)
    scene = Scene("inference", ("-c", ""), {}, 1, {}, configs=config)

    def made(rule: Rule = Rule.SAME, code: int = 0, out_text: str = "", err: str = "", **more: Any) -> Case:
        mutation = Mutation("nifti field", "a", rule, "a")
        done = Done(code, out_text, err, 1.0, more.pop("hung", False))
        mutation = replace(mutation, **{key: more.pop(key) for key in list(more) if hasattr(mutation, key)})
        said = {"text": "12:00:00 WARNING x: as always", "stdout": ""}
        return replace(Case(scene, mutation, done, out, tmp_path / "box", [], [], said, baseline), **more)

    return made


def outcome(case: Case) -> str:
    return oracle.assess(case).outcome


def fault(case: Case) -> str:
    verdict = oracle.assess(case)
    assert verdict.outcome == oracle.FOUND
    return "; ".join(verdict.reasons)


def test_a_sound_command(case) -> None:
    assert outcome(case()) == oracle.EQUAL
    for line in (HOUSE, "error: no weights at model.pt: train it first", "error: --output must differ from SOURCE"):
        assert outcome(case(code=2, err=f"more\n{line}\n")) == oracle.REFUSED


def test_an_end_without_the_line_of_the_house(case) -> None:
    assert "the last line is not of the form" in fault(case(code=2, err=f"{HOUSE}\nbye"))
    assert "the last line is not of the form" in fault(case(code=2, err="error: no idea"))
    assert "the last line is not of the form" in fault(case(code=2, err="error: x: is y, but got ; mend it"))
    assert "exit code 3" in fault(case(code=3, err=HOUSE))
    assert "exit code -11" in fault(case(code=-11))
    assert "still running" in fault(case(code=-9, hung=True))


@pytest.mark.parametrize(
    "words", ["list index out of range", "'NoneType' object has no attribute 'x'", "<monai.X object at 0x7f>"]
)
def test_the_words_of_a_foreign_exception(case, words: str) -> None:
    assert "a foreign exception's words" in fault(case(code=2, err=f"error: cannot read case ({words}): copy it again"))


def test_the_words_of_a_component_are_counted_apart(case) -> None:
    line = "error: DataLoader refuses the settings of --loader (TypeError: 'x' is not iterable): change its settings"
    assert outcome(case(code=2, err=line)) == oracle.COMPONENT


def test_tracebacks(case) -> None:
    own = {"code": 1, "of_monai": True}
    assert outcome(case(err=TRACE.format(frame=""), **own)) == oracle.MONAI
    assert "a traceback: KeyError: 'trian'" in fault(case(err=TRACE.format(frame=""), code=1))
    assert "a traceback" in fault(case(err=TRACE.format(frame=OF_PROJECT), **own))
    assert "a traceback" in fault(case(err=TRACE.format(frame=OF_SETTINGS), **own))
    assert "a traceback" in fault(case(out_text=TRACE.format(frame=""), code=0))


def test_inputs_that_change_and_files_elsewhere(case, tmp_path: Path) -> None:
    box = tmp_path / "files"
    save(box / "in" / "a.nii.gz")
    (box / "in" / "link").symlink_to("nowhere")
    before = snapshot(box)
    assert changes(before, snapshot(box)) == ([], [])
    with (box / "in" / "a.nii.gz").open("ab") as file:
        file.write(b"\0")
    (box / "in" / "link").unlink()
    (box / "stray").touch()
    changed, new = changes(before, snapshot(box))
    assert (changed, new) == (["in/a.nii.gz", "in/link"], ["stray"])
    assert "an input was changed: in/a.nii.gz" in fault(case(changed=changed))
    assert "a file outside the output folder: stray" in fault(case(strays=new, code=2, err=HOUSE))


def test_another_result_needs_a_line_that_says_why(case) -> None:
    sound = case()
    save(sound.out / "b_ct.nii.gz", RAMP + 1)
    assert "another result without a line that says why: b_ct.nii.gz" in fault(sound)
    assert "another result" in fault(case(out_text="12:00:00 WARNING x: as always")), "as without the mutation"
    assert "another result" in fault(case(out_text="12:00:00 INFO x: done"))
    assert outcome(case(out_text="12:34:56 WARNING x: a: the unit is metres")) == oracle.WARNED
    assert outcome(case(out_text="12:34:56 WARNING x: --lr is new", named=("lr",))) == oracle.WARNED
    assert "another result" in fault(case(out_text="12:34:56 WARNING x: a: the unit", named=("lr",)))
    (sound.out / "b_ct.nii.gz").unlink()
    assert "another result without a line that says why: b_ct.nii.gz" in fault(sound)


def test_an_option_that_is_the_result_needs_no_line_and_others_do(case) -> None:
    save(case().out / "a_ct.nii.gz", RAMP * 2)
    assert outcome(case(kind="option value", named=("exporter::output_dtype", "output_dtype"))) == oracle.MEANT
    assert "another result" in fault(case(kind="option value", named=("inference_batch",)))


def test_results_by_another_name_are_those_of_their_own_case(case, tmp_path: Path) -> None:
    names = {"a#1": "a", "a#2": "b"}
    out = tmp_path / "named"
    save(out / "a#1_ct.nii.gz")
    save(out / "a#2_ct.nii.gz")
    assert outcome(case(Rule.EQUAL, out=out, renamed=names)) == oracle.EQUAL
    save(out / "a#2_ct.nii.gz", RAMP + 1)
    warned = "12:00:00 WARNING x: another name"
    assert "another result" in fault(case(Rule.EQUAL, out_text=warned, out=out, renamed=names))
    (out / "a#2_ct.nii.gz").unlink()
    assert "b_ct.nii.gz" in fault(case(Rule.EQUAL, out=out, renamed=names))


def test_what_was_kept_is_that_of_an_empty_folder(case, tmp_path: Path) -> None:
    fresh = results(save(tmp_path / "fresh" / "a_ct.nii.gz").parent, "", texts=False)
    assert outcome(case(Rule.FRESH, baseline=fresh)) == oracle.EQUAL
    fresh["a_ct.nii.gz"] = fresh["a_ct.nii.gz"] + 1
    assert "a_ct.nii.gz" in fault(case(Rule.FRESH, baseline=fresh))


def test_files_stay_where_words_go_nowhere(case) -> None:
    def silent(**more: Any) -> Case:
        return case(Rule.STREAM, streams={"stdout": "full"}, **more)

    assert outcome(silent()) == oracle.EQUAL
    assert outcome(silent(code=1, err=HOUSE)) == oracle.EQUAL
    assert "the last line is not of the form" in fault(silent(code=1, err="OSError"))
    assert "exit code 120" in fault(silent(code=120))
    assert outcome(silent(code=-13)) == oracle.EQUAL, "SIGPIPE, as any command ends before head"
    (silent().out / "a_ct.nii.gz").unlink()
    assert "files missing or changed: a_ct.nii.gz" in fault(silent())


def test_what_must_be_refused(case) -> None:
    assert "exit code 0, though this never ends well" in fault(case(Rule.REFUSED))


def test_values_that_are_not_finite(case) -> None:
    save(case().out / "a_ct.nii.gz", np.full_like(RAMP, np.inf))
    assert "results that are not finite: ['a_ct.nii.gz']" in fault(case(Rule.FINITE))


def test_rounded_weights_change_results_a_little(case) -> None:
    save(case().out / "a_ct.nii.gz", RAMP + 0.5)
    assert outcome(case(Rule.CLOSE)) == oracle.EQUAL
    save(case().out / "a_ct.nii.gz", RAMP + 5)
    assert "results differ by more than the rounding" in fault(case(Rule.CLOSE))


@pytest.fixture
def source(tmp_path: Path) -> tuple[Path, bytes]:
    """The volume of the case ``a``, and its bytes before the mutation."""
    path = save(tmp_path / "box" / "in" / "a" / "mr.nii.gz")
    return path, path.read_bytes()


def test_a_volume_that_reads_the_same_gives_the_same(case, source) -> None:
    save(source[0], RAMP.astype(np.float64))
    assert outcome(case(Rule.SOURCE, volume=source)) == oracle.EQUAL
    save(case().out / "a_ct.nii.gz", RAMP + 1)
    assert "another result without a line" in fault(case(Rule.SOURCE, volume=source))


def test_another_volume_gives_a_result_on_its_grid(case, source) -> None:
    save(source[0], RAMP, np.diag([2.0, 3, 9, 1]))
    assert "a_ct.nii.gz has shape (3, 4, 5) and affine" in fault(case(Rule.SOURCE, volume=source))
    assert outcome(case(Rule.SOURCE, volume=source, out_text="WARNING a (mr.nii.gz): micrometres")) == oracle.VALID
    save(case().out / "a_ct.nii.gz", RAMP, np.diag([2.0, 3, 9, 1]))
    assert outcome(case(Rule.SOURCE, volume=source)) == oracle.VALID
    save(case().out / "b_ct.nii.gz", RAMP + 1)
    assert "the result of another case changed" in fault(case(Rule.SOURCE, volume=source))


def test_a_volume_that_nibabel_does_not_read(case, source) -> None:
    source[0].write_bytes(b"junk")
    save(case().out / "a_ct.nii.gz", RAMP + 1)
    assert "nibabel does not read the volume" in fault(case(Rule.SOURCE, volume=source))


def test_after_one_change_of_a_case_the_other_is_kept(case) -> None:
    listed = [{"case": "a", "status": "done"}, {"case": "b", "status": "kept"}]
    path = (sound := case()).out / "manifest.json"
    path.write_text(json.dumps(listed))
    assert sound.mutation.case == "a"
    assert outcome(case(Rule.FRESH)) == oracle.EQUAL
    path.write_text(json.dumps([{**each, "status": "done"} for each in listed]))
    assert "unchanged was made again: b" in fault(case(Rule.FRESH))
    assert outcome(case(Rule.FRESH, mutation=replace(case(Rule.FRESH).mutation, case=""))) == oracle.EQUAL


def test_failed_cases(case) -> None:
    def fails(*entries: tuple[str, str]) -> Case:
        listed = [{"case": name, "status": "failed", "reason": reason} for name, reason in entries]
        (sound.out / "manifest.json").write_text(json.dumps(listed))
        return case(code=1, err="error: 1 of 2 cases failed: a (the file is damaged (EOF); copy it again)")

    sound, reason = case(), "a (mr.nii.gz): the file is damaged (EOF); copy it again"
    assert "exit code 1 without failed cases in a manifest" in fault(case(code=1, err=HOUSE))
    (sound.out / "a_ct.nii.gz").unlink()
    assert outcome(fails(("a", reason))) == oracle.FAILED
    assert "a failed case's reason is not of the house's form" in fault(fails(("a", "no idea")))
    assert "a foreign exception's words" in fault(fails(("a", reason.replace("EOF", "list index out of range"))))
    assert "a sound case failed: b" in fault(fails(("a", reason), ("b", reason)))
    (sound.out / "b_ct.nii.gz").unlink()
    assert "the result of another case changed or is missing: b_ct.nii.gz" in fault(fails(("a", reason)))
