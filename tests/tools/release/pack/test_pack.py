"""Release zips: the same bytes each time, one self-contained folder, configs that match the weights."""

from __future__ import annotations

import ast
import hashlib
import json
import os
import re
import shutil
import stat
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from monai.bundle import ConfigParser
from mri_dagan.kspace_scan import channels_of
from packed_copies import BUNDLES, Released, copy_sources, package_of, version_of, write_weights

from common.errors import ConfigError
from common.trust.record import path_of
from common.weights.info import WeightsInfo, origin, read_info
from common.weights.shipped import shipped_weights
from tools.release.pack import __main__ as command
from tools.release.pack import overlay
from tools.release.pack.release import origin_of_weights, pack
from tools.release.pack.release import release as contents
from tools.release.pack.sizes import resized
from tools.repository import ROOT

ONE = "mr2ct_pix2pix"
PACKAGE = package_of(ONE)
LEFTOVERS = (
    f"bundles/{ONE}/models/last_checkpoint.pt", f"bundles/{ONE}/models/previous/model.pt", f"bundles/{ONE}/log.csv",
    f"bundles/{ONE}/models/.lock", f"bundles/{ONE}/evaluation/report.html", f"bundles/{ONE}/variants/a/models/model.pt",
    f"bundles/{ONE}/demo_data/a/mr.nii.gz", f"bundles/{ONE}/predictions/a.nii.gz", f"bundles/{ONE}/run.json",
    "common/__pycache__/losses.cpython-311.pyc", f"bundles/{ONE}/{ONE}/networks.py.swp", f"bundles/{ONE}/datalist.json",
)  # fmt: skip
"""Files of runs and editors, which are no part of a release."""


@pytest.fixture
def small(checkout: Path, tmp_path: Path) -> Path:
    """A copy of the repository with one bundle, to be changed."""
    return copy_sources(checkout, tmp_path / "copy", [ONE])


def _raw(*files: Path) -> dict[str, Any]:
    parser = ConfigParser()
    parser.read_config([str(file) for file in files])
    return {key: value for key, value in parser.get().items() if key != ConfigParser.meta_key}


def _renamed(value: Any, bundle: str, package: str) -> Any:
    """A configuration with the modules of its components named as in the release."""
    if isinstance(value, dict):
        new = {key: _renamed(part, bundle, package) for key, part in value.items()}
        top, _, rest = str(value.get("_target_")).partition(".")
        return new | ({"_target_": {bundle: f"{package}.", "common": f"{package}.common."}[top] + rest}
                      if top in (bundle, "common") else {})  # fmt: skip
    return [_renamed(part, bundle, package) for part in value] if isinstance(value, list) else value


# ---- the archive ----------------------------------------------------------------------------------------------------


def test_two_builds_have_the_same_bytes(released: Released, small: Path, tmp_path: Path) -> None:
    write_weights(small, ONE)
    for name in LEFTOVERS:
        (small / name).parent.mkdir(parents=True, exist_ok=True)
        (small / name).write_text("left behind")
    for path in small.rglob("*.py"):
        os.utime(path, (0, 0))
        path.chmod(0o700)
    again = pack(small, ONE, tmp_path / "again", "demo")
    assert again.name == f"{ONE}_v{version_of(ONE)}.zip"
    assert again.read_bytes() == released(ONE).read_bytes()


def test_entries_are_plain_sorted_files_of_one_folder(release: Path) -> None:
    with zipfile.ZipFile(release) as archive:
        entries = archive.infolist()
    names = [entry.filename for entry in entries]
    assert names == sorted(set(names))
    assert {name.split("/")[0] for name in names} == {re.sub(r"_v[\d.]+\.zip$", "", release.name)}
    assert {entry.date_time for entry in entries} == {(1980, 1, 1, 0, 0, 0)}
    assert {entry.external_attr >> 16 for entry in entries} == {stat.S_IFREG | 0o644}
    assert [name for name in names if re.search(r"__pycache__|\.pyc$|demo_data|last_checkpoint|previous/", name)] == []


def test_a_release_holds_what_it_needs_and_no_more(released: Released, checkout: Path) -> None:
    with zipfile.ZipFile(released(ONE)) as archive:
        names = {name.removeprefix(f"{ONE}/") for name in archive.namelist()}
    configs = {path.stem for path in (checkout / "bundles" / ONE / "configs").glob("*.yaml")}
    code = {path.relative_to(checkout).as_posix() for path in (checkout / "common").rglob("*.py")}
    assert names == {
        "LICENSE", "requirements.txt", "model_info.json", "docs/README.md", "docs/data_license.txt",
        "configs/metadata.json", "configs/logging.conf", "models/model.pt", "models/model.json",
        *(f"configs/{stem}.{kind}" for stem in configs for kind in ("yaml", "json")),
        *(f"{PACKAGE}/{path.name}" for path in (checkout / "bundles" / ONE / ONE).glob("*.py")),
        *(f"{PACKAGE}/{name}" for name in code),
        *(
            f"{PACKAGE}/common/evaluation/report/{name}"
            for name in ("template.html.j2", "page.css", "slices.js", "viewer.js")
        ),
        f"{PACKAGE}/common/registration/page.html.j2",
        *(f"{PACKAGE}/common/reader_study/{name}" for name in ("page.html.j2", "page.css", "page.js")),
        *(f"{PACKAGE}/common/segmenter/weights/{name}" for name in ("ct.pt", "ct.json", "mr.pt", "mr.json")),
        *(f"{PACKAGE}/common/trust/weights/{name}" for name in ("average_head.pt", "contrast.json")),
    }  # fmt: skip


# ---- code and configs -----------------------------------------------------------------------------------------------


def test_no_module_outside_the_release_is_named(unpacked: Path) -> None:
    """Neither by an import nor by a component: all that is not a library is in the release's own package."""
    package = package_of(unpacked.name)
    imported = set()
    for path in unpacked.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) and node.module and not node.level else []
            imported |= {name.split(".")[0] for name in names}
    configs = "".join(path.read_text() for path in unpacked.glob("configs/*.*"))
    targets = re.findall(r"_target_\"?: *\"?(\w+)\.", configs)
    assert package in imported
    assert package in targets
    assert {"common", "tools", *BUNDLES} & (imported | set(targets)) == set()


def test_components_are_found_in_the_release(unpacked: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from monai.utils import optional_import

    monkeypatch.syspath_prepend(unpacked)
    text = "".join(path.read_text() for path in unpacked.glob("configs/*.yaml"))
    targets = set(re.findall(rf"_target_: ({package_of(unpacked.name)}[\w.]+)\.(\w+)", text))
    assert len(targets) > 10
    assert [target for target in sorted(targets) if not optional_import(target[0], name=target[1])[1]] == []


def test_json_twins_hold_what_the_yaml_holds(unpacked: Path) -> None:
    configs = list(unpacked.glob("configs/*.yaml"))
    assert len(configs) >= 6
    for path in configs:
        twin = ConfigParser.load_config_file(path.with_suffix(".json"))
        assert twin == ConfigParser.load_config_file(path), path.name


def test_configs_are_those_that_monai_merges(unpacked: Path, checkout: Path) -> None:
    folder, package = checkout / "bundles" / unpacked.name / "configs", package_of(unpacked.name)
    for task in ("train", "inference"):
        own = _raw(folder / f"{task}.yaml")
        merged = _raw(folder / f"{task}.yaml", folder / "demo.yaml")
        wanted = {key: merged[key] for key in own}
        expected = _renamed(wanted, unpacked.name, package)
        assert list(_raw(unpacked / "configs" / f"{task}.yaml").items()) == list(expected.items()), task
        assert merged != own, task


def test_other_configs_differ_in_names_alone(unpacked: Path, checkout: Path) -> None:
    for path in (checkout / "bundles" / unpacked.name / "configs").glob("*.yaml"):
        if path.stem not in ("train", "inference"):
            expected = _renamed(yaml.safe_load(path.read_text()), unpacked.name, package_of(unpacked.name))
            assert yaml.safe_load((unpacked / "configs" / path.name).read_text()) == expected, path.name


def test_commands_name_files_of_the_unpacked_folder(unpacked: Path) -> None:
    comments = [line for path in unpacked.glob("configs/*.yaml") for line in path.read_text().splitlines()[:3]]
    text = "\n".join([*comments, (unpacked / "docs" / "README.md").read_text()])
    named = set(re.findall(r"[\w/]*\.ya?ml(?=['`\" )]|$)", text, re.MULTILINE))
    configs = {name for name in named if "/" in name}
    assert {"configs/train.yaml", "configs/inference.yaml", "configs/evaluate.yaml"} <= configs
    assert [name for name in configs if not (unpacked / name).is_file()] == []
    modules = {name.replace(".", "/") for name in re.findall(r"python -m (?!monai)([\w.]+)", text)}
    assert [name for name in modules if not (unpacked / name / "__main__.py").is_file()] == []
    assert re.findall(r"bundles/|CONFIGS", text) == []


# ---- hashes and weights ---------------------------------------------------------------------------------------------


def test_model_info_has_the_hash_of_every_file(unpacked: Path) -> None:
    info = json.loads((unpacked / "model_info.json").read_text())
    paths = [path for path in unpacked.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    files = {path.relative_to(unpacked).as_posix(): path for path in paths}
    assert info["sha256"].keys() == files.keys() - {"model_info.json"}
    for name, noted in info["sha256"].items():
        assert noted == hashlib.sha256(files[name].read_bytes()).hexdigest(), name
    assert info["weights"] == info["sha256"]["models/model.pt"]
    assert json.loads((unpacked / "models" / "model.json").read_text())["sha256"] == info["weights"]
    version = version_of(unpacked.name)
    named = {key: info[key] for key in ("name", "version", "package", "overlay")}
    assert named == {
        "name": unpacked.name, "version": version, "package": package_of(unpacked.name), "overlay": "demo"
    }  # fmt: skip


def test_without_weights_there_are_none(checkout: Path, tmp_path: Path) -> None:
    """Neither a user's own nor shipped ones, which this bundle has not."""
    bundle = "cect2ct_rescyclegan"
    files = contents(copy_sources(checkout, tmp_path / "copy", [bundle]), bundle)
    info = json.loads(files["model_info.json"])
    assert (info["weights"], info["overlay"]) == (None, None)
    assert [name for name in files if name.startswith("models/")] == []
    assert b"**Shipped weights**: none, train first" in files["docs/README.md"]
    assert yaml.safe_load(files["configs/train.yaml"])["depth"] == 8


def test_the_way_back_travels_too(checkout: Path, tmp_path: Path) -> None:
    bundle = "cect2ct_rescyclegan"
    root = copy_sources(checkout, tmp_path / "copy", [bundle])
    models = write_weights(root, bundle).parent
    for suffix in (".pt", ".json"):
        shutil.copy(models / f"model{suffix}", models / f"model_backward{suffix}")
    files = contents(root, bundle, "demo")
    for suffix in (".pt", ".json"):
        assert files[f"models/model_backward{suffix}"] == files[f"models/model{suffix}"]


def test_weights_give_the_configs_their_own_size(checkout: Path) -> None:
    """Those of the demo do not fit the published size; nobody has to name their overlay."""
    files = contents(checkout, ONE)
    for name in ("train", "inference"):
        assert yaml.safe_load(files[f"configs/{name}.yaml"])["width"] == 16
    assert yaml.safe_load(files["configs/train.yaml"])["max_epochs"] == 200, "a setting of training, not of weights"
    assert json.loads(files["model_info.json"])["overlay"] == "model"


def test_weights_of_another_network_are_not_packed(checkout: Path, tmp_path: Path) -> None:
    root = shutil.copytree(checkout, tmp_path / "copy")
    demo = root / "bundles" / ONE / "configs" / "demo.yaml"
    demo.write_text(demo.read_text().replace("width: 16", "width: 20"))
    with pytest.raises(ConfigError, match=r"--overlay sets width to 20, the network of .* was trained with 16"):
        contents(root, ONE, "demo")


@pytest.mark.parametrize(
    ("bundle", "overlay", "message"),
    [
        ("mr2ct", None, "no bundle mr2ct: choose one of mr2ct_pix2pix"),
        (ONE, "small", "no overlay small among cbct2ct, demo, .*inference, .*: choose demo, or none"),
        (ONE, "unpaired", "--overlay unpaired is the variant unpaired of the method"),
        (ONE, "evaluate", "--overlay evaluate sets calibrating, .*evaluated, .*, which train.yaml does not have"),
    ],
)
def test_what_cannot_be_packed_is_refused(small: Path, bundle: str, overlay: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        contents(small, bundle, overlay)


# ---- the command ----------------------------------------------------------------------------------------------------


def test_the_command_packs_what_it_names(
    small: Path, tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "ROOT", small)
    assert command.main([ONE, "--out", str(tmp_path / "a")]) == 0
    assert command.main(["--out", str(tmp_path / "b")]) == 0
    said = capsys.readouterr()
    printed = said.out.splitlines()
    assert printed == [str(tmp_path / folder / f"{ONE}_v{version_of(ONE)}.zip") for folder in "ab"]
    assert said.err.splitlines() == [f"{ONE}: no weights: nothing was trained, and the bundle ships none"] * 2
    assert (tmp_path / "a" / f"{ONE}_v{version_of(ONE)}.zip").read_bytes() == Path(printed[1]).read_bytes()


def test_metadata_of_an_overlaid_release_has_its_patches() -> None:
    published = "crop_size: 256\nwidth: 64\n"
    merged = (
        "crop_size: 64\nwidth: 4\n"
        "judge_def: {_target_: common.networks.patch_discriminator.PatchGanDiscriminator, in_channels: 2, "
        "width: '@width', layers: 2}\n"
    )
    tensor = {"num_channels": 2, "spatial_shape": [256, 256]}
    described = {"inputs": {"image": tensor}, "outputs": {"pred": {"num_channels": 1, "spatial_shape": [30, 30]}}}
    deployed = {"inputs": {"image": {"num_channels": 1, "spatial_shape": ["256*n", "256*n"]}}, "outputs": {}}
    text = json.dumps({"network_data_format": deployed, "judge_data_format": described})
    metadata = json.loads(resized(text, published, merged))
    assert metadata["network_data_format"] == deployed
    assert metadata["judge_data_format"]["inputs"]["image"]["spatial_shape"] == [64, 64]
    # two strided convolutions halve 64 twice; two of kernel 4 without stride take one pixel each
    assert metadata["judge_data_format"]["outputs"]["pred"]["spatial_shape"] == [14, 14]


def test_metadata_of_another_network_have_its_channels_and_no_bounds() -> None:
    published = "network_def: {_target_: toy.Bounded}\n"
    merged = "network_def: {_target_: torch.nn.Conv2d, in_channels: 3, out_channels: 1, kernel_size: 1}\n"
    image = {"num_channels": 1, "spatial_shape": ["16*n", "16*n"], "channel_def": {"0": "MR slice"}}
    described = {"inputs": {"image": image}, "outputs": {"pred": {"value_range": [-1, 1]}}}
    text = json.dumps({"network_data_format": described})
    network = json.loads(resized(text, published, merged))["network_data_format"]
    assert network["inputs"]["image"]["num_channels"] == 3
    assert network["inputs"]["image"]["channel_def"] == {"0": "MR slice", "1": "channel 1", "2": "channel 2"}
    assert network["outputs"]["pred"]["value_range"] == []


def test_metadata_of_an_unrolled_network_have_the_channels_of_a_scan_by_one_coil() -> None:
    published = "network_def: {_target_: toy.Bounded}\n"
    merged = "network_def: {_target_: mri_dagan.networks.UnrolledNetwork, cascades: 1, width: 2}\n"
    image = {"num_channels": 1, "spatial_shape": ["16*n", "16*n"], "channel_def": {"0": "MR"}}
    text = json.dumps({"network_data_format": {"inputs": {"image": image}, "outputs": {"pred": {}}}})
    image = json.loads(resized(text, published, merged))["network_data_format"]["inputs"]["image"]
    taken = channels_of(np.ones((1, 1, 16, 16), np.complex64), np.ones((16, 16), bool))
    assert image["num_channels"] == len(taken) == 5
    assert image["channel_def"]["2"] == "real part of the image of the point"


def test_a_release_has_the_network_of_its_weights_and_settings_that_only_they_have() -> None:
    published = {"network_def": {"_target_": "toy.Network", "width": "@width"}, "width": 64, "preprocessing": {"a": 1}}
    text = "# A toy.\n# Its command.\n# Its time.\n" + "".join(f"{k}: {json.dumps(v)}\n" for k, v in published.items())
    for network in (published["network_def"], {"_target_": "toy.Other", "width": "@width", "depth": "@depth"}):
        settings = {"width": 4, "depth": 3, "network_def": network, "preprocessing": {"a": 1}}
        about = WeightsInfo(Path("model.pt"), "", "toy", settings, {}, {}, {})
        assert yaml.safe_load(overlay.of_weights(about, text)) == settings


# ---- shipped weights ------------------------------------------------------------------------------------------------

SHIPS = "pd2t2_dcgan_acm"


@pytest.fixture(scope="module")
def shipping(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh checkout of the bundle that ships weights: nobody has trained anything."""
    root = copy_sources(ROOT, tmp_path_factory.mktemp("shipping"), [SHIPS])
    models = root / "bundles" / SHIPS / "models"
    models.mkdir()
    for ending in (".pt", ".json"):
        shutil.copy(shipped_weights(ROOT / "bundles" / SHIPS).with_suffix(ending), models)
    return root


@pytest.fixture(scope="module")
def shipped_files(shipping: Path) -> dict[str, bytes]:
    return contents(shipping, SHIPS)


def test_shipped_weights_are_the_model_of_a_release_with_the_settings_that_they_need(
    shipping: Path, shipped_files: dict[str, bytes]
) -> None:
    files = shipped_files
    shipped = shipped_weights(shipping / "bundles" / SHIPS)
    assert files["models/model.pt"] == shipped.read_bytes()
    assert f"models/{shipped.name}" not in files
    needed = {"depth": 3, "neighbours": 5, "width": 24}
    settings = json.loads(files["models/model.json"])["settings"]
    assert {key: settings[key] for key in needed} == needed
    for name in ("train", "inference"):
        config = json.loads(files[f"configs/{name}.json"])
        assert {key: config[key] for key in needed} == needed
    assert json.loads(files["model_info.json"])["overlay"] == "model"
    assert "Trained on simulated heads, no patient" in files["configs/inference.yaml"].decode().split("\n")[2]


def test_a_calibration_goes_with_its_weights(shipping: Path, shipped_files: dict[str, bytes]) -> None:
    own = path_of(shipped_weights(shipping / "bundles" / SHIPS))
    own.write_text("{}")
    files = contents(shipping, SHIPS)
    own.unlink()
    assert files["models/model_trust.json"] == b"{}"
    assert f"models/{own.name}" not in files
    assert "models/model_trust.json" not in shipped_files


def test_a_release_says_what_its_model_was_trained_on(shipped_files: dict[str, bytes], tmp_path: Path) -> None:
    for name, content in shipped_files.items():
        if name.startswith("models/"):
            (tmp_path / Path(name).name).write_bytes(content)
    assert origin(tmp_path / "model.pt") == "simulated heads, no patient"
    assert read_info(tmp_path / "model.pt").metadata["contrasts"] == ["PD"]


def test_a_user_s_own_weights_come_before_shipped_ones(shipping: Path) -> None:
    own = write_weights(shipping, SHIPS)
    files = contents(shipping, SHIPS, "demo")
    own.unlink()
    assert files["models/model.pt"] != shipped_weights(shipping / "bundles" / SHIPS).read_bytes()
    assert json.loads(files["models/model.json"])["trained_on"].get("data") is None
    assert origin_of_weights(files) == "weights trained on images"
    assert "**Shipped weights**: those named in `model_info.json`" in files["docs/README.md"].decode()
