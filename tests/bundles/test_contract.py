"""The contract that every bundle keeps, as far as ``make verify`` does not show it; nothing is trained here."""

from __future__ import annotations

import json
import math
import subprocess
from importlib.metadata import version
from itertools import combinations
from pathlib import Path
from pydoc import locate

import pytest
import torch
from bundle_commands import BUNDLES, ROOT, TINY, Bundle
from monai.bundle import ConfigParser, ConfigWorkflow
from monai.bundle.config_item import ComponentLocator
from monai.bundle.scripts import _get_fake_spatial_shape as sizes
from monai.networks import convert_to_torchscript

from common.weights.info import needed_settings
from common.weights.safe_settings import require_safe
from tools.release.verify.bundle import ValidatedBundle as Validated
from tools.release.verify.bundle import all_leaves


def formats(bundle):
    """Each network of the metadata by its id in the configuration, with the format of its tensors."""
    metadata = json.loads((bundle.configs / "metadata.json").read_text())
    end = "_data_format"
    return {f"{key.removesuffix(end)}_def": value for key, value in metadata.items() if key.endswith(end)}


@pytest.fixture(scope="module")
def networks(bundle):
    """Every network at its published size, by its id."""
    parser = bundle.parser("train")
    return {name: parser.get_parsed_content(name).eval() for name in formats(bundle)}


@pytest.fixture(scope="module")
def metadata(bundle):
    return json.loads((bundle.configs / "metadata.json").read_text())


# ---- what files show -------------------------------------------------------------------------------------------------


def test_every_component_exists(bundle):
    named = {value for name, value in all_leaves(Validated(bundle.folder)) if name.endswith("_target_")}
    dotted = {value for value in named if isinstance(value, str) and "." in value and value[0] not in "$@%"}
    assert len(dotted) > 20
    assert [value for value in dotted if locate(value) is None] == []
    plain = {value for value in named if isinstance(value, str) and "." not in value}
    found = ComponentLocator()
    assert [value for value in plain if found.get_component_module_name(value) is None] == []


def test_nothing_edits_the_import_path():
    sources = [path for folder in ("common", "bundles", "tools") for path in (ROOT / folder).rglob("*.py")]
    configs = list((ROOT / "bundles").rglob("*.yaml"))
    assert len(sources) > 30
    assert [path.name for path in sources + configs if "sys.path" in path.read_text()] == []


# ---- the same in both, the same in all ------------------------------------------------------------------------------


def test_shared_keys_have_one_order_everywhere():
    whole = [Bundle(name).raw(config) for name in BUNDLES for config in ("train", "inference")]
    sections = [config[key] for config in whole for key in ("train", "validate") if key in config]
    assert len(sections) == 2 * len(BUNDLES)
    for one, other in [*combinations(whole, 2), *combinations(sections, 2)]:
        assert [key for key in one if key in other] == [key for key in other if key in one]


def test_demo_gives_train_and_inference_the_same_network(bundle):
    shapes = []
    for config in ("train", "inference"):
        network = ConfigParser(bundle.raw(config, "demo")).get_parsed_content("network_def")
        shapes.append({name: tuple(value.shape) for name, value in network.state_dict().items()})
    assert shapes[0] == shapes[1]
    assert sum(math.prod(shape) for shape in shapes[0].values()) < 5_000_000, "the demo's network is small"


def test_overlays_of_another_task_fit_the_training_that_they_name(bundle):
    """As MONAI's command merges them: a part such as ``evaluation::unit`` needs its section."""
    for path in bundle.configs.glob("*.yaml"):
        if "run training" in (head := path.read_text().splitlines()[1]) and head.count(".yaml") == 2:
            assert bundle.raw("train", path.stem)["training"], path.name


def test_other_tasks_in_one_folder_have_phantoms_of_their_own_and_git_ignores_their_runs(bundle):
    own = [bundle.own(path.stem) for path in bundle.overlays]
    phantoms = [settings["demo_data"] for settings in own if "demo_data" in settings]
    assert len(phantoms) == len(set(phantoms))
    folders = [settings["output_dir"].split("'")[1][1:] for settings in own if "'" in settings.get("output_dir", "")]
    runs = [Path("bundles", bundle.name, folder) for folder in (*folders, ".", "epochs/0005")]
    files = [str(run / "models" / "model.pt") for run in runs]
    ignored = subprocess.run(["git", "check-ignore", *files], cwd=ROOT, capture_output=True, text=True).stdout
    assert ignored.splitlines() == files


def test_weights_of_every_variant_may_be_used(bundle):
    for overlay in ((), *((path.stem,) for path in bundle.variants.values())):
        require_safe(needed_settings(bundle.raw("train", *overlay)), f"weights of {overlay}")


def _names(transform):
    """Class names of a transform, or of all transforms of a chain or list of them."""
    parts = transform if isinstance(transform, list) else getattr(transform, "transforms", None)
    return {type(transform).__name__} if parts is None else {name for part in parts for name in _names(part)}


@pytest.mark.translation
def test_augmentation_suits_the_source_and_is_off_in_the_demo(bundle, metadata):
    drawn = _names(bundle.parser("train").get_parsed_content("train::augmentation"))
    assert "RandAffined" in drawn
    # contrast and noise of a magnitude image are a scanner's; HU, diffusivities and ratios are quantities
    image = metadata["network_data_format"]["inputs"]["image"]
    arbitrary = image["format"] == "magnitude" and image["num_channels"] == 1
    assert ({"RandAdjustContrastd", "RandGaussianNoised"} <= drawn) is arbitrary
    off = _names(bundle.parser("train", "demo").get_parsed_content("train::augmentation"))
    assert off <= {"SpatialPadd", "Identityd", "RandSpatialCropd"}


# ---- what MONAI demands ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "configs"),
    [("train", ["train", "demo"]), ("train", ["train", "demo", "evaluate"]), ("infer", ["inference", "demo"])],
)
def test_has_every_property_of_its_workflow(bundle, noise, tmp_path, kind, configs):
    settings = {**noise, "initialize": "%prepare", "output_dir": str(tmp_path), "device": torch.device("cpu")}
    if kind == "train":
        settings |= TINY
    workflow = ConfigWorkflow(bundle.files(*configs), workflow_type=kind, logging_file=False, **settings)
    workflow.initialize()
    assert workflow.check_properties() == []


def test_metadata_name_the_monai_that_is_installed(metadata):
    assert metadata["monai_version"] == version("monai")


# ---- the networks ---------------------------------------------------------------------------------------------------


def test_published_networks_are_as_metadata_say(bundle, networks):
    assert next(iter(networks)) == "network_def"
    for name, parts in formats(bundle).items():
        given, stated = parts["inputs"]["image"], parts["outputs"]["pred"]
        images = torch.rand(1, given["num_channels"], *sizes(given["spatial_shape"])) * 2 - 1
        with torch.no_grad():
            made = networks[name](images)
        assert made.shape == (1, stated["num_channels"], *sizes(stated["spatial_shape"])), name
        assert made.dtype == getattr(torch, stated["dtype"]), name
        if stated["value_range"]:
            assert stated["value_range"][0] <= made.min() < made.max() <= stated["value_range"][1], name


def test_torchscript_gives_the_same(bundle, tmp_path):
    network = bundle.parser("train", "demo").get_parsed_content("network_def").eval()
    given = formats(bundle)["network_def"]["inputs"]["image"]
    shape = getattr(network, "latent_shape", (given["num_channels"], *sizes(given["spatial_shape"])))
    example = torch.rand(2, *shape) * 2 - 1
    path = tmp_path / "model.ts"
    convert_to_torchscript(network, filename_or_obj=str(path))
    exported = torch.jit.load(str(path))
    with torch.no_grad():
        torch.testing.assert_close(exported(example), network(example), rtol=0, atol=1e-6)


def test_the_bundle_finds_its_folder_from_its_package(bundle):
    root = bundle.parser("train").get_parsed_content("bundle_root")
    assert Path(root) == bundle.folder
