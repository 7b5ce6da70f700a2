"""What parsers list without importing PyTorch is what the library has."""

from __future__ import annotations

import inspect

import pytest
from lesion_dcgan_aug.data import rois

from common.data.layouts import data_sets
from common.registration.quality import Limits
from common.simulation import radiograph
from common.simulation.corruptions import masks, projection
from common.simulation.corruptions import slices as thick
from common.stitching import PLANES
from common.units import BONE_ABOVE_HU
from medical_image_synthesis import datasets, simulate, simulated_heads, simulating
from medical_image_synthesis.command import parser_of


@pytest.mark.parametrize(
    ("listed", "known"),
    [
        (datasets.LAYOUTS, data_sets.LAYOUTS),
        (simulating.MASKS, masks.MASKS),
        (simulating.PROFILES, thick.PROFILES),
        (simulating.PLANES, PLANES),
        (simulating.KERNELS, projection.KERNELS),
        (simulating.RADIOGRAPHS, radiograph.FORMATS),
    ],
)
def test_choices(listed, known):
    assert set(listed) == set(known)


@pytest.mark.parametrize(
    ("words", "name", "default"),
    [
        ("register --out O", "least_sharpness", Limits().sharpness),
        ("register --out O", "least_dice", Limits().dice),
        ("register --out O", "largest_mm", Limits().displacement),
        ("datalist --dataset_dir D --out O", "margin", rois.MARGIN),
        ("datalist --dataset_dir D --out O", "mask", data_sets.DEFAULT_MASK),
        ("score P T --mask M", "bone_hu", BONE_ABOVE_HU),
        ("calibrate mr2ct", "heads", simulated_heads.HEADS),
    ],
)
def test_defaults(words, name, default):
    assert getattr(parser_of(words.split()).parse_args(words.split()), name) == default


@pytest.mark.parametrize("kind", [kind for kind in simulating.KINDS if kind != "interpolate"])
def test_functions_of_a_volume_have_the_defaults_of_the_command(kind):
    words = f"simulate {kind} --dataset_dir D --out O {'--dose 0.25' if kind == 'low-dose' else ''}".split()
    options = parser_of(words).parse_args(words)
    function = inspect.signature(getattr(simulate, kind.replace("-", "_")))
    settings = [name for name in list(function.parameters)[1:] if name != "case"]
    assert {name: function.parameters[name].default for name in settings} == {
        name: getattr(options, name) for name in settings
    }
