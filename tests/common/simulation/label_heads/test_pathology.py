"""Changes of label maps: what each one changes, by how much, and what it leaves alone."""

from dataclasses import fields, replace
from types import SimpleNamespace

import label_maps
import numpy as np
import pytest
from scipy import ndimage

from common.simulation.label_heads import pathology
from common.simulation.label_heads.codes import BRAIN, CODE, inside
from common.simulation.label_heads.label_map import label_map, map_files
from common.simulation.label_heads.pathology import Pathology

NONE = Pathology(
    **{entry.name: 0.0 for entry in fields(Pathology) if entry.name.endswith("_probability")},
    fat_mm=(2.0, 2.0), deep_fat=(0.0, 0.0), atrophy=(0.0, 0.0), lesion_share=(0.05, 0.05), radius_mm=(6.0, 6.0),
)  # fmt: skip


@pytest.fixture(scope="module")
def head(tmp_path_factory):
    return label_map(map_files(label_maps.write(tmp_path_factory.mktemp("maps")))[0])


def changed(head, seed=0, **settings):
    return replace(NONE, **settings)(head, np.random.default_rng(seed))


def count(codes, *tissues):
    return int(inside(codes, *tissues).sum())


def test_lesions_replace_their_share_of_white_matter(head):
    codes = changed(head, lesion_probability=1.0)
    assert count(codes, "lesion") - count(head.codes, "lesion") == pytest.approx(
        0.05 * count(head.codes, "white"), rel=0.02
    )
    assert count(codes, "lesion", "white") == count(head.codes, "lesion", "white")


def test_atrophy_widens_the_fluid_at_the_expense_of_cortex(head):
    codes = changed(head, atrophy=(0.5, 0.5))
    lost = count(head.codes, "grey") - count(codes, "grey")
    assert lost == count(codes, "csf") - count(head.codes, "csf")
    surface = 4 * np.pi * 19**2
    assert 0.3 * surface < lost < 0.9 * surface


@pytest.mark.parametrize(("tissue", "radius"), [("tumour", 6), ("infarct", 6), ("haematoma", 6 * 0.7)])
def test_focal_disease_has_its_size_and_stays_in_the_head(head, tissue, radius):
    sizes = []
    for seed in range(4):
        codes = changed(head, seed, **{f"{tissue}_probability": 1.0})
        assert np.array_equal(inside(codes, "skull", "skin"), inside(head.codes, "skull", "skin"))
        core = ("tumour", "csf") if tissue == "tumour" else (tissue,)
        sizes.append(count(codes, *core) - count(head.codes, *core))
        if tissue == "tumour":
            assert count(codes, "oedema") > 0
            assert count(head.codes, "white") > count(codes, "white", "oedema")
    assert 0.3 < np.mean(sizes) / (4 / 3 * np.pi * radius**3) < 2.5


def test_calcium_mucosa_metal_and_a_missing_flap(head):
    assert 0 < count(changed(head, calcium_probability=1.0), "calcium") < count(head.codes, "choroid")
    sinus = count(head.codes, "sinus")
    swollen = changed(head, sinus_probability=1.0)
    assert count(swollen, "sinus", "mucosa") == sinus
    assert 0.04 * sinus < count(swollen, "mucosa") < 0.55 * sinus
    opened = changed(head, craniotomy_probability=1.0)
    lost = count(head.codes, "skull") - count(opened, "skull")
    assert 0 < lost < 0.7 * count(head.codes, "skull")


def test_stripping_leaves_the_fluid_between_gyri():
    """Two slabs of brain 8 mm apart: what is between them stays, what is as far outside of them does not."""
    codes = np.full((24, 24, 30), CODE["csf"], np.uint8)
    brain = np.zeros(codes.shape, bool)
    brain[4:20, 4:20, 6:10] = brain[4:20, 4:20, 18:22] = True
    codes[brain] = CODE["grey"]
    from_brain = ndimage.distance_transform_edt(~brain[::2, ::2, ::2]) * 2 - ndimage.distance_transform_edt(
        brain[::2, ::2, ::2]
    )
    head = SimpleNamespace(codes=codes, spacing=1.0, from_brain=from_brain.astype(np.float32))
    within = pathology._within_brain(head, 6.0)
    assert within[8:16, 8:16, 6:22].all()
    assert not within[:, :, :4].any()
    assert not within[:, :, 24:].any()
    narrow = pathology._within_brain(head, 2.5)
    assert not narrow[8:16, 8:16, 13:15].any(), "8 mm are wider than twice 2.5 mm"


def test_defacing_takes_the_eyes_stripping_all_but_what_is_near_and_both_leave_the_brain(head, monkeypatch):
    monkeypatch.setattr(pathology, "FACE_FROM_BRAIN_MM", 5.0)  # in this small head the eyes are 8 mm from the brain
    defaced, stripped = (changed(head, **{f"{way}_probability": 1.0}) for way in ("defaced", "stripped"))
    eyes = tuple(slice(low, high + 1) for low, high in zip(*head.eyes, strict=True))
    assert inside(defaced[eyes], "background").mean() > 0.5
    assert count(stripped, "skin", "muscle", "fat") == 0
    assert count(defaced, *BRAIN) == count(stripped, *BRAIN) == count(head.codes, *BRAIN)


def test_the_same_numbers_give_the_same_head_and_one_disease_does_not_shift_another(head):
    assert np.array_equal(changed(head, 3, lesion_probability=1.0), changed(head, 3, lesion_probability=1.0))
    alone, both = (changed(head, 3, lesion_probability=1.0, calcium_probability=p) for p in (0.0, 1.0))
    assert np.array_equal(inside(alone, "lesion"), inside(both, "lesion"))
