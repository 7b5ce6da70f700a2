"""A bundle as a function of a scan: what it takes, what it refuses, and what it leaves as it was."""

from __future__ import annotations

import errno
import gc
import logging
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import threading
import warnings
import weakref
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import in_process
import nibabel as nib
import numpy as np
import pytest
import torch
from monai.data import MetaTensor

import medical_image_synthesis as mis
from common.inference import CaseEvaluator
from medical_image_synthesis.quiet import in_python

KINDS = {
    "text": str,
    "list": lambda path: [path],
    "dict": lambda path: {"mr": path},
    "nibabel": nib.load,
    "arrays": lambda path: (nib.load(path).get_fdata(), nib.load(path).affine),
    "MetaTensor": lambda path: MetaTensor(torch.tensor(nib.load(path).get_fdata())[None], nib.load(path).affine),
    "SimpleITK": lambda path: pytest.importorskip("SimpleITK").ReadImage(str(path)),
}
NOISE, GRID = np.random.default_rng(0).uniform(0, 9, (20, 20, 20)), np.diag([4.0, 4, 4, 1])
WRONG: dict[str, tuple[Any, str]] = {
    "nothing": (None, r"^mr: no volume \(NoneType\); give a file"),
    "no path": ("", "^the path is empty: name a file or folder$"),
    "no file": ("nope.nii.gz", r"^no file or folder nope.nii.gz \(source\): check the path$"),
    "another file": (__file__, "^source .*test_model.py is not a folder and does not end in .nii, .*: pass a volume"),
    "two paths": (("a.nii", "b.nii"), r"^mr: no volume \(tuple\)"),
    "too many": ([NOISE, NOISE], "^2 volumes were given for the sources mr: give a list in this order"),
    "other names": ({"ct": NOISE}, "^sources ct: name them mr$"),
    "no affine": (NOISE, r"^mr: an array without its affine; give \(array, affine\)"),
    "NaN": ((np.where(NOISE > 8, np.nan, NOISE), GRID), "repair the file; training and inference take nan_fill=0$"),
    "even": ((np.ones_like(NOISE), GRID), "^volume: the source varies by less than 0.1 as the network sees it"),
}
UNLOADABLE: dict[str, tuple[Any, dict[str, Any], str]] = {
    "name": ("mr2c", {}, r"^no bundle mr2c: did you mean mr2ct\?$"),
    "number": (3, {}, "^3 is no bundle"),
    "setting": ("mr2ct", {"refuses": False}, r"^refuses is not a setting .*: did you mean refuse\?$"),
    "value": ("mr2ct", {"inferer__inferer__batch_size": 0}, "^inferer__inferer__batch_size is 0, not above zero"),
    "expression": ("mr2ct", {"plane": "$1"}, r"^plane is the expression \$1: pass a value"),
    "weights": ("mr2ct", {"weights": "nope.pt"}, r"^no file nope.pt \(from weights\): check the path$"),
    "none": ("mri2pet", {}, "train first, synthesize train mri2pet --dataset_dir DATA, or pass weights=FILE$"),
    "samples": ("lesion", {}, "draws samples, and translates no scan"),
    "calibration": ("ldct", {"uncertainty": True}, "^no calibration at .*: calibrate .* by synthesize calibrate"),
}


@pytest.fixture(scope="module")
def mr2ct(tiny_model):
    return tiny_model("mr2ct")


@pytest.fixture(scope="module")
def ct(mr2ct, scans):
    return mr2ct(scans / "T1.nii.gz")


def test_the_import_alone_loads_no_library() -> None:
    heavy = "{'torch', 'monai', 'numpy', 'nibabel', 'pandas', 'yaml'}"
    code = f"import sys, medical_image_synthesis as mis; dir(mis); print(sorted({heavy} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"


def test_every_public_name_is_there() -> None:
    assert set(mis.__all__) <= {name for name in dir(mis) if hasattr(mis, name)}
    with pytest.raises(AttributeError, match="has no attribute 'lode'"):
        mis.lode  # noqa: B018


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_source_gives_the_same_voxels(kind: str, mr2ct, ct, scans) -> None:
    made = mr2ct(KINDS[kind](scans / "T1.nii.gz"))
    np.testing.assert_array_equal(made.array, ct.array)
    np.testing.assert_allclose(made.affine, ct.affine, atol=1e-6)
    assert np.ptp(made.array) > 100


def test_several_sources_come_by_name_or_in_their_order(tiny_model) -> None:
    model = tiny_model("mri2pet")
    drawn = np.random.default_rng(1)
    given = {name: (drawn.uniform(0, 9, (20, 20, 20)), GRID) for name in model.sources}
    assert model.sources == ("mtr", "fa", "rd", "ad")
    by_name = model(dict(reversed(given.items())))
    np.testing.assert_array_equal(by_name.array, model(list(given.values())).array)
    swapped = {**given, "fa": given["mtr"], "mtr": given["fa"]}
    assert (by_name.array != model(swapped).array).any()
    with pytest.raises(mis.UserError, match="^3 volumes were given for the sources mtr, fa, rd, ad"):
        model(list(given.values())[:3])


@pytest.mark.parametrize("kind", WRONG)
def test_what_it_cannot_take_is_one_error_of_the_user_and_nothing_is_printed(kind: str, mr2ct, capfd) -> None:
    source, message = WRONG[kind]
    with pytest.raises(mis.UserError, match=message) as caught:
        mr2ct(source)
    assert caught.value.__cause__ is None
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("kind", UNLOADABLE)
def test_what_cannot_be_loaded_is_one_error_in_words_of_python(kind: str, capfd) -> None:
    bundle, settings, message = UNLOADABLE[kind]
    with pytest.raises(mis.UserError, match=message):
        mis.load(bundle, **settings)
    assert capfd.readouterr() == ("", "")


def test_the_folder_of_a_run_is_no_bundle_and_a_name_no_model(tmp_path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "model.pt").touch()
    with pytest.raises(mis.UserError, match=f"^{tmp_path} is the folder of a run, no bundle: .* output"):
        mis.load(tmp_path)
    with pytest.raises(mis.UserError, match="^'mr2ct' is no model: pass what load gives"):
        next(mis.batch("mr2ct", tmp_path))


def test_a_word_that_an_option_takes_is_text_in_python() -> None:
    message = "choose one by --series UID, or join by --series all"
    assert in_python(message) == 'choose one by series=UID, or join by series="all"'


def test_no_room_for_an_image_in_memory_is_one_error_of_the_user(mr2ct, monkeypatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(nib, "save", full)
    fault = r"^mr: cannot write a temporary file \(No space left on device\): start Python with TMPDIR set to a folder"
    with pytest.raises(mis.UserError, match=fault):
        mr2ct((NOISE, GRID))


def test_a_folder_gives_its_cases_one_by_one_and_their_faults(mr2ct, ct, scans, tmp_path) -> None:
    for name in "ac":
        (tmp_path / f"{name}.nii.gz").symlink_to(scans / "T1.nii.gz")
    (tmp_path / "b.nii.gz").write_bytes(b"no volume")
    with pytest.raises(mis.UserError, match="holds 3 cases: pass it to batch"):
        mr2ct(tmp_path)
    made = dict(mis.batch(mr2ct, tmp_path))
    assert list(made) == ["a", "b", "c"]
    assert isinstance(made["b"], mis.UserError)
    assert str(made["b"]).startswith("b (b.nii.gz): not NIfTI data")
    assert made["b"].__traceback__ is None
    np.testing.assert_array_equal(made["c"].array, ct.array)
    closed = mis.batch(mr2ct, tmp_path)
    assert next(closed)[0] == "a"
    closed.close()
    (tmp_path / "empty").mkdir()
    with pytest.raises(mis.UserError, match="empty is an empty folder"):
        next(mis.batch(mr2ct, tmp_path / "empty"))


def test_command_python_and_monai_give_the_same_files(mr2ct, ct, scans, tmp_path, tiny_weights) -> None:
    source, weights = scans / "T1.nii.gz", tiny_weights("mr2ct")
    ct.save(tmp_path / "python.nii.gz")
    command = in_process.synthesize("mr2ct", source, "-o", tmp_path / "command.nii.gz", "--weights", weights)
    assert command.returncode == 0, command.stderr
    options = {"dataset_dir": source, "weights": weights, "exporter::output_file": tmp_path / "monai.nii.gz"}
    config = mr2ct.bundle.config("inference")
    words = [f"--{name}={value}" for name, value in {"config_file": config, **options}.items()]
    monai = in_process.run("monai.bundle", "run", "inference", *words)
    assert monai.returncode == 0, monai.stderr
    files = [nib.load(tmp_path / f"{name}.nii.gz") for name in ("python", "command", "monai")]
    assert len({each.header.binaryblock for each in files}) == 1
    assert len({np.asanyarray(each.dataobj).tobytes() for each in files}) == 1
    assert len({(tmp_path / f"{name}.json").read_text() for name in ("python", "command", "monai")}) == 1


def test_the_exit_code_of_a_command_that_is_terminated_is_that_of_the_signal(
    scans, tmp_path, tiny_weights, monkeypatch
) -> None:
    monkeypatch.setattr(CaseEvaluator, "_infer_all", lambda *_: signal.raise_signal(signal.SIGTERM))
    words = [scans / "T1.nii.gz", "-o", tmp_path / "ct.nii.gz", "--weights", tiny_weights("mr2ct")]
    done = in_process.synthesize("mr2ct", *words)
    assert (done.returncode, done.stdout) == (128 + signal.SIGTERM, "")


def state() -> dict[str, Any]:
    """What belongs to the process."""
    known = logging.root.manager.loggerDict
    return {
        "random": (torch.get_rng_state().tolist(), str(np.random.get_state()), random.getstate()),
        "threads": (torch.get_num_threads(), threading.active_count()),
        "warnings": (list(warnings.filters), warnings.showwarning),
        "logging": (logging.root.level, list(logging.root.handlers), logging.raiseExceptions),
        "levels": {name: known[name].level for name in ("ignite", "monai") if hasattr(known.get(name), "level")},
        "system": (sys.excepthook, sys.stdout, sys.stderr, os.getcwd()),
        "torch": (torch.get_default_dtype(), torch.is_grad_enabled(), torch.are_deterministic_algorithms_enabled()),
        "matmul": (torch.get_float32_matmul_precision(), torch.backends.cudnn.benchmark),
        "environment": {name: each for name, each in os.environ.items() if name != "TORCHINDUCTOR_CACHE_DIR"},
        "handlers": len(logging.getLogger("common").handlers),  # PyTorch sets that variable itself
    }


def test_nothing_of_the_process_is_changed_and_nothing_printed(tiny_model, mr2ct, scans, capfd) -> None:
    before = state()
    model = tiny_model("mr2ct", refuse=False)
    model(scans / "T1.nii.gz")
    with pytest.raises(mis.UserError):
        model("")
    list(mis.batch(model, scans / "T1.nii.gz"))
    assert state() == before
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(("kind", "own", "other"), [("dtype", torch.float32, torch.float64), ("device", None, "meta")])
def test_the_defaults_of_the_program_change_nothing(kind: str, own, other, tiny_model, mr2ct, ct, scans) -> None:
    set_default, default = (getattr(torch, f"{do}_default_{kind}") for do in ("set", "get"))
    set_default(other)
    try:
        before = default()
        made = [model(scans / "T1.nii.gz").array for model in (mr2ct, tiny_model("mr2ct"))]
        assert default() == before
    finally:
        set_default(own)
    np.testing.assert_allclose(made, [ct.array] * 2, rtol=0, atol=1e-6)


def test_a_network_that_draws_gives_the_same_volume_again(tiny_model, scans) -> None:
    model = tiny_model("mr2ct")
    plain = model(scans / "T1.nii.gz").array
    model._evaluator.network.register_forward_hook(lambda module, given, made: made + 0.1 * torch.randn_like(made))
    first, again = (model(scans / "T1.nii.gz").array for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert (first != plain).any()


def test_models_and_threads_take_turns(tiny_model, mr2ct, ct, scans) -> None:
    source = scans / "T1.nii.gz"
    other = tiny_model("pd2t2")
    t2 = other(source)
    filters = list(warnings.filters)
    with ThreadPoolExecutor(4) as threads:
        made = list(threads.map(lambda model: model(source), [mr2ct, other, mr2ct, mr2ct, other]))
    for each in made:
        expected = (t2 if each.unit == t2.unit else ct).array
        np.testing.assert_allclose(each.array, expected, rtol=0, atol=1e-6)  # a first call may differ in the last bit
    assert warnings.filters == filters


def test_a_forked_process_is_told_to_load_its_own(mr2ct) -> None:
    def call(said: Any) -> None:
        try:
            mr2ct((NOISE, GRID))
        except mis.UserError as error:
            said.put(str(error))

    fork = multiprocessing.get_context("fork")
    said = fork.SimpleQueue()
    process = fork.Process(target=call, args=(said,))
    process.start()
    process.join(30)
    assert said.get() == (
        "mr2ct was loaded by the process that this one was forked from: start processes by spawn, and load it in each"
    )


@pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError, SystemExit])
@pytest.mark.parametrize("stage", ["reading", "slices"])
def test_an_error_of_the_progress_is_raised_and_leaves_the_model_as_it_was(error, stage, mr2ct, ct, scans) -> None:
    def interrupt(at: str, share: float | None) -> None:
        if at == stage:
            raise error

    with pytest.raises(error):
        mr2ct(scans / "T1.nii.gz", progress=interrupt)
    heard: list[tuple[str, float | None]] = []
    made = mr2ct(scans / "T1.nii.gz", progress=lambda *said: heard.append(said))
    np.testing.assert_array_equal(made.array, ct.array)
    assert heard[0] == ("reading", None)
    assert heard[-1] == ("slices", 1.0)
    assert all(share is None or 0 <= share <= 1 for _, share in heard)


def test_a_progress_that_calls_its_own_model_is_told_so(mr2ct, scans) -> None:
    with pytest.raises(mis.UserError, match="^mr2ct was called by the progress that it tells"):
        mr2ct(scans / "T1.nii.gz", progress=lambda *said: mr2ct((NOISE, GRID)) and None)


def test_a_model_that_nobody_has_is_collected(tiny_model, scans) -> None:
    model = tiny_model("mr2ct")
    made = model(scans / "T1.nii.gz")
    with pytest.raises(mis.UserError) as caught:
        model((np.ones_like(NOISE), GRID))
    network = weakref.ref(model._evaluator.network)
    error = caught.value.with_traceback(None)
    del model, caught
    gc.collect()
    assert network() is None
    assert made.to_nibabel().shape == made.array.shape
    assert "the source varies by less than 0.1" in str(error)
