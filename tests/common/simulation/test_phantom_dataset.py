"""What holds for every set of phantoms, whoever writes it: all or nothing, and from its seed alone."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import pytest
from cect2ct_rescyclegan.phantoms import write_cect2ct
from ldct_wgan_vgg.phantoms import write_ldct
from lesion_dcgan_aug.phantoms import write_liver_lesions
from mr2ct_pix2pix.cone_beam import write_cbct2ct
from mr2ct_pix2pix.phantoms import write_flair
from mri2pet_sketcher_refiner.phantoms import write_mri2pet
from mri_dagan.phantoms import write_dagan
from pd2t2_dcgan_acm.phantoms import write_pd2t2

from common.errors import ConfigError, OutputError
from common.simulation import dataset
from common.simulation.dataset import case_seed
from common.simulation.mr_ct_pairs import write_mr2ct


@dataclass(frozen=True)
class Writer:
    """A writer, what it writes, and how it differs from the others."""

    function: Callable
    files: tuple[str, ...]
    least_cases: int = 1
    spacing: float = 8.0
    spacings: str = r"0\.5 and 8\.0 mm"

    def __call__(self, root: Path, **changed: float) -> None:
        self.function(root, **{"cases": self.least_cases, "spacing": self.spacing, "seed": 7, **changed})


WRITERS = {
    "mr2ct": Writer(write_mr2ct, ("mr", "ct", "mask")),
    # Whether a case is for training, and its CT moved, depends on how many there are.
    "cect2ct": Writer(write_cect2ct, ("cect", "mask", "vessel"), least_cases=3),
    "ldct": Writer(write_ldct, ("ldct", "thick", "ndct", "mask")),
    "dagan": Writer(write_dagan, ("zero_filled", "thick", "noisy", "mr", "mask")),
    "cbct2ct": Writer(write_cbct2ct, ("cbct", "ct", "mask")),
    "flair": Writer(write_flair, ("t1", "t2", "flair", "mask")),
    "pd2t2": Writer(write_pd2t2, ("pd", "t2", "mask")),
    "mri2pet": Writer(write_mri2pet, ("mtr", "fa", "rd", "ad", "pet", "mask", "nawm", "lesion")),
    "liver": Writer(
        write_liver_lesions,
        ("ct", "cyst", "metastasis", "hemangioma"),
        least_cases=3,
        spacing=6.0,
        spacings=r"0\.5 and 6\.0 mm",
    ),
}


@pytest.fixture(params=WRITERS.values(), ids=WRITERS)
def write(request):
    return request.param


def test_cases_differ_and_follow_from_seed_and_index_alone(write, tmp_path):
    write(tmp_path / "set", cases=write.least_cases + 1)
    write(tmp_path / "again")
    for name in write.files:
        first, second, again = (
            (tmp_path / path / f"{name}.nii.gz").read_bytes()
            for path in ("set/phantom_000", "set/phantom_001", "again/phantom_000")
        )
        assert first == again
        assert first != second


def test_seeds_of_cases_all_differ():
    seeds = {case_seed(seed, index) for seed in range(30) for index in range(30)}
    assert len(seeds) == 900


def test_an_interruption_between_cases_leaves_nothing(tmp_path, monkeypatch):
    save, seen = nib.save, []

    def interrupted(image, path):
        seen.append(path.parent.name)
        if seen[-1] == "phantom_001":
            raise KeyboardInterrupt
        save(image, path)

    monkeypatch.setattr(nib, "save", interrupted)
    with pytest.raises(KeyboardInterrupt):
        WRITERS["mr2ct"](tmp_path / "set", cases=3)
    assert seen == ["phantom_000"] * 3 + ["phantom_001"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("key", ["mr2ct", "liver"])
def test_an_interruption_at_the_end_leaves_nothing(key, tmp_path, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    write, last = WRITERS[key], {"mr2ct": "write_dataset_json", "liver": "write_datalist"}[key]
    own = sys.modules[write.function.__module__]
    monkeypatch.setattr(own if hasattr(own, last) else dataset, last, interrupted)
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "set")
    assert list(tmp_path.iterdir()) == []


def wrong_numbers():
    for key, writer in WRITERS.items():
        few = writer.least_cases - 1
        yield key, "cases", few, f"{few}, below {few + 1}: give a larger number"
        yield key, "seed", -1, "-1, below 0"
        yield key, "spacing", 20.0, rf"20\.0, not between {writer.spacings}"


@pytest.mark.parametrize(("key", "name", "value", "message"), wrong_numbers())
def test_wrong_numbers_are_refused(tmp_path, key, name, value, message):
    with pytest.raises(ConfigError, match=f"{name} is {message}"):
        WRITERS[key](tmp_path / "set", **{name: value})
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_holds_something_is_kept_and_a_parent_that_is_a_file_refused(write, tmp_path):
    (tmp_path / "scan.nii.gz").write_bytes(b"mine")
    with pytest.raises(OutputError, match="exists and is not an empty folder: remove it"):
        write(tmp_path)
    with pytest.raises(OutputError, match="cannot write .*: choose another folder, of phantoms by --demo_data$"):
        write(tmp_path / "scan.nii.gz" / "set")
    assert [path.name for path in tmp_path.iterdir()] == ["scan.nii.gz"]
