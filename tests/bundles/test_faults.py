"""What a user can get wrong, on every bundle: each mistake ends with its exit code and a line that says what to do."""

from __future__ import annotations

import json
import re
import shutil

import nibabel as nib
import numpy as np
import pytest
from bundle_commands import ONE_OF_EACH, ok, refused, snapshot

from common.weights import checkpoints

ONE_IS_ENOUGH = pytest.mark.parametrize("bundle", ["mr2ct_pix2pix"], indirect=True)
"""Where the code is that of all bundles."""


def numbers(name, value):
    """Every number of a nested setting, by the name that an option gives it."""
    if not isinstance(value, dict):
        return [(name, value)]
    return [found for key, part in value.items() for found in numbers(f"{name}::{key}", part)]


@pytest.fixture
def data(tiny_data, tmp_path):
    """A copy of the tiny data, to spoil."""
    return shutil.copytree(tiny_data, tmp_path / "data")


@pytest.fixture
def files(bundle, data):
    """Source and target of the last case, each one file: a pair even where training is unpaired."""
    settings = bundle.raw("train")
    last = sorted(path for path in data.iterdir() if path.is_dir())[-1]
    return last / f"{settings['source'].split(',')[0]}.nii.gz", last / f"{settings['target']}.nii.gz"


def change(path, edit):
    image = nib.load(path)
    values, affine = edit(np.asarray(image.dataobj).astype(np.float32), image.affine)
    nib.save(nib.Nifti1Image(values, affine), path)


# ---- settings -------------------------------------------------------------------------------------------------------


@ONE_IS_ENOUGH
@pytest.mark.parametrize(
    ("task", "options", "file"),
    [
        ("training", {"kvp": 80}, "evaluate.yaml"),
        ("inference", {"constant_epochs": 1}, "train.yaml"),
    ],
)
def test_an_option_of_a_file_that_is_not_given_is_refused(bundle, task, options, file, tiny_data, tmp_path):
    config = "train" if task == "training" else task
    done = bundle.run(task, [config], dataset_dir=tiny_data, output_dir=tmp_path / "out", **options)
    ((name, value),) = options.items()
    refused(done, rf"^error: --{name} has no effect here, it is a setting of {file}: omit it$")
    assert not (tmp_path / "out").exists()


@ONE_IS_ENOUGH
@pytest.mark.parametrize(
    ("words", "line"),
    [
        ({"train::trainer::max_epoch": 7}, r"^error: --train::trainer::max_epoch is not an argument of common.tra"
         r".*: did you mean --train::trainer::max_epochs\?$"),
        ({"max_epochs": "$@seed / 0"}, r"^error: --max_epochs is an expression that fails, \$@seed / 0 \(ZeroDivision"
         r"Error: division by zero\): change its settings \(MONAI_DEBUG=1 shows"),
        ({"validate::dataloader::timeout": -3}, "^error: DataLoader refuses the settings of --validate::dataloader"
         r" \(ValueError: timeout option should be non-negative.*: change its settings \(MONAI_DEBUG=1 shows"),
    ],
)  # fmt: skip
def test_a_bad_setting_at_any_depth_ends_the_command(bundle, tiny_data, tmp_path, words, line):
    places = {"dataset_dir": tiny_data, "output_dir": tmp_path / "out"}
    done = bundle.run("training", ["train", "demo"], **{**places, **words})
    refused(done, line)
    assert not list(tmp_path.rglob("*.pt"))


@ONE_IS_ENOUGH
def test_a_traceback_on_request(bundle, tiny_data, tmp_path, monkeypatch):
    monkeypatch.setenv("MONAI_DEBUG", "1")
    places = {"dataset_dir": tiny_data, "output_dir": tmp_path / "out"}
    done = bundle.run("training", ["train", "demo"], **places, **{"validate::dataloader::timeout": -3})
    assert done.returncode == 1
    assert "Traceback" in done.stderr


# ---- weights --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bundle", ONE_OF_EACH, indirect=True)
def test_inference_without_training_ends_the_command(bundle, tiny_data, tmp_path):
    places = {"dataset_dir": tiny_data, "output_dir": tmp_path / "out"}
    done = bundle.run("inference", ["inference"], **places)
    rule = rf"^error: no weights at {tmp_path}/out/models/model\.pt.*: train .*first, or pass .*--weights FILE"
    refused(done, rule)
    assert snapshot(tmp_path / "out") == {}


@ONE_IS_ENOUGH
def test_evaluation_without_training_ends_before_phantoms_are_made(bundle, tmp_path):
    done = bundle.run("evaluating", ["train", "evaluate"], output_dir=tmp_path / "out", demo_data=tmp_path / "phantoms")
    refused(done, rf"^error: no weights at {tmp_path}/out/models/model\.pt \(from --output_dir\): train there first")
    assert snapshot(tmp_path) == {}


# ---- outputs --------------------------------------------------------------------------------------------------------


@pytest.mark.slow_elsewhere  # each bundle says which modality it reads
@pytest.mark.translation
@pytest.mark.volumes
def test_a_source_of_another_modality_fails_and_the_others_do_not(bundle, tiny_run, data, files, tmp_path):
    """A CT stored without its intercept for the bundle that reads CT, values as of HU for those that read MR."""
    ct = bundle.raw("inference")["data"]["source_modality"] == "CT"

    def spoil(values, affine):
        return values + 1024 if ct else np.where(values <= np.percentile(values, 20), -1000, values), affine

    change(files[0], spoil)
    places = {"dataset_dir": data, "predictions_dir": tmp_path / "out", "weights": tiny_run / "models" / "model.pt"}
    done = bundle.run("inference", ["inference", "demo"], **places)
    assert done.returncode == 1
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    case = files[0].parent.name
    assert {each["case"] for each in manifest if each["status"] == "failed"} == {case}
    (reason,) = (each["reason"] for each in manifest if each["case"] == case)
    found = "not a CT in HU (no value below 0, or one beyond 131072)" if ct else "a CT (values as low as HU of air)"
    wanted = "a CT" if ct else "an MR"
    assert reason == f"{case} is {found}, this bundle needs {wanted}: pass {wanted}, or --accept_modality true"


# ---- the run --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bundle", ["mr2ct_pix2pix", "pd2t2_dcgan_acm"], indirect=True)  # of one stage and of two
def test_a_loss_that_is_not_finite_ends_the_run_and_spares_the_checkpoint(bundle, tiny_run, tiny_data, tmp_path):
    """A run of two steps a stage goes on with a weight of a loss that no 32-bit number holds."""
    folder = shutil.copytree(tiny_run, tmp_path / "run")
    before = snapshot(folder / "models")
    steps = 2 * bundle.stages
    weights = [name for name, value in numbers("losses", bundle.raw("train")["losses"]) if value]
    settings = {"samples_per_epoch": 4, "batch_size": 2, "max_epochs": 2, weights[-1]: 1e39}
    settings |= bundle.small_patches
    places = {"dataset_dir": tiny_data, "output_dir": folder}
    done = bundle.run("training", ["train", "demo"], resume="true", **places, **settings)
    names = "|".join(path.name for path in tiny_data.iterdir() if path.is_dir())
    fault = f"loss or gradient is NaN or infinite at step {steps + 1}"
    refused(done, rf"^error: {fault}, case \[.*({names}).*\]: check .* --resume true")
    after = snapshot(folder / "models")
    assert {name: data for name, data in after.items() if name.endswith(".pt")} == {
        name: data for name, data in before.items() if name.endswith(".pt")
    }
    assert checkpoints.load(folder / "models" / "last_checkpoint.pt")["trainer"]["iteration"] == steps
    advised = {"learning_rate": 1.0e-4, "precision": "fp32", "resume": "true"}
    del settings[weights[-1]]
    done = ok(bundle.run("training", ["train", "demo"], **places, **settings, **advised))
    assert "resume: --learning_rate is 0.0001 from here on, and was 0.001 in the run so far" in done.stdout


@ONE_IS_ENOUGH
def test_resuming_where_nothing_was_begun_ends_the_command(bundle, tiny_data, tmp_path):
    done = bundle.run("training", ["train", "demo"], dataset_dir=tiny_data, output_dir=tmp_path / "out", resume="true")
    last = rf"{tmp_path}/out/models/last_checkpoint\.pt"
    refused(done, f"^error: no {last} to resume from: start a new run with --resume false$")


@ONE_IS_ENOUGH
@pytest.mark.parametrize(
    ("option", "reason"),
    [
        ({"seed": 7}, "the checkpoint keeps it: set it as it was"),
        ({"width": 3}, "the best validation so far was with it"),
    ],
)
def test_a_resumed_run_keeps_what_its_checkpoint_and_best_validation_depend_on(
    bundle, tiny_run, tiny_data, tmp_path, option, reason
):
    folder = shutil.copytree(tiny_run, tmp_path / "run")
    before = snapshot(folder)
    settings = {"samples_per_epoch": 4, "batch_size": 2, "val_interval": 1, "max_epochs": 2, **bundle.small_patches}
    places = {"dataset_dir": tiny_data, "output_dir": folder, "resume": "true"}
    done = bundle.run("training", ["train", "demo"], **settings, **places, **option)
    ((name, value),) = option.items()
    before_it = re.escape(str(bundle.raw("train", "demo").get(name)))
    refused(done, f"^error: --{name} is {value}, but {before_it} in the run to resume, and {reason}")
    assert snapshot(folder) == before


@ONE_IS_ENOUGH
def test_a_resumed_run_says_what_is_another_from_here_on(bundle, tiny_run, tiny_data, tmp_path):
    folder = shutil.copytree(tiny_run, tmp_path / "run")
    settings = {"samples_per_epoch": 4, "batch_size": 2, "val_interval": 1, **bundle.small_patches}
    places = {"dataset_dir": tiny_data, "output_dir": folder, "resume": "true"}
    done = ok(bundle.run("training", ["train", "demo"], **settings, **places, max_epochs=1, clip_norm=0.5))
    lines = [line for line in done.stdout.splitlines() if "resume: --" in line]
    assert len(lines) == 1, lines
    assert lines[0].endswith("--clip_norm is 0.5 from here on, and was None in the run so far")
