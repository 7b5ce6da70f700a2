"""Releases at work where the repository is not: downloaded, loaded, verified, exported, trained, inferred."""

from __future__ import annotations

import hashlib
import importlib
import json
import shutil
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import in_process
import monai.bundle
import nibabel as nib
import numpy as np
import pytest
import torch
from packed_copies import (
    Released,
    copy_sources,
    monai_bundle,
    package_of,
    unpack,
    version_of,
    without_repository,
    write_weights,
)  # fmt: skip

from tools.checks.environment import of_the_zoo
from tools.release.pack.release import pack

ONE = "mr2ct_pix2pix"
PHANTOMS = ("--phantoms::cases", "4", "--phantoms::spacing", "5")
TINY = ("--max_epochs", "1", "--samples_per_epoch", "4", "--val_interval", "1", "--batch_size", "2")
SCHEMA = {
    "type": "object",
    "required": ["schema", "version", "monai_version", "required_packages_version", "network_data_format"],
    "properties": {
        "version": {"type": "string"},
        "network_data_format": {"type": "object", "required": ["inputs", "outputs"]},
    },
}
"""Some rules of a bundle's metadata: what MONAI verifies against it is a matter of the schema, that it can is ours."""
TOOLS = """
import importlib.util, json, sys, torch
from pathlib import Path
from monai.bundle import ConfigParser, ckpt_export, load, onnx_export, verify_metadata, verify_net_in_out
from monai.bundle.scripts import _get_fake_input_shape

name, schema, out = Path.cwd().name, sys.argv[1], Path(sys.argv[2])
files = {"meta_file": "configs/metadata.json", "config_file": "configs/inference.yaml"}
network = load(name, bundle_dir="..", device="cpu").eval()
verify_metadata(meta_file=files["meta_file"], filepath=schema)
verify_net_in_out("network_def", device="cpu", **files)
parser = ConfigParser()
parser.read_meta(files["meta_file"])
shape = _get_fake_input_shape(parser)
torch.manual_seed(0)
images = torch.rand(shape) * 2 - 1
with torch.no_grad():
    expected = network(images)
ckpt_export(filepath=str(out / "model.ts"), **files)
script = (torch.jit.load(out / "model.ts")(images) - expected).abs().max().item()
found = {"module": type(network).__module__, "script": script, "largest": expected.abs().max().item(),
         "foreign": [module for module in sys.modules if module.split(".")[0] == "common"]}
if all(map(importlib.util.find_spec, ("onnx", "onnxruntime", "onnxscript"))):
    import onnxruntime
    weights = "models/model.pt"
    sides = parser["_meta_::network_data_format::inputs::image::spatial_shape"]
    free = [axis for axis, side in enumerate(sides, 2) if str(side).endswith("*n")]
    axes = {"input_names": ["image"], "dynamic_axes": {"image": free}} if free else {}
    onnx_export("network_def", filepath=str(out / "model.onnx"), ckpt_file=weights, input_shape=shape,
                converter_kwargs=axes, **files)
    session = onnxruntime.InferenceSession(out / "model.onnx")
    found["onnx"] = 0
    for factors in ((1, 1, 1), (2, 1, 1), (3, 2, 1)) if free else ((),):
        larger = images.repeat(1, 1, *factors[: len(free)]) if free else images
        made = session.run(None, {session.get_inputs()[0].name: larger.numpy()})[0]
        with torch.no_grad():
            found["onnx"] = max(found["onnx"], (torch.as_tensor(made) - network(larger)).abs().max().item())
    with torch.no_grad():
        found["rounding"] = (network.double()(images.double()) - expected).abs().max().item()
(out / "found.json").write_text(json.dumps(found))
"""


@pytest.fixture
def served(released: Released) -> Iterator[str]:
    """The address of a server on this machine that has the releases."""
    handler = partial(SimpleHTTPRequestHandler, directory=str(released(ONE).parent))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


# ---- two releases in one process ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def versions(checkout: Path, released: Released, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A release, and a later one whose ``common`` bounds outputs by another function, unpacked side by side."""
    root = copy_sources(checkout, tmp_path_factory.mktemp("later") / "repository", [ONE])
    for path in (root / "bundles" / ONE / "configs").glob("*"):
        path.write_text(path.read_text().replace(version_of(ONE), "9.0.0"))
    networks = root / "common" / "networks" / "unet.py"
    assert networks.read_text().count("nn.Tanh()") == 1
    networks.write_text(networks.read_text().replace("nn.Tanh()", "nn.Hardtanh()"))
    write_weights(root, ONE)
    later = pack(root, ONE, tmp_path_factory.mktemp("dist"), "demo")
    assert later.name == f"{ONE}_v9.0.0.zip"
    places = [tmp_path_factory.mktemp(name) for name in ("one", "two")]
    return unpack(released(ONE), places[0]), unpack(later, places[1])


def test_two_versions_infer_in_one_process(
    versions: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    volume = np.random.default_rng(0).uniform(0, 3500, (32, 32, 4)).astype(np.float32)
    nib.save(nib.Nifti1Image(volume, np.diag([5.0, 5.0, 5.0, 1.0])), tmp_path / "case.nii.gz")
    written = []
    for folder in versions:
        monkeypatch.syspath_prepend(folder)
        out = tmp_path / folder.parent.name
        workflow = monai.bundle.create_workflow(
            config_file=str(folder / "configs" / "inference.json"), workflow_type="infer", logging_file=False,
            dataset_dir=str(tmp_path / "case.nii.gz"), predictions_dir=str(out), output_dtype="float32",
        )  # fmt: skip
        workflow.run()
        about = json.loads((out / "case_synthetic_ct.json").read_text())
        values = np.asarray(nib.load(out / "case_synthetic_ct.nii.gz").dataobj)
        written.append((values, about, workflow.parser.get_parsed_content("bundle_root")))
    (tanh, first, root_1), (hardtanh, second, root_2) = written
    scaled = (hardtanh.astype(np.float64) - 400) / 1000  # the window is [-600, 1400] HU
    inside = (scaled > -0.949) & (scaled < 0.99)  # below, what the window cut is stretched down to air
    assert abs(scaled[inside]).max() > 0.5
    np.testing.assert_allclose(tanh[inside], 1000 * np.tanh(scaled[inside]) + 400, atol=0.05)
    assert (f"{ONE} {version_of(ONE)}" in str(first), f"{ONE} 9.0.0" in str(second)) == (True, True)
    assert [root_1, root_2] == [str(folder) for folder in versions]


def test_errors_of_a_release_lose_the_trace_of_a_worker_process(
    versions: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(versions[0])
    errors = importlib.import_module(f"{package_of(ONE)}.common.errors")
    trace = "Caught DataError in worker.\nTraceback (most recent call last):\n"
    line = f"{package_of(ONE)}.common.findings.VolumeError: case_1 has NaN: restore it"
    error = errors.DataError(trace + line)
    assert str(error) == "case_1 has NaN: restore it"


# ---- where the repository is not ------------------------------------------------------------------------------------


@pytest.mark.slow_elsewhere
def test_monai_loads_verifies_and_exports(unpacked: Path, tmp_path: Path) -> None:
    (tmp_path / "schema.json").write_text(json.dumps(SCHEMA))
    (tmp_path / "tools.py").write_text(TOOLS)
    with without_repository():
        done = in_process.run(str(tmp_path / "tools.py"), tmp_path / "schema.json", tmp_path, cwd=unpacked)
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["module"].startswith(f"{package_of(unpacked.name)}.")
    assert found["foreign"] == []
    assert found["largest"] > 0.1
    assert found["script"] <= 1e-5 * max(1, found["largest"])
    # PyTorch itself may be that far off its result in double precision
    assert found.get("onnx", 0) <= max(1e-5 * max(1, found["largest"]), 3 * found.get("rounding", 0))


@pytest.mark.slow_elsewhere
def test_the_commands_of_the_zoo_and_of_export_end_well(release: Path, tmp_path: Path) -> None:
    """As they are typed in the bundle's folder; the TorchScript file holds the network of the weights."""
    folder = unpack(release, tmp_path)
    image = json.loads((folder / "configs" / "metadata.json").read_text())["network_data_format"]["inputs"]["image"]
    shape = [1, image["num_channels"], *(int(str(side).split("*")[0]) for side in image["spatial_shape"])]
    axes = str({"input_names": ["image"], "dynamic_axes": {"image": list(range(2, len(shape)))}})
    onnx = ("--filepath", "models/model.onnx", "--ckpt_file", "models/model.pt", "--input_shape", str(shape))
    onnx += ("--converter_kwargs", axes) if "*n" in str(image["spatial_shape"]) else ()
    network = ("--net_id", "network_def", "--meta_file", "configs/metadata.json", "--config_file", "configs/train.yaml")
    for what, words in [*of_the_zoo(), ("onnx_export", ["-m", "monai.bundle", "onnx_export", *network, *onnx])]:
        done = monai_bundle(folder, *words[words.index("monai.bundle") + 1 :])
        assert done.returncode == 0, f"{what}: {done.stderr[-2000:]}"
    weights = torch.load(folder / "models" / "model.pt", weights_only=True)
    script = torch.jit.load(folder / "models" / "model.ts").state_dict()
    assert script.keys() == weights.keys()
    assert all(torch.equal(script[name], weights[name]) for name in weights)
    used = sum(4 * value.numel() for name, value in weights.items() if not name.startswith("encoder."))
    assert (folder / "models" / "model.onnx").stat().st_size > 0.9 * used, "an encoder is not used by samples"


@pytest.mark.slow
def test_infers_and_trains(release: Path, tmp_path: Path) -> None:
    """From the commands of the configs' heads, on phantoms, with the released weights and then with new ones."""
    folder = unpack(release, tmp_path)
    translation = folder.name not in ("brain3d_alphagan", "lesion_dcgan_aug")
    given = PHANTOMS if translation else ("--samples", "4")
    released = hashlib.sha256((folder / "models" / "model.pt").read_bytes()).hexdigest()
    done = monai_bundle(folder, "run", "--config_file", "configs/inference.yaml", *given)
    assert done.returncode == 0, done.stderr[-2000:]
    naming = [path for path in (folder / "predictions").rglob("*.json") if released in path.read_text()]
    assert naming, "what is written names the weights that it was made with"

    cubes = "\npatch_size: [" in (folder / "configs" / "train.yaml").read_text()
    patches = ("--patch_size", "[16,16,16]") if cubes else ()
    done = monai_bundle(folder, "run", "training", "--config_file", "configs/train.json", *PHANTOMS, *TINY, *patches)
    assert done.returncode == 0, done.stderr[-2000:]
    described = {
        place: json.loads((folder / "models" / place).read_text())["sha256"]
        for place in ("previous/model.json", "model.json")
    }
    own = hashlib.sha256((folder / "models" / "model.pt").read_bytes()).hexdigest()
    assert described == {"previous/model.json": released, "model.json": own}
    assert own != released
    assert (folder / "models" / "last_checkpoint.pt").is_file()


def test_is_downloaded_by_the_command_and_refuses_other_weights(served: str, tmp_path: Path) -> None:
    url = f"{served}/{ONE}_v{version_of(ONE)}.zip"
    done = monai_bundle(tmp_path, "download", "--name", ONE, "--url", url, "--bundle_dir", str(tmp_path / "here"))
    assert done.returncode == 0, done.stderr[-2000:]
    folder = tmp_path / "here" / ONE
    weights = torch.load(folder / "models" / "model.pt", weights_only=True)
    name = next(iter(weights))
    torch.save(weights | {name: weights[name] + 1}, folder / "models" / "model.pt")
    nib.save(nib.Nifti1Image(np.ones((32, 32, 2), np.float32), np.eye(4)), tmp_path / "case.nii.gz")
    shutil.rmtree(folder / "docs")
    done = monai_bundle(
        tmp_path, "run", "--config_file", str(folder / "configs" / "inference.yaml"),
        "--dataset_dir", str(tmp_path / "case.nii.gz"),
    )  # fmt: skip
    assert done.returncode == 2, done.stderr[-2000:]
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith(f"error: {folder}/models/model.pt has the SHA-256 ")
    assert last.endswith("or copy both files from where these were trained")
    assert list((folder / "predictions").glob("*.nii.gz")) == []
