import numpy as np
import pytest
import torch

from common.data.datasets.simulated import SimulatedPatches, SimulatedSlices, SimulatedVolumes
from common.errors import ConfigError
from common.simulation.case_loader import CaseLoader, CaseSampler
from common.transforms import WorkingSpacingd

RENDERED = []


def simulate(seed):
    """Noise in place of a head; every rendering is noted."""
    RENDERED.append(seed)
    noise = np.random.default_rng(seed).random((10, 12, 14)).astype(np.float32)
    mask = np.zeros_like(noise)
    mask[3:7, 4:8, 5:9] = 1
    return {"image": noise, "label": 2 * noise, "mask": mask, "spacing": np.ones(3)}


def patches(**settings):
    chosen = {"patch_size": (4, 4, 4), "samples_per_case": 6, "cases": 100, "seed": 3} | settings
    return SimulatedPatches(simulate, lambda case: case, **chosen)


@pytest.fixture(autouse=True)
def forget():
    RENDERED.clear()


def same(one, other):
    return torch.equal(one["image"], other["image"]) and one["case"] == other["case"]


def test_samples_differ_between_indices_cases_epochs_and_seeds():
    data = patches()
    drawn = [data[1, 0], data[1, 1], data[1, 6], data[2, 0], patches(seed=4)[1, 0]]
    assert len({sample["image"].sum().item() for sample in drawn}) == 5
    assert [sample["case"] for sample in drawn[:4]] == ["simulation 1-0"] * 2 + ["simulation 1-1", "simulation 2-0"]


def test_image_and_label_are_cut_at_one_place_and_padded_with_the_background():
    sample = patches()[1, 3]
    assert sample["image"].shape == (1, 4, 4, 4)
    torch.testing.assert_close(sample["label"], 2 * sample["image"])
    sample = patches(patch_size=(16, 4, 4))[1, 0]
    assert sample["image"].shape == (1, 16, 4, 4)
    assert sample["image"][0, 10:].unique().numel() == 1


def test_a_case_is_rendered_once_while_it_is_kept():
    data = patches(kept=2)
    for index in (0, 6, 1, 7, 2, 8):
        data[1, index]
    assert len(RENDERED) == 2
    data[1, 12]
    data[1, 0]
    assert len(RENDERED) == 4, "the case that was used longest ago was let go"


def test_slices_hold_enough_of_the_mask():
    data = SimulatedSlices(simulate, lambda case: case, plane="axial", neighbours=3, samples_per_case=50)
    tall = {tuple(data[1, index]["image"].shape) for index in range(50)}
    assert tall == {(3, 10, 12)}
    volume = data.case(1, 0)["image"][0]
    places = {z for index in range(50) for z in range(14) if torch.equal(data[1, index]["image"][1], volume[..., z])}
    assert places == {5, 6, 7, 8}


EXTENT_MM = np.array([30.0, 36, 24])
"""Of the head of a thick-slice case, which fills its mask."""


def thick(seed):
    """A head of 30 x 36 x 24 mm in voxels of 2 x 2 x 6 mm whose image is its distance from the first voxel in mm."""
    RENDERED.append(seed)
    spacing, margin = np.array([2.0, 2, 6]), 2 + seed % 2
    shape = tuple(np.rint(EXTENT_MM / spacing).astype(int) + 2 * margin)
    mask = np.zeros(shape, np.float32)
    mask[(slice(margin, -margin),) * 3] = 1
    image = sum(np.indices(shape) * spacing[:, None, None, None]).astype(np.float32)
    return {"image": image, "label": 2 * image, "mask": mask, "spacing": spacing}


RESPACED = WorkingSpacingd(["image", "label", "mask"], spacing=[1.5, 1.5, 1.5])
KINDS = {
    "patches": lambda step: SimulatedPatches(thick, step, patch_size=(6, 6, 6), samples_per_case=6, cases=9),
    "slices": lambda step: SimulatedSlices(thick, step, plane="coronal", samples_per_case=6, cases=9),
    "volumes": lambda step: SimulatedVolumes(thick, step, cases=9),
}


def test_a_thick_slice_case_comes_at_the_working_spacing_with_its_size_in_mm():
    case = KINDS["volumes"](RESPACED)[0]
    voxels = np.argwhere(case["mask"][0].numpy())
    np.testing.assert_allclose(1.5 * (np.ptp(voxels, axis=0) + 1), EXTENT_MM, atol=3.0)  # half a thick voxel
    inner = (0, *[slice(4, -4)] * 3)
    for axis in range(3):
        steps = case["image"][inner].diff(dim=axis)
        torch.testing.assert_close(steps, torch.full_like(steps, 1.5), rtol=0, atol=1e-3)
    torch.testing.assert_close(case["label"], 2 * case["image"], rtol=0, atol=1e-3)
    assert set(case["mask"].unique().tolist()) == {0, 1}, "a mask is not interpolated"


@pytest.mark.parametrize("kind", KINDS)
def test_samples_at_the_working_spacing_follow_from_seed_epoch_and_index(kind):
    forwards = {key: KINDS[kind](RESPACED)[key] for key in [(1, 0), (1, 7), (2, 0)]}
    backwards = KINDS[kind](RESPACED)
    assert all(same(backwards[key], forwards[key]) for key in reversed(forwards))
    assert type(forwards[1, 0]["image"]) is torch.Tensor, "metadata slow training down"


def order(rank=0, world=1, monkeypatch=None, **settings):
    if monkeypatch is not None:
        monkeypatch.setattr("common.devices.rank", lambda: rank)
        monkeypatch.setattr("common.devices.world_size", lambda: world)
    chosen = {"batch_size": 2, "num_workers": 0, "samples_per_epoch": 48} | settings
    return [index for _, index in CaseSampler(patches(), **chosen)]


def test_two_lanes_by_hand():
    """Six samples a case: lane 0 begins at the start of case 0, lane 1 in the middle of case 1; then cases 2 and 3."""
    assert order(samples_per_epoch=16) == [0, 9, 1, 10, 2, 11, 3, 18, 4, 19, 5, 20, 12, 21, 13, 22]


def test_no_sample_comes_twice_on_any_process(monkeypatch):
    both = [order(rank, 2, monkeypatch, num_workers=2, samples_per_epoch=96) for rank in range(2)]
    assert [len(mine) for mine in both] == [48, 48]
    assert len(set(both[0] + both[1])) == 96
    assert not {i // 6 for i in both[0]} & {i // 6 for i in both[1]}, "a case belongs to one process"


def test_a_worker_alone_sees_a_case():
    mine = order(num_workers=3, samples_per_epoch=60)
    batches = [mine[start : start + 2] for start in range(0, 60, 2)]
    seen = [{i // 6 for batch in batches[worker::3] for i in batch} for worker in range(3)]
    assert not seen[0] & seen[1]
    assert not seen[1] & seen[2]


def test_a_resumed_epoch_goes_on_where_it_was():
    whole = CaseSampler(patches(), 2)
    resumed = CaseSampler(patches(), 2)
    resumed.set_epoch(4, skip=10)
    whole.set_epoch(4)
    assert list(resumed) == list(whole)[10:]


def test_numbers_too_small():
    with pytest.raises(ConfigError, match="samples_per_case is 0, not above 0: raise it"):
        patches(samples_per_case=0)
    with pytest.raises(ConfigError, match="--samples_per_epoch is 4, below 8, one batch per process"):
        CaseSampler(patches(), batch_size=8, samples_per_epoch=4)


def test_workers_give_the_samples_of_one_process():
    loader = CaseLoader(patches(), num_workers=2, batch_size=2, samples_per_epoch=24)
    keys = list(loader.sampler)
    for start, batch in zip(range(0, 24, 2), loader, strict=True):
        for place, key in enumerate(keys[start : start + 2]):
            assert torch.equal(batch["image"][place], patches()[key]["image"])
