"""What an output must not be: another output, an input by any path, a folder with one, or another's manifest."""

import json
import os
from pathlib import Path

import pytest

from common.errors import OutputError
from common.io.export.outputs import require_apart, require_distinct, require_own_manifest


@pytest.fixture
def source(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "data" / "mr.nii.gz").write_bytes(b"source")
    return tmp_path / "data" / "mr.nii.gz"


def outputs(tmp_path):
    return [tmp_path / "out" / name for name in ("a_ct.nii.gz", "b_ct", "b_ct.json")]


def refused(tmp_path, source, name="a_ct.nii.gz"):
    with pytest.raises(OutputError) as caught:
        require_apart(outputs(tmp_path), [tmp_path / "another.nii.gz", source])
    fault = f"{tmp_path / 'out' / name} would replace {source}, an input of the same run"
    assert str(caught.value) == f"{fault}: choose another folder for the results"


def test_neighbours_are_no_inputs_and_distinct_names_let_through(tmp_path, source):
    neighbours = [tmp_path / "out" / name for name in ("a.nii.gz", "b_ct.nii.gz", "b_ct2/mr")]
    require_apart(outputs(tmp_path), [source, *neighbours])
    require_distinct(Path("out", name) for name in ("a.png", "b.png", "a.json", "ab.png", "é.png", "e.png"))


def link(path, target):
    path.symlink_to(target)
    return path


INPUTS = {
    "by its own path": lambda source, output: source.rename(output),
    "a link to the output": lambda source, output: link(source, source.rename(output)),
    "that the output is a link to": lambda source, output: link(output, source) and source,
    "a link by the name of an output": lambda source, output: link(output, source),
    "a hard link": lambda source, output: os.link(source, output) or source,
    "in a link to the folder": lambda source, output: link(source.parent / "link", output.parent) / output.name,
    "in the folder that theirs is a link to": lambda source, output: (
        link(output.parent, output.parent.rename(source.parent / "disk"))
        and source.rename(source.parent / "disk" / output.name)
    ),
    "from the working directory": lambda source, output: Path("data", "..", "out", output.name),
}


@pytest.mark.parametrize("name", INPUTS)
def test_an_input_in_the_place_of_an_output(tmp_path, source, name, monkeypatch):
    monkeypatch.chdir(tmp_path)
    refused(tmp_path, INPUTS[name](source, tmp_path / "out" / "a_ct.nii.gz"))


@pytest.mark.parametrize("linked", [False, True])
def test_a_folder_that_holds_an_input(tmp_path, source, linked):
    inside = tmp_path / "out" / "b_ct" / "deep" / "mr.nii.gz"
    inside.parent.mkdir(parents=True)
    source.rename(inside)
    if linked:
        source.symlink_to(inside)
    refused(tmp_path, source if linked else inside, "b_ct")


def test_a_series_of_links_to_slices_in_an_output(tmp_path, source):
    series = tmp_path / "data" / "series"
    for folder in (series, tmp_path / "out" / "b_ct"):
        folder.mkdir()
    (tmp_path / "out" / "b_ct" / "IM0001.dcm").touch()
    (series / "1.dcm").symlink_to(tmp_path / "out" / "b_ct" / "IM0001.dcm")
    refused(tmp_path, series, "b_ct")


@pytest.mark.parametrize("name", ["data", "data/out", "link"])
def test_outputs_in_a_folder_that_is_an_input(tmp_path, source, name):
    (tmp_path / "link").symlink_to(source.parent)
    place = tmp_path / name
    with pytest.raises(OutputError) as caught:
        require_apart([place / "a_ct.nii.gz"], [source.parent])
    fault = f"{place} lies in {source.parent}, an input of the same run"
    assert str(caught.value) == f"{fault}: choose another folder for the results"


OUTCOMES = [{"case": "a", "status": "failed", "reason": "no"}, {"case": "b", "status": "done", "file": "b.nii.gz"}]


@pytest.mark.parametrize(
    "content", [OUTCOMES, [{**OUTCOMES[0], "warnings": ["old"]}], [], [{"file": "cyst_synthetic.png", "samples": 3}]]
)
def test_the_manifest_of_an_earlier_run_is_replaced(tmp_path, content):
    (tmp_path / "manifest.json").write_text(json.dumps(content))
    require_own_manifest(tmp_path, overwrite=False)


@pytest.mark.parametrize(
    "content", ['{"name": "app"}', '[{"case": "a", "url": "x"}]', '["a"]', "not JSON", "\udcff", "null"]
)
def test_another_manifest_is_kept_without_overwrite_and_a_folder_always(tmp_path, content):
    path = tmp_path / "manifest.json"
    path.write_bytes(content.encode(errors="surrogateescape"))
    message = "manifest.json is not the manifest of an earlier run: pass --overwrite true"
    with pytest.raises(OutputError, match=message):
        require_own_manifest(tmp_path, overwrite=False)
    require_own_manifest(tmp_path, overwrite=True)
    path.unlink()
    path.mkdir()
    with pytest.raises(OutputError, match="manifest.json is a folder, and a file is to be written there: move"):
        require_own_manifest(tmp_path, overwrite=True)
