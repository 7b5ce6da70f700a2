"""Datalists, settings, weights and words of any kind: a result, or one line of the project's."""

from __future__ import annotations

import copy
import json
import logging
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch
from bundle_commands import Bundle
from hypothesis import given
from hypothesis import strategies as st
from outcomes import PLACES, box, damaged, ended, examples, require_message, run_command
from test_any_volume import nifti

from common.data.datalist import load_datalist
from medical_image_synthesis import bundle_run
from medical_image_synthesis.catalogue import bundle_named
from medical_image_synthesis.options import config_files
from tools.bench.inference import save_random_weights

BUNDLE = Bundle("mr2ct_pix2pix")
SMALL = {"depth": 3, "width": 4, "spacing": [8, 8, 8]}
CASES = ("a", "b")
AFFINE = np.diag([8.0, 8, 8, 1])

VALUES: tuple[Any, ...] = (
    None, True, 0, -1, 2.5, 1e308, 2**70, "", "text", "größe µ😀", "x" * 300, [], {}, [None], {"a": 1}, [[[]]], ".",
    "..", "../victim", "/tmp/victim", "a/b", "@missing", "\0", "nan", "a\nb", "-", "\ud800", "~", "data/a.nii.gz",
    "/dev/null", "A", "b", "gone.nii.gz", "list.json", ["data/a.nii.gz", "data/b.nii.gz"],
)  # fmt: skip
KEYS = ("", "case", "patient", "label", "mask", "imgae", "test", "tset", "training_A", "class", "unknown")
TEXTS = (
    b"", b'{"a": "\xff\xfe"}', b"{", b"7", b"[]", b"null", b"{}", "{}".encode("utf-16"), b"[" * 10**5 + b"]" * 10**5,
    b'{"a": ' + b"9" * 6000 + b"}", b'{"test": [], "test": []}', b'{"test": [NaN]}',
)  # fmt: skip


def places(tree: Any, here: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place below the root."""
    for key, value in tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ():
        yield (*here, key)
        yield from places(value, (*here, key))


@st.composite
def json_of(draw: Any, tree: Any, whole_lists: bool = False) -> bytes:
    """A tree with one or two places replaced, removed, doubled or renamed, or a text that is no such tree."""
    if draw(PLACES) < 15:
        return draw(st.sampled_from(TEXTS) | damaged(json.dumps(tree).encode()))
    tree = copy.deepcopy(tree)
    for _ in range(draw(st.sampled_from((1, 1, 2)))):
        found = [place for place in places(tree) if not (whole_lists and isinstance(place[-1], int))]
        *above, last = found[draw(PLACES) * len(found) // 97] if found else (None,)
        holder = tree
        for key in above:
            holder = holder[key]
        how = draw(st.sampled_from(("replaced", "replaced", "removed", "doubled", "renamed")))
        if last is None or how == "replaced":
            holder[last] = draw(st.sampled_from(VALUES))
        elif how == "removed":
            del holder[last]
        elif isinstance(holder, list):
            holder.append(holder[last])
        else:
            value = holder[last] if how == "doubled" else holder.pop(last)
            holder[draw(st.sampled_from(KEYS))] = copy.deepcopy(value)
    return json.dumps(tree).encode()


LISTED = {
    "seed": 0, "training": [], "validation": [{"image": "data/c.nii.gz", "patient": "p"}],
    "test": [{"case": case, "image": f"data/{case}.nii.gz", "mask": f"data/{case}.nii.gz"} for case in CASES],
}  # fmt: skip


@examples(60)
@given(json_of(LISTED))
def test_datalists_of_any_json(content: bytes) -> None:
    with box() as root:
        (root / "in" / "data").mkdir()
        for case in (*CASES, "c"):
            (root / "in" / "data" / f"{case}.nii.gz").touch()
        (root / "in" / "list.json").write_bytes(content)
        lists = ended(lambda: load_datalist(root / "in" / "list.json"), root)
        for items in (lists or {}).values():
            for item in items:
                assert item["case"] not in ("", ".", "..") and not {"/", "\0", "\n"} & set(item["case"])  # noqa: PT018
                images = item["image"] if isinstance(item["image"], list) else [item["image"]]
                assert all(Path(image).is_absolute() and Path(image).exists() for image in images)


OPTIONS = (
    "many", "", "[]", "{}", "[1,2]", "[[1,2],[3,4]]", "[None]", "None", "null", "true", "0", "-1", "1.5", "1e999",
    "1e-30", "1e30", str(2**70), "x" * 5000, "größe µ😀", "/dev/null", "@missing", "%missing", "@", "$1", "{'a':1}",
    "('a',)", "a,b", "007", "'quoted'", '"', "--", "-", "\t", "[1,", "no.such.Thing", "[nan,1]", "['a','b']", "[0,0,0]",
    "[1e9,1e9,1e9]", "cuda:99", "auto", "inf", "\n", "@seed", "builtins.dict",
)  # fmt: skip
OVERLAYS = (
    "a: [1, 2\n", "a: 1\na: 2\n", "\tseed: 1\n", "", "7\n", "- 1\n- 2\n", "seed: 1e-4\n", 'seed: "@missing"\n',
    "unknown: 3\n", "train: 5\n", "network_def: {_target_: no.such.Thing}\n", "reader: null\n", "preprocessing: null\n",
    "network_def: {_target_: builtins.dict}\n", "seed: !!python/object/apply:os.getpid []\n", "\x00", "device: [1]\n",
    "run_dir: 5\n", "seed: 2024-01-01\n", "seed: .nan\n", "? [a, b]\n: 1\n", "handlers: 5\n", "evaluator::resume: 7\n",
    "train::trainer: null\n", "::: 1\n", "'': 1\n", "1: 2\n",
)  # fmt: skip


NAMES = {run: ["::".join(map(str, place)) for place in places(BUNDLE.raw(run))] for run in ("train", "inference")}


@examples(60)
@given(st.data(), st.sampled_from(("train", "inference")), st.booleans(), st.booleans())
def test_settings_of_any_name_and_value(data: st.DataObject, run: str, is_misspelt: bool, is_short: bool) -> None:
    """Composed and checked as by a command, which then prints them."""
    name = NAMES[run][(97 * data.draw(PLACES) + data.draw(PLACES)) * len(NAMES[run]) // 97**2]
    name, overlays = name.rpartition("::")[2] if is_short else name, []
    with box() as root:
        if overlay := data.draw(st.sampled_from((None, None, None, *OVERLAYS))):
            (root / "in" / "mine.yaml").write_text(overlay)
            overlays.append(root / "in" / "mine.yaml")
        option = {} if overlay else {f"{name}x" if is_misspelt else name: data.draw(st.sampled_from(OPTIONS))}
        options = {"output_dir": str(root / "out"), **option, "show_config": "true"}

        def show() -> bool:
            given = {"run_id": run.replace("train", "training"), "options": options, "verbose": False}
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(sys, "excepthook", sys.excepthook)
                patch.setattr(logging, "raiseExceptions", True)
                files = config_files(bundle_named(BUNDLE.name), [run], overlays)
                patch.setattr(sys, "argv", ["run", json.dumps({**given, "config_file": files})])
                try:
                    bundle_run.main()
                except SystemExit as stop:
                    return stop.code == 0
            return False

        assert ended(show, root) in (None, True)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of a small network drawn from a seed, two cases, and their outputs."""
    root: Path = tmp_path_factory.mktemp("trained")
    save_random_weights(BUNDLE.parser("train", **SMALL), BUNDLE.name, root / "model.pt")
    (root / "data").mkdir()
    for seed, case in enumerate(CASES):
        values = np.random.default_rng(seed).uniform(0, 900, (14, 15, 12)).astype(np.float32)
        nib.save(nib.Nifti1Image(values, AFFINE), root / "data" / f"{case}.nii.gz")
    infer(root, root / "out")
    return root


def infer(root: Path, out: Path) -> bool:
    places = {"dataset_dir": root / "data", "weights": root / "model.pt", "predictions_dir": out}
    given = {name: str(path) for name, path in places.items()}
    BUNDLE.parser("inference", device=torch.device("cpu"), **given).get_parsed_content("evaluator").run()
    return True


@examples(15)
@given(nifti())
def test_a_case_of_any_bytes_leaves_the_other_as_it_is(trained: Path, content: bytes) -> None:
    with box() as root:
        shutil.copytree(trained, root / "in", dirs_exist_ok=True)
        (root / "in" / "data" / "b.nii.gz").unlink()
        (root / "in" / "data" / "b.nii").write_bytes(content)
        ended(lambda: infer(root / "in", root / "out"), root)
        first, second = json.loads((root / "out" / "manifest.json").read_text())
        assert (first["case"], first["status"], second["case"]) == ("a", "done", "b")
        assert (root / "out" / first["file"]).read_bytes() == (trained / "out" / first["file"]).read_bytes()
        if second["status"] == "failed":
            require_message(second["reason"])
        else:
            assert np.isfinite(nib.load(root / "out" / second["file"]).get_fdata()).all()


@examples(25)
@given(st.data(), st.booleans())
def test_weights_of_any_bytes_and_description(trained: Path, data: st.DataObject, is_description: bool) -> None:
    with box() as root:
        shutil.copytree(trained, root / "in", dirs_exist_ok=True)
        path = root / "in" / ("model.json" if is_description else "model.pt")
        before = path.read_bytes()
        path.write_bytes(
            data.draw(json_of(json.loads(before), whole_lists=True) if is_description else damaged(before))
        )
        if ended(lambda: infer(root / "in", root / "out"), root):
            for made in (root / "out").glob("*.nii.gz"):
                assert np.isfinite(nib.load(made).get_fdata()).all()


COMMANDS = {
    "check": ("check", "mr2ct", "--dataset_dir", "{box}/in/data", "--target", ""),
    "datalist": ("datalist", "--dataset_dir", "{box}/in/data", "--target", "", "--out", "{box}/out/list.json"),
    "score": ("score", "{box}/in/a.nii.gz", "{box}/in/b.nii.gz", "--mask", "{box}/in/a.nii.gz", "--unit", "HU"),
    "mr2ct": ("mr2ct", "{box}/in/gone.nii.gz", "-o", "{box}/out/ct.nii.gz"),
}
MORE = (
    "--seed", "--fractions", "--counts", "--layout", "--source", "--mask", "--patient_separator", "--unit",
    "--source_range", "--nan_fill", "--value_range", "--kvp", "--attenuation", "--output_format", "--weights", "--help",
    "--seeed", "-", "--", "=", "--=", "--channels", "--series", "--overwrite", "--test_centres",
)  # fmt: skip
WORDS = (*OPTIONS, "{box}/in", "{box}/in/data", "{box}/in/gone", "{box}/out", "{box}/out/" + "n" * 300, ".", "..", "~")


@examples(40)
@given(st.data(), st.sampled_from(sorted(COMMANDS)), st.sampled_from(("other", "other", "more", "left out")))
def test_commands_of_any_words(trained: Path, data: st.DataObject, name: str, how: str) -> None:
    words = list(COMMANDS[name])
    at = data.draw(PLACES) * (len(words) - 1) // 97 + 1
    if how == "more":
        words += data.draw(st.sampled_from(MORE)), *data.draw(st.lists(st.sampled_from(WORDS), max_size=3))
    elif how == "left out":
        del words[at]
    elif words[at - 1] not in ("--out", "-o"):  # the user's own place for the output
        words[at] = data.draw(st.sampled_from(WORDS))
    with box() as root:
        for case in CASES:
            (root / "in" / "data" / case).mkdir(parents=True)
            shutil.copy(trained / "data" / f"{case}.nii.gz", root / "in" / "data" / case / "mr.nii.gz")
            shutil.copy(trained / "data" / f"{case}.nii.gz", root / "in" / f"{case}.nii.gz")
        run_command(words, root)
