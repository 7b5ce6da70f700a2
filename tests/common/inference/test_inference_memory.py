"""Memory of cases: estimated before they are read, lowered, waited for, or refused."""

from __future__ import annotations

import itertools
import json
import threading
from pathlib import Path
from types import SimpleNamespace

import nibabel as nib
import numpy as np
import pytest
import torch
from monai.transforms import Compose
from mri2pet_sketcher_refiner.networks import SketcherRefiner
from torch import nn

from common.errors import CasesFailedError, ConfigError, DataError
from common.inference import CaseDataset, CaseEvaluator, OneCaseLoader, memory
from common.inference.memory import MemoryPlan
from common.io import VolumeReader
from common.io.export import VolumeExporter
from common.networks.unet import UNetGenerator
from common.runs import WeightsLoader
from common.stitching import CascadeInferer, PatchStitchingInferer, PlaneInferer
from common.transforms import LoadVolumed, ScaleWindowd, WorkingSpacingd
from common.weights import checkpoints

SHAPE = (16, 20, 24)
AROUND = 4 * 16 * 20 * 24
"""Bytes of a volume."""
U_NET = CascadeInferer(PatchStitchingInferer("fast", 16, 16, multiple_of=16, receptive_field=200, max_voxels=245760))


@pytest.fixture
def bare(monkeypatch):
    """A process that takes nothing itself, on a machine with 2 GB free."""
    monkeypatch.setattr(memory, "LIBRARIES", 0)
    monkeypatch.setattr(memory, "MARGIN", 1)
    monkeypatch.setattr(memory, "_taken", lambda: 0)
    monkeypatch.setattr(memory, "free_memory", lambda: 2e9)
    monkeypatch.setattr(memory, "_gb", lambda size: f"{size:.0f} B")


def item(folder: Path, name: str, shape=SHAPE, spacing: float = 1.0) -> dict[str, str]:
    values = np.random.default_rng(len(name)).uniform(0, 100, shape).astype(np.float32)
    nib.save(nib.Nifti1Image(values, np.diag([spacing] * 3 + [1])), folder / f"{name}.nii.gz")
    return {"case": name, "image": str(folder / f"{name}.nii.gz")}


def network() -> UNetGenerator:
    torch.manual_seed(0)
    return UNetGenerator(1, 1, 2, 4)


def inferer(batch_size: int = 8) -> PlaneInferer:
    return PlaneInferer("sagittal", 1, batch_size, 4)


def plan(limit: float | None, transform=None, of=None) -> MemoryPlan:
    gigabytes = None if limit is None else limit / 1e9
    return MemoryPlan(gigabytes, torch.device("cpu"), network(), of or inferer(), transform, VolumeReader())


def needed(batch_size: int) -> int:
    """A case with a batch: its source, and what the inferer says, or the steps around it if these are more."""
    empty = memory.without_values(network()).eval()
    return max(AROUND + inferer(batch_size).bytes_needed(empty, 1, SHAPE), int(2.05 * AROUND))


def run(folder: Path, cases: list, limit: float | None) -> None:
    evaluator_of(folder, cases, limit).run()


def evaluator_of(folder: Path, cases: list, limit: float | None) -> CaseEvaluator:
    model = network()
    checkpoints.save(model.state_dict(), folder / "model.pt")
    load = Compose([LoadVolumed("image"), ScaleWindowd("image", window=[0, 100])])
    dataset = CaseDataset(cases, load, None if limit is None else limit / 1e9)
    weights, settings = str(folder / "model.pt"), {"output_dtype": "float32", "overwrite": True}
    return CaseEvaluator(
        VolumeExporter(str(folder / "out"), "ct", "CT", "HU", "bundle 1", weights, **settings),
        device=torch.device("cpu"),
        val_data_loader=OneCaseLoader(dataset, num_workers=0),
        network=model,
        inferer=inferer(),
        val_handlers=[WeightsLoader(model, weights)],
    )


def written(folder: Path, case: str) -> np.ndarray:
    return np.asarray(nib.load(folder / "out" / f"{case}_ct.nii.gz").dataobj)


# ---- what is chosen -------------------------------------------------------------------------------------------------


def test_a_case_that_fits_is_inferred_as_configured(tmp_path, bare, caplog):
    caplog.set_level("INFO")
    found = plan(needed(8))
    found.admit(item(tmp_path, "a"))
    assert found.inferer_of("a").batch_size == 8
    assert f"a: 16 x 20 x 24 needs {needed(8)} B of memory; limit {needed(8)} B" in caplog.text


def test_the_batch_is_lowered_until_it_fits_and_one_line_says_so(tmp_path, bare, caplog):
    caplog.set_level("INFO")
    found = plan(needed(8) - 1)
    found.admit(item(tmp_path, "a"))
    assert found.inferer_of("a").batch_size == 4
    line = (
        f"a: 16 x 20 x 24 needs {needed(8)} B of memory with inference_batch 8, {needed(4)} B with inference_batch 4;"
    )
    assert caplog.text.count("needs") == 1
    assert line in caplog.text


def test_a_step_that_turns_a_volume_into_channels_is_counted(tmp_path, bare):
    """Four channels of a file with one: the source is four volumes, and the network takes as many channels."""
    step = SimpleNamespace(channels_after=lambda count: 4 * count)
    model = UNetGenerator(4, 1, depth=2, width=2)
    found = MemoryPlan(1.0, torch.device("cpu"), model, inferer(), SimpleNamespace(transforms=[step]), VolumeReader())
    found.admit(item(tmp_path, "a"))
    own = 4 * AROUND + inferer().bytes_needed(memory.without_values(model).eval(), 4, SHAPE)
    assert found._admitted["a"].host == max(own, (4 + memory.READING) * AROUND, memory.WRITING * AROUND)


def test_tiles_of_a_u_net_are_lowered_below_its_receptive_field(tmp_path, bare, caplog):
    """48 x 64 x 80 voxels; a window of a U-Net that is 200 wide would be the whole volume."""
    caplog.set_level("INFO")
    model, shape = SketcherRefiner(1, 1, 2), (48, 64, 80)
    first, _, (words, smaller) = list(itertools.islice(U_NET.smaller(), 3))
    empty, source = memory.without_values(model).eval(), 4 * 48 * 64 * 80
    whole, tiles = (source + each.bytes_needed(empty, 1, shape) for each in (first[1], smaller))
    assert words == "max_voxels 138240"
    assert tiles < 0.8 * whole
    found = MemoryPlan((tiles + 1) / 1e9, torch.device("cpu"), model, U_NET, None, VolumeReader())
    found.admit(item(tmp_path, "a", shape))
    assert found.inferer_of("a").inferer.max_voxels == 138240
    assert f"{whole} B of memory with max_voxels 245760, {tiles} B with max_voxels 138240;" in caplog.text


def test_a_lowered_batch_gives_the_same_volume(tmp_path, bare):
    cases = [item(tmp_path, "a")]
    run(tmp_path, cases, None)
    whole = written(tmp_path, "a")
    run(tmp_path, cases, needed(2))
    np.testing.assert_allclose(written(tmp_path, "a"), whole, rtol=0, atol=1e-5)
    assert np.ptp(whole) > 0.01


def test_a_case_that_does_not_fit_fails_before_it_is_read_and_the_others_go_on(tmp_path, bare, monkeypatch):
    cases = [item(tmp_path, "small"), item(tmp_path, "large", (48, 20, 24)), item(tmp_path, "after")]
    read: list[str] = []
    plain = VolumeReader.read
    monkeypatch.setattr(
        VolumeReader,
        "read",
        lambda self, path, case, *options: read.append(case) or plain(self, path, case, *options),
    )
    with pytest.raises(CasesFailedError, match=r"^1 of 3 cases failed: large \(out of memory: large needs "):
        run(tmp_path, cases, needed(1))
    assert read == ["small", "after"]
    outcomes = json.loads((tmp_path / "out" / "manifest.json").read_text())
    (reason,) = (each["reason"] for each in outcomes if each["status"] == "failed")
    assert reason.startswith("out of memory: large needs ")
    assert reason.endswith(
        f" B for 48 x 20 x 24 voxels with inference_batch 1, the limit is {needed(1)} B (--max_memory_gb, or half of"
        " what is free); raise --max_memory_gb, pass a coarser --spacing, or crop the volume"
    )


def test_a_case_waits_until_those_in_memory_leave_it_room(tmp_path, bare):
    found = plan(1.5 * needed(8))
    found.admit(item(tmp_path, "a"))
    second = threading.Thread(target=found.admit, args=[item(tmp_path, "b")], daemon=True)
    second.start()
    second.join(0.3)
    assert second.is_alive()
    found.release("a")
    second.join(600)
    assert not second.is_alive()
    both = plan(2 * needed(8))
    both.admit(item(tmp_path, "a"))
    both.admit(item(tmp_path, "b"))  # does not wait


def test_a_run_that_ends_lets_nothing_wait(tmp_path, bare):
    found = plan(1.5 * needed(8))
    found.admit(item(tmp_path, "a"))
    waiting = threading.Thread(target=found.admit, args=[item(tmp_path, "b")], daemon=True)
    waiting.start()
    found.close()
    waiting.join(20)
    assert not waiting.is_alive()


def test_an_unreadable_header_is_left_to_the_reader(tmp_path, bare):
    (tmp_path / "a.nii.gz").write_bytes(b"no header")
    found = plan(1)
    found.admit({"case": "a", "image": str(tmp_path / "a.nii.gz")})
    assert found.inferer_of("a") is found.inferer


def test_a_working_spacing_counts(tmp_path, bare):
    spaced = Compose([WorkingSpacingd("image", (2, 2, 2))])
    image = item(tmp_path, "a")["image"]
    fine = plan(1e9, spaced)._choice("a", image, VolumeReader().extent(image, "a"))
    expected = 4 * 16 * 20 * 24 * 2.05 + memory.RESAMPLING * 16 * 20 * 24
    assert fine.host == pytest.approx(expected)
    assert spaced.transforms[0].shape_after((16, 20, 24), np.diag([1.0, 1, 1, 1])) == (8, 10, 12)
    turned = np.array([[0, 1.0, 0, 0], [4.0, 0, 0, 0], [0, 0, 2.0, 0], [0, 0, 0, 1]])
    assert spaced.transforms[0].shape_after((11, 21, 31), turned) == (11, 21, 31)


def test_a_case_of_another_size_is_refused_before_its_memory_is_estimated(tmp_path, bare):
    seen = []

    def require(case, grid):
        seen.append((case, grid.values.shape, np.diag(grid.affine).tolist()))
        raise DataError(f"{case} is a mouse")

    found = MemoryPlan(0.001, torch.device("cpu"), network(), inferer(), None, VolumeReader(), require=require)
    with pytest.raises(DataError, match="^a is a mouse$"):
        found.admit(item(tmp_path, "a", spacing=0.1))
    assert seen == [("a", SHAPE, [pytest.approx(0.1)] * 3 + [1])]


# ---- the limit ------------------------------------------------------------------------------------------------------


def test_the_default_is_half_of_what_is_free_besides_what_is_taken(bare, monkeypatch):
    monkeypatch.setattr(memory, "_taken", lambda: 3e8)
    assert plan(None).limit == 3e8 + 1e9
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    assert plan(None).limit == 3e8 + 5e8
    assert plan(7e8).limit == pytest.approx(7e8)


def test_an_accelerator_has_a_limit_of_its_own(tmp_path, bare, monkeypatch):
    """8 GB of a device are free, PyTorch has 2 GB of it and uses 1 GB."""
    for name, value in {"mem_get_info": (8e9, 16e9), "memory_reserved": 2e9, "memory_allocated": 1e9}.items():
        monkeypatch.setattr(torch.cuda, name, lambda device, value=value: value)
    device = torch.device("cuda")
    assert memory._device_limit(None, device) == 4e9
    assert memory._device_limit(3e9, device) == 2e9
    assert memory._device_limit(99e9, device) == 9e9
    found = MemoryPlan((1e9 + needed(2) + 1) / 1e9, device, network(), inferer(), None, VolumeReader())
    found.admit(item(tmp_path, "a"))
    assert found.inferer_of("a").batch_size == 2
    assert found.limit == 1e9  # of the host, half of what is free


def test_windows_below_the_receptive_field_are_refused_with_the_remedy(tmp_path, bare):
    small = PatchStitchingInferer("fast", 16, 16, receptive_field=30, max_voxels=16**3)
    model, case = nn.Conv3d(1, 1, 3, padding=1), item(tmp_path, "a", (40, 40, 40))
    with pytest.raises(ConfigError, match="^max_voxels is 4096, too few for .*: raise it, or use mode faithful$"):
        MemoryPlan(1.0, torch.device("cpu"), model, small, None, VolumeReader()).admit(case)


def test_an_image_of_other_channels_than_the_network_is_refused_with_the_remedy(tmp_path, bare):
    images = [item(tmp_path, name)["image"] for name in ("t1", "t2")]
    with pytest.raises(DataError, match="takes another number of channels than 2: give images as in its training"):
        plan(None).admit({"case": "a", "image": images})


def test_a_network_on_another_device_is_not_touched():
    model: nn.Module = network()
    empty = memory.without_values(model)
    assert next(empty.parameters()).is_meta
    assert not next(model.parameters()).is_meta
