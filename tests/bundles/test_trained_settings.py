"""Weights know their settings: who trains with odd options need not give them again, wherever the weights are used."""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
from pathlib import Path
from typing import Any

import in_process
import numpy as np
import pytest
import torch
from bundle_commands import TINY, Bundle, last_line, mistake, ok, save_drawn, voxels
from monai.bundle import ConfigParser, ConfigWorkflow
from packed_copies import monai_bundle, unpack, without_repository

from common.evaluation.methods import variant
from common.raw_settings import settings_of
from common.weights import checkpoints, info
from common.weights.info import without_order
from common.weights.shipped import shipped_weights
from tools.release.pack.release import pack

ODD: dict[str, dict[str, Any]] = {
    "cect2ct_rescyclegan": {
        "depth": 3, "plane": "coronal", "source_window": [-100, 700], "spacing": [5.5, 5, 5.5], "head_threshold": -400,
    },
    "ldct_wgan_vgg": {
        "neighbours": 5, "plane": "coronal", "source_window": [-1000, 2000], "spacing": [5.5, 5, 5.5],
        "head_threshold": -400,
    },
    "mr2ct_pix2pix": {
        "depth": 4, "plane": "axial", "source_window": None, "source_percentiles": [1, 99], "neighbours": 3,
        "target_window": [-900, 1800], "spacing": [5.5, 5, 5.5], "network_def::bounded": False,
        "target_scale_points": [[-200, -0.6], [100, 0.5]],
    },
    "mri_dagan": {
        "depth": 3, "width": 6, "plane": "coronal", "neighbours": 3, "scale_percentile": 98, "spacing": [5.5, 5, 5.5],
    },
    "pd2t2_dcgan_acm": {"stages": 1, "residual": False, "spacing": [5.5, 5, 5.5], "width": 6},
    "mri2pet_sketcher_refiner": {"stages": 1, "target_window": [0, 3], "spacing": [5.5, 5, 5.5], "width": 6},
    "brain3d_alphagan": {"width": 2, "latent_dim": 20, "spacing": 3.5, "scale_percentile": 98.0},
    "stain_gan": {"depth": 4, "width": 8, "source_percentiles": [2, 98], "target_window": [5, 250]},
    "lesion_dcgan_aug": {"width": 4, "target_window": [-100, 300], "latent::dim": 20, "network_def::latent_dim": 20},
}  # fmt: skip
"""Options of training that change the network, its images or what its values stand for."""
CPU = torch.device("cpu")
ONE = Bundle("mr2ct_pix2pix")


def words(options: dict[str, Any]) -> dict[str, str]:
    """Options as they are typed."""
    return {name: "null" if value is None else str(value).replace(" ", "") for name, value in options.items()}


@pytest.fixture(scope="module")
def odd_run(bundle, tiny_data, tmp_path_factory) -> Path:
    """A training of two steps with odd options."""
    folder = tmp_path_factory.mktemp(f"{bundle.name}_odd")
    settings = {**TINY, "dataset_dir": tiny_data, "output_dir": folder}
    if "crop_size" in bundle.raw("train"):
        settings |= {"crop_size": 48, "pad_size": 96}
    ok(bundle.run("training", ["train", "demo"], **settings, **bundle.small_patches, **words(ODD[bundle.name])))
    return folder


def retyped(bundle: Bundle) -> dict[str, str]:
    """What had to be typed for inference as well: the options of training and of the demo that it knows."""
    known = bundle.raw("inference")
    demo = {name: value for name, value in bundle.own("demo").items() if name in known}
    return words({**demo, **ODD[bundle.name]})


def volumes(folder: Path) -> dict[str, np.ndarray]:
    """Every volume or picture that an inference wrote, by its name."""
    return {path.name: voxels(path) for path in sorted(folder.rglob("*")) if path.name.endswith((".nii.gz", ".png"))}


@pytest.mark.slow
def test_plain_commands_do_what_retyping_every_option_does(bundle, odd_run, tiny_data, tmp_path):
    told = json.loads((odd_run / "models" / "model.json").read_text())
    for name, value in ODD[bundle.name].items():
        top, _, inner = name.partition("::")
        assert (told["settings"][top][inner] if inner else told["settings"][top]) == value, name

    given = {"dataset_dir": tiny_data} if bundle.conditional else {"samples": "3"}
    given |= {} if bundle.traits.get("pictures") else {"output_dtype": "float32"}
    made = {}
    for name, options in (("plain", {}), ("retyped", retyped(bundle))):
        where = {"output_dir": odd_run, "predictions_dir": tmp_path / name}
        done = ok(bundle.run("inference", ["inference"], **given, **where, **options))
        assert "results may look plausible and be wrong" not in done.stdout, name
        made[name] = volumes(tmp_path / name)
    assert made["plain"]
    assert made["plain"].keys() == made["retyped"].keys()
    for name, values in made["plain"].items():
        assert values.std() > 0, name
        assert np.array_equal(values, made["retyped"][name]), name

    tables = []
    more = bundle.few_samples
    for options in ({}, words(ODD[bundle.name])):
        configs = ["train", "demo", "evaluate"] if options else ["train", "evaluate"]
        ok(bundle.run("evaluating", configs, dataset_dir=tiny_data, output_dir=odd_run, **more, **options))
        tables.append((odd_run / "evaluation" / "metrics.csv").read_text())
    assert tables[0] == tables[1]


@pytest.mark.slow
def test_a_release_of_the_run_does_the_same(bundle, odd_run, tiny_data, tmp_path):
    given = {"dataset_dir": tiny_data} if bundle.conditional else {"samples": "3"}
    given |= {} if bundle.traits.get("pictures") else {"output_dtype": "float32"}
    ok(bundle.run("inference", ["inference"], output_dir=odd_run, predictions_dir=tmp_path / "own", **given))
    folder = unpack(pack(bundle.root, bundle.name, tmp_path / "dist", run=odd_run), tmp_path / "release")
    options = [word for key, value in given.items() for word in (f"--{key}", str(value))]
    ok(monai_bundle(folder, "run", "--config_file", "configs/inference.yaml", *options))
    own, released = volumes(tmp_path / "own"), volumes(folder / "predictions")
    assert own.keys() == released.keys()
    assert own
    for name, values in own.items():
        assert np.array_equal(values, released[name]), name
    told = [json.loads((place / "models" / "model.json").read_text()) for place in (odd_run, folder)]
    assert told[0] == told[1], "written with the names that modules have in the repository"


def folder_of(bundle: Bundle, weights: Path, target: Path) -> Path:
    """A bundle's folder as MONAI Label has it, with weights and what is known of them."""
    shutil.copytree(bundle.configs, target / bundle.name / "configs")
    models = target / bundle.name / "models"
    models.mkdir()
    for suffix in (".pt", ".json"):
        shutil.copy(weights.with_suffix(suffix), models / f"model{suffix}")
    return target / bundle.name


@pytest.mark.slow
def test_programs_that_build_parts_of_the_config_get_the_same(bundle, odd_run, tmp_path):
    """MONAI Label reads the files of a release and runs no run list; a workflow initialises."""
    release = unpack(pack(bundle.root, bundle.name, tmp_path / "dist", run=odd_run), tmp_path / "release")
    told = json.loads((odd_run / "models" / "model.json").read_text())["settings"]
    plain = ConfigParser.load_config_file(release / "configs" / "inference.yaml")
    for name, value in told.items():
        if name in plain and not isinstance(value, dict):
            assert plain[name] == value, name
    folder = folder_of(bundle, odd_run / "models" / "model.pt", tmp_path)
    files = str(folder / "configs" / "inference.yaml")
    places = {"initialize": "%prepare", "bundle_root": str(folder), "device": CPU}
    workflow = ConfigWorkflow(files, workflow_type="infer", logging_file=False, **places)
    workflow.initialize()
    checkpoints.load_weights(workflow.network_def, folder / "models" / "model.pt")
    expected = bundle.parser("train", "demo", device=CPU, **ODD[bundle.name])
    if bundle.conditional:
        assert without_order(workflow.parser["preprocessing"]) == without_order(expected["preprocessing"])
        for name in ("spacing", "target_window", "target_scale_points", "source_window", "plane", "source_percentiles"):
            if name in ODD[bundle.name]:
                assert workflow.parser.get_parsed_content(name) == ODD[bundle.name][name], name


ALONE = """
import sys
import torch
from monai.bundle import ConfigParser
parser = ConfigParser()
parser.read_config(sys.argv[1])
network = parser.get_parsed_content("network_def")
network.load_state_dict(torch.load("models/model.pt", weights_only=True))
print(sys.argv[1], type(network).__name__, parser["spacing"])
"""
"""What a program does that has nothing but MONAI and the files of a release."""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "shown"),
    [("mr2ct_pix2pix", "BasicUNet [1.5, 1.5, 1.5]"), ("pd2t2_dcgan_acm", "SingleStage [1, 1, 1]")],
)
def test_a_release_read_by_monai_alone_has_the_network_of_its_weights(name, shown, tmp_path):
    """In the repository the file shows the published network, and the weights that come with it have another."""
    folder = unpack(pack(Path(ONE.root), name, tmp_path / "dist"), tmp_path / "release")
    for path in ("configs/inference.yaml", "configs/inference.json"):
        (tmp_path / "program.py").write_text(ALONE)
        with without_repository():
            done = ok(in_process.run(str(tmp_path / "program.py"), path, cwd=folder))
        assert done.stdout.splitlines()[-1] == f"{path} {shown}"


def test_weights_in_a_folder_of_any_name_are_evaluated(bundle):
    """A path that MONAI would read as an id is no text, to which another could be added."""
    evaluated = bundle.parser("train", "evaluate", output_dir="a#b").get_parsed_content("evaluated")
    assert evaluated == "a#b/models/model.pt"


# ---- options that differ, for one bundle ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """Weights of a network at odd settings, drawn at random, in the folder of a run."""
    torch.manual_seed(0)
    return written(tmp_path_factory.mktemp("trained"), **ODD[ONE.name], **{"data::source": "t1"})


def prepared(trained: Path, *configs: str, **options: Any) -> ConfigParser:
    """The configuration after its weights gave it their settings."""
    return ONE.parser(*(configs or ("inference",)), output_dir=str(trained), device=CPU, **options)


def test_an_evaluation_is_that_of_the_overlays_of_its_training(tmp_path):
    """FLAIR in z-scores was scored as a CT, in its unit and window."""
    parser = ONE.parser("train", "flair", **{"data::source": "t2", "channels": 1})
    save_drawn(parser, ONE, tmp_path / "models" / "model.pt")
    (run := tmp_path / "run.json").write_text(json.dumps({"config": settings_of(parser)}, default=str))
    evaluated = prepared(tmp_path, "train", "evaluate")
    assert (evaluated["evaluation"]["unit"], evaluated["channels"]) == ("z", 1)
    assert evaluated["value_range"]["window"] == [-3, 8]
    assert evaluated["metrics"][1]["_target_"] == "mr2ct_pix2pix.lesions.FlairLesions"
    assert evaluated["restore"]["transforms"][1]["window"] == [-4, 6]
    assert prepared(tmp_path, "train", "evaluate", value_range=[0, 1])["value_range"] == [0, 1]
    run.write_text(run.read_text().replace("FlairLesions", "OwnLesions"))
    with pytest.raises(Exception, match=".") as caught:
        prepared(tmp_path, "train", "evaluate")
    assert str(mistake(caught.value)) == f"{run} has metrics of an overlay of your own: pass that --overlay here too"


@pytest.mark.parametrize(
    ("name", "overlay", "option", "references"),
    [
        ("mri_dagan", "dsc", {"interval": 2.0}, ["osvd", "csvd"]),
        ("mr2ct_pix2pix", "from_labels", {"neighbours": 5}, ["label_mean"]),
    ],
)
def test_an_evaluation_has_what_an_overlay_of_its_training_refers_to(name, overlay, option, references, tmp_path):
    """That of a perfusion knew no interval, and ended in a traceback."""
    bundle = Bundle(name)
    parser = bundle.parser("train", overlay, **option)
    save_drawn(parser, bundle, tmp_path / "models" / "model.pt")
    (tmp_path / "run.json").write_text(json.dumps({"config": settings_of(parser)}, default=str))
    evaluated = bundle.parser("train", "evaluate", output_dir=str(tmp_path), device=CPU)
    assert {each: evaluated[each] for each in option} == option
    assert list(evaluated["references"]) == references


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"depth": 6}, r"depth is 6, but the network of .*model\.pt was trained with 4: omit the option or overlay"),
        ({"neighbours": 5}, "neighbours is 5, but the network of .* was trained with 3"),
        ({"network_def::bounded": True}, "network_def::bounded is True, but .* with False"),
        ({"network_def::norm": "instance"}, "network_def::norm is instance, but .* with batch"),
    ],
)
def test_an_option_that_contradicts_the_network_is_an_error(trained, option, message):
    with pytest.raises(Exception, match=".") as caught:
        prepared(trained, **option)
    assert re.match(f"--{message}", str(mistake(caught.value)))


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ({"plane": "coronal"}, "--plane: coronal is used, but .*model.pt were trained with axial"),
        (
            {"target_scale_points": [[0, 0.1]]},
            r"--target_scale_points: \[\[0, 0.1\]\] is used, but .* with \[\[-200, -0.6\], \[",
        ),
        ({"target_window": [-1000, 2000]}, r"--target_window: \[-1000, 2000\] is used, but .* with \[-900, 1800\]"),
        ({"spacing": [1, 1, 1]}, r"--spacing: \[1, 1, 1\] is used, but .* with \[5.5, 5, 5.5\]"),
        ({"source_percentiles": [5, 95]}, r"--source_percentiles: \[5, 95\] is used, but .* with \[1, 99\]"),
    ],
)
def test_an_option_that_changes_images_is_used_with_a_warning(trained, option, said, caplog):
    with caplog.at_level(logging.WARNING):
        parser = prepared(trained, **option)
    (name,) = option
    assert parser.get_parsed_content(name) == option[name]
    assert len(re.findall(said, caplog.text)) == 1
    assert parser.get_parsed_content("spacing") == option.get("spacing", [5.5, 5, 5.5]), (
        "the others are those of training"
    )


def test_an_option_given_by_a_command_counts_even_where_it_is_the_default(trained, tiny_data_of_one, tmp_path):
    places = {"output_dir": trained, "predictions_dir": tmp_path / "out", "dataset_dir": tiny_data_of_one}
    done = ok(ONE.run("inference", ["inference"], plane="sagittal", **places))
    assert "--plane: sagittal is used, but" in done.stdout
    refused = ONE.run("inference", ["inference"], depth=8, **places)
    assert refused.returncode == 2
    assert last_line(refused.stderr).startswith("error: --depth is 8, but the network of")


@pytest.fixture(scope="module")
def tiny_data_of_one(tiny_data_of, tmp_path_factory) -> Path:
    root = shutil.copytree(tiny_data_of(ONE), tmp_path_factory.mktemp("data") / "tiny")
    for path in root.rglob("mr.nii.gz"):
        shutil.copy(path, path.with_name("t1.nii.gz"))
    return root


def test_the_names_of_the_files_are_known_too(trained):
    assert prepared(trained)["source"] == "t1"
    assert prepared(trained, "train", "evaluate")["source"] == "t1"
    assert prepared(trained, source="flair")["source"] == "flair"
    assert prepared(trained, **{"data::source": "flair"})["data::source"] == "flair"


# ---- weights without a description, descriptions without weights ----------------------------------------------------


def test_weights_of_an_older_run_have_the_settings_of_the_run_and_say_so(trained, tmp_path, caplog):
    folder = shutil.copytree(trained, tmp_path / "older")
    (folder / "models" / "model.json").unlink()
    config = settings_of(ONE.parser("train", "demo", **ODD[ONE.name]))
    (folder / "run.json").write_text(json.dumps({"config": config}, default=str))
    with caplog.at_level(logging.WARNING):
        parser = prepared(folder)
    assert parser.get_parsed_content("plane") == "axial"
    assert f"has no model.json: the settings of {folder / 'run.json'} are used" in caplog.text
    checkpoints.load_weights(parser.get_parsed_content("network_def"), folder / "models" / "model.pt")


def test_a_later_version_is_refused(trained, tmp_path):
    folder = shutil.copytree(trained, tmp_path / "later")
    path = folder / "models" / "model.json"
    path.write_text(path.read_text().replace('"schema_version": 1', '"schema_version": 9'))
    with pytest.raises(Exception, match=".") as caught:
        prepared(folder)
    assert "model.json does not describe its weights (ValueError('schema_version 9, this version reads 1'))" in str(
        mistake(caught.value)
    )


@pytest.mark.parametrize("name", ["pd2t2_dcgan_acm", "brain3d_alphagan"])  # the spacing of one is never null
def test_weights_of_another_bundle_are_refused(trained, name):
    places = {"weights": str(trained / "models" / "model.pt"), "device": CPU}
    with pytest.raises(Exception, match=".") as caught:
        Bundle(name).parser("inference", **places)
    assert f"has weights of mr2ct_pix2pix: pass weights of {name}" in str(mistake(caught.value))


def test_a_process_killed_between_both_files_leaves_a_pair_that_loads(trained, tmp_path, monkeypatch):
    folder = shutil.copytree(trained, tmp_path / "killed")
    path = folder / "models" / "model.pt"
    before = checkpoints.sha256(path)
    weights = {name: value * 2 for name, value in checkpoints.load(path).items()}
    monkeypatch.setattr("common.files.os.replace", stop_at("model.pt"))
    with pytest.raises(KeyboardInterrupt):
        info.save(weights, path, {"bundle": ONE.name, "settings": {}, "trained_on": {}})
    assert checkpoints.sha256(path) == before
    assert json.loads((folder / "models" / "model.json").read_text())["replaces"] == before
    checkpoints.load(path)


def stop_at(name):
    """A rename that is cut short before this file is replaced."""
    rename = os.rename

    def replace(source, target):
        if Path(target).name == name:
            raise KeyboardInterrupt
        rename(source, target)

    return replace


# ---- shipped weights ------------------------------------------------------------------------------------------------


def test_shipped_weights_are_used_where_no_others_are_meant(tmp_path, caplog):
    with caplog.at_level(logging.INFO):
        parser = ONE.parser("inference", device=CPU, bundle_root=str(shipping(tmp_path)))
        about = parser.get_parsed_content("record").weights
    assert about.path == shipped_weights(tmp_path / ONE.name)
    assert parser.get_parsed_content("weights") == str(about.path)
    assert parser.get_parsed_content("network_def").state_dict().keys() == checkpoints.load(about.path).keys()
    said = [record for record in caplog.records if "pretrained_mr2ct_basicunet.pt" in record.getMessage()]
    assert [record.levelname for record in said] == ["INFO"], "one line, and no warning of what nobody chose"
    line = f"shipped weights: {about.path} (sha256 {about.sha256[:12]}), trained on simulated heads, no patient"
    assert said[0].getMessage() == line


@pytest.mark.parametrize("option", [{"output_dir": "out"}, {"weights": "out/model.pt"}, {"variant": "unpaired"}])
def test_who_names_weights_is_not_given_others(tmp_path, tiny_data_of_one, option):
    given = {name: value if name == "variant" else tmp_path / value for name, value in option.items()}
    done = ONE.run("inference", ["inference"], dataset_dir=tiny_data_of_one, predictions_dir=tmp_path / "p", **given)
    assert done.returncode == 2
    said = last_line(done.stderr)
    assert said.startswith("error: no weights at ")
    assert f"(from --{next(iter(option))}): train there first, or pass --weights FILE, such as the shipped" in said
    assert str(shipped_weights(ONE.folder)) in said
    assert list(tmp_path.iterdir()) == []
    parser = ONE.parser("inference", bundle_root=str(shipping(tmp_path)), **{"weights": "/x", **option})
    assert parser.get_parsed_content("record").weights is None, "a program may build its network before it has weights"


def shipping(target: Path) -> Path:
    folder = target / ONE.name
    shutil.copytree(ONE.configs, folder / "configs")
    (folder / "models").mkdir()
    for ending in (".pt", ".json"):
        shutil.copy(shipped_weights(ONE.folder).with_suffix(ending), folder / "models")
    return folder


# ---- variants, checkpoints, fine-tuning -----------------------------------------------------------------------------


def test_a_variant_is_built_from_its_own_settings(trained):
    method = variant(trained / "models" / "model.pt", ONE.parser("train", "evaluate").get_parsed_content("record"))
    assert (method.inferer.axis, method.inferer.neighbours) == (2, 3)
    checkpoints.load_weights(method.network, trained / "models" / "model.pt")


def test_the_deployed_network_of_a_checkpoint_knows_its_settings(odd_run_of_one, tmp_path):
    run, data = odd_run_of_one
    made = {}
    for name in ("model.pt", "last_checkpoint.pt"):
        out = tmp_path / name
        places = {"weights": run / "models" / name, "dataset_dir": data, "predictions_dir": out}
        ok(ONE.run("inference", ["inference"], **places, output_dtype="float32"))
        made[name] = volumes(out)
    for name, values in made["model.pt"].items():
        assert np.array_equal(values, made["last_checkpoint.pt"][name]), "one epoch, which was the best and the last"


@pytest.fixture(scope="module")
def odd_run_of_one(tiny_data_of_one, tmp_path_factory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("one") / "run"
    places = {"dataset_dir": tiny_data_of_one, "output_dir": folder, "crop_size": 48, "pad_size": 96}
    ok(ONE.run("training", ["train", "demo"], **TINY, **places, **words(ODD[ONE.name])))
    return folder, tiny_data_of_one


def test_label_trains_on_from_weights_with_their_settings(trained):
    """MONAI Label loads the served weights by a handler of its own that it puts before the bundle's."""
    loader = {"_target_": "CheckpointLoader", "load_path": str(trained / "models" / "model.pt")}
    own = ONE.raw("train")["train"]["handlers"]
    handlers = [{**loader, "load_dict": {"model": "$@network"}, "strict": False}, *own]
    fresh = ONE.parser("train", device=CPU, **{"train::handlers": handlers})
    assert fresh.get_parsed_content("depth") == 4
    assert fresh.get_parsed_content("plane") == "axial"


# ---- how options are typed ------------------------------------------------------------------------------------------


def written(folder: Path, bundle: Bundle = ONE, **options: Any) -> Path:
    """The weights of a training with these options, in the folder of a run, as its writer describes them."""
    save_drawn(bundle.parser("train", "demo", **options), bundle, folder / "models" / "model.pt")
    return folder


def test_names_of_files_are_recorded_by_their_values(tmp_path):
    run = written(tmp_path / "run", source="t1", nan_fill=0)
    told = json.loads((run / "models" / "model.json").read_text())
    assert told["trained_on"] == {"source": "t1", "target": "ct", "mask": "mask"}
    assert "nan_fill" not in told["settings"], "how files are read belongs to the files"
    parser = prepared(run)
    assert (parser["source"], parser["data::source"]) == ("t1", "@source")
    assert parser.get_parsed_content("reader").nan_fill is None


@pytest.mark.parametrize(("direction", "source"), [("cect2ct", "ap"), ("ct2cect", "nc")])
def test_both_directions_read_the_files_that_were_trained_on(tmp_path, direction, source):
    bundle = Bundle("cect2ct_rescyclegan")
    run = written(tmp_path / "run", bundle, source="ap", target="nc")
    for suffix in (".pt", ".json"):
        shutil.copy(run / "models" / f"model{suffix}", run / "models" / f"model_backward{suffix}")
    parser = bundle.parser("inference", output_dir=str(run), device=CPU, direction=direction)
    assert parser.get_parsed_content("translation").source == source


@pytest.mark.parametrize("option", [{"network_def::width": 16}, {"network_def::in_channels": 3}, {"depth": 4}])
def test_the_same_value_in_another_form_contradicts_nothing(trained, option):
    prepared(trained, **option)


def test_an_option_of_the_inferer_is_used_and_the_rest_is_that_of_training(trained):
    inferer = prepared(trained, **{"inferer::inferer::multiple_of": 64}).get_parsed_content("inferer").inferer
    assert (inferer.multiple_of, inferer.neighbours, inferer.axis) == (64, 3, 2)


def test_another_list_of_transforms_is_taken_as_it_is(trained, caplog):
    turn = {"_target_": "Flipd", "keys": "image", "spatial_axis": 0}
    with caplog.at_level(logging.WARNING):
        parser = prepared(
            trained, **{"preprocessing::transforms": [*ONE.raw("train")["preprocessing"]["transforms"], turn]}
        )
    assert len(parser.get_parsed_content("preprocessing").transforms) == 8
    assert "--preprocessing::transforms::7" in caplog.text
    assert "::reader" not in caplog.text, "the reader belongs to the files, so that weights are not trained with one"
    assert parser.get_parsed_content("target_window") == [-900, 1800]


def test_a_checkpoint_says_where_it_is_from(odd_run_of_one):
    run, _ = odd_run_of_one
    about = info.read_info(run / "models" / "last_checkpoint.pt")
    assert about.settings == info.read_info(run / "models" / "model.pt").settings
    assert about.trained_on["cases"] == {"training": 2, "validation": 1, "test": 1}
    assert info.origin(run / "models" / "last_checkpoint.pt") is None


@pytest.mark.parametrize("name", ["models/model.json", "run.json"])
@pytest.mark.parametrize("content", ["{", '{"sha256": "", "schema_version": 1, "bundle": "", "settings": []}', "[]"])
def test_damaged_descriptions_end_in_one_line(trained, tmp_path, name, content):
    folder = shutil.copytree(trained, tmp_path / "damaged")
    sha256 = checkpoints.sha256(folder / "models" / "model.pt")
    (folder / "models" / "model.json").unlink()
    (folder / name).write_text(content.replace('"sha256": ""', f'"sha256": "{sha256}"'))
    with pytest.raises(Exception, match=".") as caught:
        prepared(folder)
    assert re.search("does not describe|is not valid JSON|no sha256|no settings of a run", str(mistake(caught.value)))
