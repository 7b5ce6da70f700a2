"""The contract that every bundle keeps, as far as its files and networks show it; nothing is trained here."""

from __future__ import annotations

import json
import math
import re
from importlib.metadata import version
from itertools import combinations
from pathlib import Path

import pytest
import torch
from bundle_commands import BUNDLES, ROOT, TINY, WHOLE, Bundle
from monai.bundle import ConfigWorkflow, verify_net_in_out
from monai.networks import convert_to_torchscript

CONFIGS = ("demo", "evaluate", "inference", "multi_gpu_train", "train")
TRAIN_LINES, OVERLAY_LINES, COLUMNS = 130, 40, 120
OWN_TO_EACH_TASK = {"cases", "run"}
"""Keys that stand in train.yaml and inference.yaml and must differ: what is read, and what runs by default."""
DEPLOYED = {"bundle_root", "cases", "dataset_dir", "device", "network_def", "output_dir", "preprocessing", "seed"}
REQUIRED_METADATA = (
    "schema", "version", "changelog", "monai_version", "pytorch_version", "numpy_version", "required_packages_version",
    "name", "task", "description", "authors", "copyright", "data_source", "intended_use", "references", "eval_metrics",
    "network_data_format",
)  # fmt: skip
TENSOR_KEYS = {"type", "format", "num_channels", "spatial_shape", "dtype", "value_range"}


def leaves(value, name=""):
    """Every value of a nested configuration with its dotted name."""
    nested = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
    if nested is None:
        yield name, value
        return
    for key, part in nested:
        yield from leaves(part, f"{name}.{key}")


def sides(spatial_shape):
    """Sides of the smallest input that metadata allow: "256*n" is 256, "2**p*n" is 2."""
    return [math.prod(int(number) for number in re.findall(r"\d+", str(side))) for side in spatial_shape]


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


# ---- the text of the configs --------------------------------------------------------------------------------------


def test_has_the_configs_of_every_bundle(bundle):
    assert set(CONFIGS) <= {path.stem for path in bundle.configs.glob("*.yaml")}
    assert (bundle.configs / "logging.conf").is_file()


def test_each_config_opens_with_three_lines_on_what_how_and_how_long(bundle):
    for path in bundle.configs.glob("*.yaml"):
        head = path.read_text().splitlines()[:4]
        assert [line[:2] == "# " for line in head] == [True, True, True, False], path.name
        assert re.search(r"python -m monai\.bundle run|torchrun .*-m monai\.bundle run|make demo", head[1]), path.name
        assert len(head[2].split()) > 3, f"{path.name}: the third line says hardware, time and result, not {head[2]!r}"


def test_configs_are_short(bundle):
    for path in bundle.configs.glob("*.yaml"):
        lines = path.read_text().splitlines()
        assert len(lines) <= (TRAIN_LINES if path.stem in WHOLE else OVERLAY_LINES), path.name
        assert max(map(len, lines)) <= COLUMNS, path.name


def test_no_number_is_read_as_a_text(bundle):
    for path in bundle.configs.glob("*.yaml"):
        texts = [(name, value) for name, value in leaves(bundle.own(path.stem)) if isinstance(value, str)]
        assert [name for name, value in texts if re.fullmatch(r"[+-]?[\d.]+([eE][+-]?\d+)?", value)] == [], path.name


def test_behaviour_is_in_python_not_in_yaml(bundle):
    for path in bundle.configs.glob("*.yaml"):
        expressions = [v for _, v in leaves(bundle.own(path.stem)) if str(v).startswith("$")]
        assert [text for text in expressions if re.search(r"lambda| for | if |import", text)] == [], path.name


def test_nothing_edits_the_import_path():
    sources = [path for folder in ("common", "bundles", "tools") for path in (ROOT / folder).rglob("*.py")]
    configs = list((ROOT / "bundles").rglob("*.yaml"))
    assert len(sources) > 30
    assert [path.name for path in sources + configs if "sys.path" in path.read_text()] == []


# ---- the same in both, the same in all ------------------------------------------------------------------------------


def test_train_and_inference_agree_on_what_stands_in_both(bundle):
    train, inference = bundle.raw("train"), bundle.raw("inference")
    shared = train.keys() & inference.keys()
    read = set() if bundle.conditional else {"preprocessing"}  # without a source, nothing is read
    assert shared >= DEPLOYED - read
    assert [key for key in sorted(shared - OWN_TO_EACH_TASK) if train[key] != inference[key]] == []


def test_shared_keys_have_one_order_everywhere():
    whole = [Bundle(name).raw(config) for name in BUNDLES for config in ("train", "inference")]
    sections = [config[key] for config in whole for key in ("train", "validate") if key in config]
    assert len(sections) == 2 * len(BUNDLES)
    for one, other in [*combinations(whole, 2), *combinations(sections, 2)]:
        assert [key for key in one if key in other] == [key for key in other if key in one]


def test_demo_holds_settings_of_train_alone(bundle):
    train, demo = bundle.raw("train"), bundle.own("demo")
    assert demo.keys() <= train.keys()
    assert not [key for key, value in demo.items() if isinstance(value, dict) and "_target_" in value]
    assert not [key for key, value in demo.items() if isinstance(value, str) and value[:1] in "$@%"]


def test_demo_gives_train_and_inference_the_same_network(bundle):
    shapes = []
    for config in ("train", "inference"):
        network = bundle.parser(config, "demo").get_parsed_content("network_def")
        shapes.append({name: tuple(value.shape) for name, value in network.state_dict().items()})
    assert shapes[0] == shapes[1]
    assert sum(math.prod(shape) for shape in shapes[0].values()) < 5_000_000, "the demo's network is small"


def test_overlays_hold_differences_alone(bundle):
    train = bundle.parser("train")
    for path in bundle.overlays:
        same = [key for key, value in bundle.own(path.stem).items() if key in train and train[key] == value]
        assert same == [], path.name


def test_variants_are_named_as_their_overlays(bundle):
    assert ("no_adversarial" if bundle.conditional else "acgan") in bundle.variants
    assert {name: path.stem for name, path in bundle.variants.items()} == {name: name for name in bundle.variants}


def test_the_default_run_is_the_task(bundle):
    expected = {"train": "training", "inference": "inference", "evaluate": "evaluating"}
    configs = {name: bundle.own(name) for name in expected}
    assert {name: config["run"].lstrip("%@") for name, config in configs.items()} == expected
    assert all(expected[name] in config for name, config in configs.items())


# ---- what MONAI demands ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "configs"),
    [("train", ["train", "demo"]), ("train", ["train", "demo", "evaluate"]), ("infer", ["inference", "demo"])],
)
def test_has_every_property_of_its_workflow(bundle, tiny_data, tmp_path, kind, configs):
    settings = {"dataset_dir": str(tiny_data), "output_dir": str(tmp_path), "device": torch.device("cpu")}
    if kind == "train":
        settings |= TINY
    workflow = ConfigWorkflow(bundle.files(*configs), workflow_type=kind, logging_file=False, **settings)
    workflow.initialize()
    assert workflow.check_properties() == []


def test_metadata_is_whole(bundle, metadata):
    assert [key for key in REQUIRED_METADATA if not metadata.get(key)] == []
    assert metadata["version"] in metadata["changelog"]
    assert re.fullmatch(r"https://.*meta_schema_\d{8}\.json", metadata["schema"])
    for network, parts in formats(bundle).items():
        assert next(iter(parts["inputs"])) == "image", network
        assert next(iter(parts["outputs"])) == "pred", network
        for tensor in (*parts["inputs"].values(), *parts["outputs"].values()):
            assert tensor.keys() >= TENSOR_KEYS, network
            assert tensor["channel_def"].keys() == {str(channel) for channel in range(tensor["num_channels"])}, network


def test_metadata_names_the_versions_that_are_installed(metadata):
    assert metadata["monai_version"] == version("monai")
    for package, wanted in metadata["required_packages_version"].items():
        assert version(package) == wanted, package


def test_metadata_and_configs_name_one_version(bundle, metadata):
    named = {value for config in CONFIGS for name, value in leaves(bundle.own(config)) if name.endswith(".bundle")}
    assert named == {f"{bundle.name} {metadata['version']}"}


def test_metadata_list_the_metrics_that_are_reported(bundle, metadata):
    assert ("mae" if bundle.conditional else "kid") in metadata["eval_metrics"]
    assert bundle.raw("train")["validate"]["key_metric"].keys() <= metadata["eval_metrics"].keys()


def test_not_for_clinical_use(bundle, metadata):
    card = (bundle.folder / "docs" / "README.md").read_text().lower()
    assert "not for clinical use" in metadata["intended_use"].lower()
    assert "not for clinical use" in card


def test_has_card_and_licences(bundle):
    card = (bundle.folder / "docs" / "README.md").read_text()
    assert re.search(r"^#+ What differs from the paper", card, re.MULTILINE)
    assert "Apache License" in (bundle.folder / "LICENSE").read_text()
    assert len((bundle.folder / "docs" / "data_license.txt").read_text().split()) > 20


# ---- the networks ---------------------------------------------------------------------------------------------------


def test_published_networks_are_as_metadata_say(bundle, networks):
    assert next(iter(networks)) == "network_def"
    for name, parts in formats(bundle).items():
        given, stated = parts["inputs"]["image"], parts["outputs"]["pred"]
        images = torch.rand(1, given["num_channels"], *sides(given["spatial_shape"])) * 2 - 1
        with torch.no_grad():
            made = networks[name](images)
        assert made.shape == (1, stated["num_channels"], *sides(stated["spatial_shape"])), name
        assert made.dtype == getattr(torch, stated["dtype"]), name
        if stated["value_range"]:
            assert stated["value_range"][0] <= made.min() < made.max() <= stated["value_range"][1], name


def test_monai_verifies_every_network(bundle):
    files = {"meta_file": str(bundle.configs / "metadata.json"), "config_file": bundle.files("train")}
    for name, parts in formats(bundle).items():
        overrides = {"_meta_::network_data_format": parts}
        verify_net_in_out(name, device="cpu", **files, **overrides)


def test_monai_notices_wrong_metadata(bundle):
    files = {"meta_file": str(bundle.configs / "metadata.json"), "config_file": bundle.files("train", "demo")}
    wrong = {"_meta_::network_data_format::outputs::pred::num_channels": 17}
    with pytest.raises(ValueError, match="output channel number `1` doesn't match: `17`"):
        verify_net_in_out("network_def", device="cpu", **files, **wrong)


def test_torchscript_gives_the_same(bundle, tmp_path):
    network = bundle.parser("train", "demo").get_parsed_content("network_def").eval()
    given = formats(bundle)["network_def"]["inputs"]["image"]
    example = torch.rand(2, given["num_channels"], *sides(given["spatial_shape"])) * 2 - 1
    path = tmp_path / "model.ts"
    convert_to_torchscript(network, filename_or_obj=str(path))
    exported = torch.jit.load(str(path))
    with torch.no_grad():
        torch.testing.assert_close(exported(example), network(example), rtol=0, atol=1e-6)


def test_the_bundle_finds_its_folder_from_its_package(bundle):
    root = bundle.parser("train").get_parsed_content("bundle_root")
    assert Path(root) == bundle.folder
