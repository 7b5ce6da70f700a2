"""The SynthRAD container's program without Docker: grid, HU and results.json of a made-up case, and what it refuses."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import in_process
import numpy as np
import pytest

from common.io.itk_files import write_itk
from common.simulation.head import Anatomy, head_anatomy
from common.simulation.mr import render_t1
from examples.synthrad import __main__ as program

itk = pytest.importorskip("SimpleITK")
AFFINE = np.array([[-6.0, 0, 0, 90], [0, -6, 0, 80], [0, 0, 6, -70], [0, 0, 0, 1]])
SYNTHETIC = 40
"""HU that the stand-in of the command writes everywhere."""
Case = Callable[..., tuple[int, list[dict[str, Any]], str]]


def write(path: Path, values: np.ndarray, affine: np.ndarray = AFFINE) -> None:
    """Write a volume (X, Y, Z) as int16."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_itk(np.rint(values), affine, str(path), "int16", {})


def read(path: Path) -> tuple[np.ndarray, tuple[object, ...]]:
    """Values (X, Y, Z) and grid of a file."""
    image = itk.ReadImage(str(path))
    return itk.GetArrayFromImage(image).T, (
        image.GetSize(), image.GetSpacing(), image.GetOrigin(), image.GetDirection()
    )  # fmt: skip


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """An input of Task 1 with one image and its mask, whose names differ."""
    body = np.zeros((8, 9, 10))
    body[2:6, 2:6, 2:6] = 1
    write(tmp_path / "input/images/mri/3f.mha", 100 * body)
    write(tmp_path / "input/images/body/c1.mha", body)
    (tmp_path / "input/region.json").write_text('"Head and Neck"')
    return tmp_path / "input"


@pytest.fixture
def run(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Case:
    """Runs the program with a stand-in of the command: exit code, results and stderr."""

    def command(words: list[str], outcome: dict[str, Any]) -> int:
        folder, made = Path(words[1]), Path(words[words.index("--output") + 1])
        ending = {"mha": ".mha", "nifti": ".nii.gz"}[words[words.index("--output_format") + 1]]
        cases = []
        for image in sorted(folder.iterdir()):
            case = image.name.removesuffix(ending)
            cases.append({"case": case, "file": f"{case}_synthetic_ct{ending}"} | outcome)
            shape = read(image)[0].shape
            write(made / f"{case}_synthetic_ct{ending}", np.full(shape, SYNTHETIC))
        cases = [{key: value for key, value in each.items() if value is not None} for each in cases]
        (made / "manifest.json").write_text(json.dumps(cases))
        given.append(words)
        return 0

    def ran(**outcome: Any) -> tuple[int, list[dict[str, Any]], str]:
        monkeypatch.setattr(program, "synthesize", lambda words: command(words, outcome))
        output = tmp_path / "output"
        code = program.main([f"--input={source}", f"--output={output}", f"--model={tmp_path / 'model'}"])
        results = output / "results.json"
        return code, json.loads(results.read_text()) if results.is_file() else [], capsys.readouterr().err

    given: list[list[str]] = []
    ran.given = given  # type: ignore[attr-defined]
    return ran


def entry(path: Path, kind: str = "metaio_image") -> dict[str, str]:
    return {"type": kind, "filename": str(path)}


@pytest.mark.slow
def test_two_heads_by_the_shipped_weights(tmp_path: Path) -> None:
    """The whole way, each image with the mask that follows in the order of names."""
    heads: list[Anatomy] = [head_anatomy(seed, 6.0) for seed in (0, 1)]
    names = (("0b", "9d"), ("7a", "e2"))
    source, output = tmp_path / "input", tmp_path / "output"
    for head, (image, mask) in zip(heads, names, strict=True):
        write(source / f"images/mri/{image}.mha", render_t1(head, np.random.default_rng(0)), head.affine)
        write(source / f"images/body/{mask}.mha", head.head, head.affine)
    (source / "region.json").write_text('"Brain"')
    words = [f"--input={source}", f"--output={output}", f"--model={tmp_path / 'none'}"]
    with in_process.bundle_runs():
        done = in_process.run("examples.synthrad", *words, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr[-3000:]
    results = json.loads((output / "results.json").read_text())
    for head, (image, mask), row in zip(heads, names, results, strict=True):
        made, scan = output / f"images/synthetic-ct/{image}.mha", source / f"images/mri/{image}.mha"
        messages = row.pop("error_messages")
        assert all(message.startswith("verdict refuse: ") for message in messages)
        files = [entry(scan), entry(source / f"images/body/{mask}.mha"), entry(source / "region.json", "String")]
        assert row == {"outputs": [entry(made)], "inputs": files}
        values, grid = read(made)
        assert grid == read(scan)[1]
        assert (values[head.head == 0] == -1000).all()
        assert -100 < np.median(values[head.head > 0]) < 300
        header = made.read_bytes()[:2000]
        assert b"CompressedData = True" in header
        assert b"SyntheticData = YES" in header
    assert sorted(path.name for path in output.rglob("*") if path.is_file()) == ["0b.mha", "7a.mha", "results.json"]


def test_one_case(run: Case, source: Path, tmp_path: Path) -> None:
    code, results, _ = run()
    made = tmp_path / "output/images/synthetic-ct/3f.mha"
    scan, mask = source / "images/mri/3f.mha", source / "images/body/c1.mha"
    files = [entry(scan), entry(mask), entry(source / "region.json", "String")]
    assert (code, results) == (0, [{"outputs": [entry(made)], "inputs": files, "error_messages": []}])
    expected = np.where(read(mask)[0] > 0, SYNTHETIC, -1000)
    np.testing.assert_array_equal(read(made)[0], expected)
    words = run.given[-1]  # type: ignore[attr-defined]
    assert words[-4:] == ["--accept_modality", "true", "--refuse", "false"]
    code, _, message = run()
    assert (code, message) == (2, f"error: {tmp_path / 'output/results.json'} exists: pass another --output\n")


def test_nifti_of_2023(run: Case, source: Path, tmp_path: Path) -> None:
    for path in sorted(source.rglob("*.mha")):
        write(path.with_name(f"{path.stem}.nii.gz"), read(path)[0])
        path.unlink()
    (source / "region.json").write_text('"Brain"')
    code, (row,), _ = run()
    made = tmp_path / "output/images/synthetic-ct/3f.nii.gz"
    assert (code, row["outputs"], row["error_messages"]) == (0, [entry(made)], [])
    values, grid = read(made)
    np.testing.assert_allclose(np.concatenate(grid), np.concatenate(read(source / "images/mri/3f.nii.gz")[1]))
    assert set(np.unique(values)) == {-1000, SYNTHETIC}


@pytest.mark.parametrize("masks", [0, 2])
def test_another_number_of_masks(run: Case, source: Path, masks: int, tmp_path: Path) -> None:
    shutil.rmtree(source / "images/body")
    for name in range(masks):
        write(source / f"images/body/{name}.mha", np.ones((8, 9, 10)))
    code, (row,), _ = run()
    assert (code, len(row["outputs"]), len(row["inputs"])) == (0, 1, 2)
    assert row["error_messages"] == [f"masks are not used: {source / 'images/body'} has {masks} for 1 images"]
    assert (read(tmp_path / "output/images/synthetic-ct/3f.mha")[0] == SYNTHETIC).all()


def test_an_empty_mask(run: Case, source: Path, tmp_path: Path) -> None:
    mask = source / "images/body/c1.mha"
    write(mask, np.zeros((8, 9, 10)))
    code, (row,), _ = run()
    assert (code, row["error_messages"]) == (0, [f"the mask is not used: {mask} is empty"])
    assert (read(tmp_path / "output/images/synthetic-ct/3f.mha")[0] == SYNTHETIC).all()


def test_a_mask_on_another_grid(run: Case, source: Path, tmp_path: Path) -> None:
    mask = source / "images/body/c1.mha"
    write(mask, np.ones((8, 9, 10)), AFFINE + np.array([[0, 0, 0, 3.0]] + 3 * [[0.0] * 4]))
    code, (row,), _ = run()
    reason = f"the mask is not used: {mask} cannot be read, or has another grid than the image"
    assert (code, row["error_messages"]) == (0, [reason])
    assert (read(tmp_path / "output/images/synthetic-ct/3f.mha")[0] == SYNTHETIC).all()


def test_a_failed_case_has_no_output(run: Case) -> None:
    code, (row,), _ = run(file=None, reason="3f is constant")
    assert (code, row["outputs"], row["error_messages"]) == (1, [], ["3f is constant"])


def test_a_refused_case_has_an_output(run: Case) -> None:
    code, (row,), _ = run(quality={"verdict": "refuse", "reasons": ["extent 300", "noise 9"]})
    assert (code, len(row["outputs"]), row["error_messages"]) == (0, 1, ["verdict refuse: extent 300; noise 9"])


@pytest.mark.parametrize(
    ("region", "task", "message"),
    [
        ('"Abdomen"', "mri", "the shipped weights are for MR of heads, not mri of Abdomen: put yours into {model}"),
        ('"Brain"', "cbct", "the shipped weights are for MR of heads, not cbct of Brain: put yours into {model}"),
        ("Brain", "mri", '{input}/region.json is not JSON: write a region, such as "Brain"'),
        (None, "mri", "cannot read or write {input}/region.json (No such file or directory): check the path and its "
         "permissions"),
    ],
)  # fmt: skip
def test_what_the_shipped_weights_are_not_for(
    run: Case, source: Path, region: str | None, task: str, message: str, tmp_path: Path
) -> None:
    (source / "region.json").unlink()
    if region is not None:
        (source / "region.json").write_text(region)
    (source / "images/mri").rename(source / "images" / task)
    code, results, said = run()
    assert (code, results) == (2, [])
    assert said == f"error: {message.format(model=tmp_path / 'model', input=source)}\n"
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "model.pt").touch()
    code, (row,), _ = run()
    assert (code, row["outputs"], row["error_messages"]) == (
        0, [entry(tmp_path / "output/images/synthetic-ct/3f.mha")], []
    )  # fmt: skip
    (words,) = run.given  # type: ignore[attr-defined]
    assert words[words.index("--weights") + 1] == str(tmp_path / "model/model.pt")


def test_a_model_in_a_folder_of_its_own(run: Case, tmp_path: Path) -> None:
    (tmp_path / "model" / "models").mkdir(parents=True)
    code, _, said = run()
    assert (code, said) == (
        2,
        f"error: no model.pt in {tmp_path / 'model'}: pack model.pt and model.json without a folder around them\n",
    )


def test_images_of_no_or_two_formats(run: Case, source: Path) -> None:
    folder = source / "images/mri"
    said = f"error: {folder} has no images of one format: pass .mha or .nii.gz\n"
    write(folder / "4a.nii.gz", np.ones((8, 9, 10)))
    assert run()[::2] == (2, said)
    shutil.rmtree(folder)
    assert run()[::2] == (2, said)
