import logging
import os
import subprocess
import sys

import numpy as np
import pydicom
import pytest
from dicom_phantom import Grid, changing, refused, write_series
from pydicom.dataset import Dataset
from pydicom.pixels.decoders import JPEG2000LosslessDecoder, JPEGLosslessSV1Decoder
from pydicom.sequence import Sequence
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from common.io.dicom.reading.volume import load_series
from tools.repository import ROOT


def written(folder, change=lambda header, number: None, **options):
    write_series(folder, change=change, **options)
    return folder


def test_every_slice_has_its_own_line(tmp_path):
    """Stored values stay while slope and intercept change from slice to slice: so do the values."""
    stored = np.rint((Grid().values() + 1000) / 0.1)
    slopes, intercepts = [0.1, 0.3, 2.0, 0.0625], [-1000, 5, -7.5, 0]

    def change(header, number):
        header.RescaleSlope, header.RescaleIntercept = slopes[number], intercepts[number]

    volume = load_series(written(tmp_path / "pt", change, modality="PT"), "case7")
    for number in range(4):
        wanted = stored[:, :, number] * slopes[number] + intercepts[number]
        np.testing.assert_allclose(volume.values[:, :, number], wanted, rtol=1e-6, atol=1e-3)


@pytest.mark.parametrize("name", ["RescaleSlope", "RescaleIntercept"])
@pytest.mark.parametrize("modality", ["CT", "PT"])
def test_ct_and_pet_without_rescale_are_refused(tmp_path, name, modality):
    folder = written(tmp_path / "a", changing([0], **{name: None}), modality=modality)
    refused(folder, rf"case7 \(a\): a slice has no {name} \(004\.dcm\)")


@pytest.mark.parametrize(("kind", "notes"), [("HU", 0), ("", 0), ("US", 1), ("HU_MOD", 1)])
def test_a_ct_is_in_hu_unless_its_header_says_another_unit(tmp_path, kind, notes):
    volume = load_series(written(tmp_path / "ct", changing(RescaleType=kind)), "case7")
    assert volume.unit == "HU"
    told = "the header does not say HU (RescaleType {}); HU are assumed: check the values"
    assert [str(note) for note in volume.warnings] == [f"case7 (ct): {told.format(kind)}"] * notes


@pytest.mark.parametrize(
    ("kind", "shown"), [("Z_EFF", "RescaleType Z_EFF"), ("MGML", "RescaleType MGML"), ("Secret", "another RescaleType")]
)
def test_maps_of_a_ct_in_other_units_are_refused(tmp_path, kind, shown):
    change = changing(RescaleType=kind)
    refused(written(tmp_path / "ct", change), rf"the values are not HU \({shown}\); give the series of")
    load_series(written(tmp_path / "mr", change, modality="MR"), "case7")


def test_a_ct_whose_negative_hu_are_unsigned_is_refused_and_read_as_signed(tmp_path):
    hu = np.rint(Grid().values()) - 1000
    unsigned = hu % 2**16
    written(tmp_path / "ct", slope=1, intercept=0, values=unsigned)
    number = f"{(unsigned > 32767).sum()} of {unsigned.size}"
    fault = rf"negative HU are stored as unsigned, voxels are above 32767 HU \({number}\); set PixelRepresentation to 1"
    refused(tmp_path / "ct", fault)
    for path in (tmp_path / "ct").iterdir():
        header = pydicom.dcmread(path)
        header.PixelRepresentation = 1
        header.save_as(path)
    np.testing.assert_array_equal(load_series(tmp_path / "ct", "case7").values, hu)
    high = load_series(written(tmp_path / "high", slope=1, intercept=-1024, values=unsigned - 1024), "case7")
    assert "(high): voxels are above 32767 HU (" in str(high.warnings[0])
    written(tmp_path / "extended", slope=1, intercept=0, values=np.clip(unsigned, 0, 30_000))
    assert load_series(tmp_path / "extended", "case7").warnings == ()
    mr = load_series(written(tmp_path / "mr", slope=1, intercept=0, values=unsigned, modality="MR"), "a")
    assert mr.warnings == ()


def test_mr_has_a_line_in_all_slices_or_in_none(tmp_path):
    none = {"RescaleSlope": None, "RescaleIntercept": None}
    volume = load_series(written(tmp_path / "mr", changing(**none), modality="MR"), "case7")
    np.testing.assert_array_equal(volume.values, np.rint((Grid().values() + 1000) / 0.1))
    assert volume.unit is None
    folder = written(tmp_path / "some", changing([0], **none), modality="MR")
    refused(folder, r"slices without RescaleSlope and RescaleIntercept \(1 of 4\)")


@pytest.mark.parametrize(
    ("fields", "match"),
    [
        ({"RescaleSlope": 0}, r"RescaleSlope is 0 \(004\.dcm\)"),
        ({"RescaleSlope": "1e400"}, r"RescaleSlope is not 1 finite number \(004\.dcm\)"),
        ({"RescaleSlope": "1e300"}, r"values do not fit float32 \(NaN or Inf after rescaling\)"),
        ({"ModalityLUTSequence": Sequence([Dataset()])}, r"values are rescaled by a table \(004\.dcm\)"),
        ({"RescaleType": "MGML"}, r"slices differ in RescaleType \(2 values\)"),
        ({"SamplesPerPixel": 3}, r"pixels are not grey values \(3 samples a pixel in 004\.dcm\)"),
        ({"PhotometricInterpretation": "RGB"}, r"not grey values \(another PhotometricInterpretation in 004"),
        ({"PhotometricInterpretation": "MONOCHROME1"}, r"differ in PhotometricInter.* \(MONOCHROME1 in 1 of 4\)"),
        ({"BitsAllocated": 1}, r"unsupported bits of the pixels \(1 allocated, 16 stored, highest 15 in"),
        ({"BitsStored": 20}, r"\(16 allocated, 20 stored, highest 15"),
        ({"HighBit": 30}, r"\(16 allocated, 16 stored, highest 30"),
        ({"BitsStored": None}, r"a slice has no BitsStored \(004\.dcm\)"),
    ],
)
def test_pixels_that_are_not_what_they_should_be(tmp_path, fields, match):
    refused(written(tmp_path / "a", changing([0], **fields)), match)


def test_monochrome1_keeps_its_values_and_it_and_an_animal_have_a_note(tmp_path):
    change = changing(PhotometricInterpretation="MONOCHROME1", AnatomicalOrientationType="QUADRUPED")
    volume = load_series(written(tmp_path / "mr", change), "case7")
    np.testing.assert_allclose(volume.values, Grid().values(), atol=0.06)
    assert {str(note) for note in volume.warnings} == {
        "case7 (mr): higher values are shown darker (MONOCHROME1); the stored values are kept, not inverted",
        "case7 (mr): the patient is an animal (AnatomicalOrientationType QUADRUPED); networks were trained on persons:"
        " results may look plausible and be wrong",
    }


STRAY = "case7 (ct): voxels have bits outside BitsStored ({} of 120); they are cleared, as those of an overlay: check"
STRAY += " the values"


def test_a_value_above_bits_stored_is_read_without_its_upper_bits_and_noted(tmp_path):
    """5000 is 0x1388, of which 12 bits are 0x388, 904; -5 in 16 bits is within 12."""

    def change(header, number):
        header.BitsStored, header.HighBit, header.RescaleSlope, header.RescaleIntercept = 12, 11, 1, 0
        stored = np.full((5, 6), 5000 if number == 0 else 40, "<i2")
        header.PixelRepresentation = 1
        stored[0, 0] = -5
        header.PixelData = stored.tobytes()

    volume = load_series(written(tmp_path / "ct", change), "case7")
    assert (volume.values[1, 1, 0], volume.values[0, 0, 1], volume.values[1, 1, 1]) == (904, -5, 40)
    assert [str(note) for note in volume.warnings] == [STRAY.format(29)]


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("high", [11, 15])
@pytest.mark.parametrize("garbage", [0x0000, 0xFFFF, 0xA005])
def test_bits_outside_the_stored_ones_are_ignored(tmp_path, signed, high, garbage):
    """v = -100, -99, ... (or 0, 1, ...) in 12 bits with others around them."""
    wanted = np.arange(120).reshape(4, 5, 6) - (100 if signed else 0)

    def change(header, number):
        bits = (wanted[number] & 0xFFF) << (high - 11) | garbage & ~(0xFFF << (high - 11)) & 0xFFFF
        header.BitsStored, header.HighBit, header.PixelRepresentation = 12, high, int(signed)
        header.RescaleSlope, header.RescaleIntercept = 1, 0
        header.PixelData = bits.astype("<u2").tobytes()

    volume = load_series(written(tmp_path / "ct", change), "case7")
    np.testing.assert_array_equal(volume.values, wanted.transpose(2, 1, 0))
    outside = garbage & ~(0xFFF << (high - 11)) & 0xFFFF
    noted = [str(note) for note in volume.warnings]
    assert noted == [STRAY.format(120)] * bool(outside) or signed and high == 11 and outside == 0xF000


READ = """import sys
import numpy
import pydicom
from common.io.dicom.reading.volume import load_series
assert pydicom.__version__.startswith("2."), pydicom.__version__
numpy.save(sys.argv[2], load_series(sys.argv[1], "case7").values)
"""


@pytest.mark.slow
@pytest.mark.skipif("PYDICOM_2" not in os.environ, reason="make test-slow installs pydicom 2")
def test_pydicom_2_which_monai_label_needs_reads_the_same(tmp_path):
    source, made = written(tmp_path / "ct"), tmp_path / "values.npy"
    found = {**os.environ, "PYTHONPATH": os.pathsep.join([os.environ["PYDICOM_2"], str(ROOT)])}
    subprocess.run([sys.executable, "-c", READ, str(source), str(made)], env=found, check=True)
    np.testing.assert_array_equal(np.load(made), load_series(source, "case7").values)


def padded(signed=False, limit=None, padding=65535, other=65535, explicit="US"):
    """The first row of each slice is padding: the first half ``padding``, the others ``other``, as unsigned bits."""

    def change(header, number):
        stored = np.frombuffer(header.PixelData, "<u2").copy()
        stored[:3], stored[3:6] = padding, other
        header.PixelData, header.PixelRepresentation = stored.tobytes(), int(signed)
        header.add_new("PixelPaddingValue", explicit, padding)
        if limit is not None:
            header.add_new("PixelPaddingRangeLimit", explicit, limit)

    return change


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"padding": 65000, "other": 65300, "limit": 65535},
        {"padding": 65535, "other": 65300, "limit": 65000},
        {"signed": True, "padding": 63536, "other": 63536},  # -2000 under the wrong VR
    ],
)
def test_padding_of_a_ct_is_air(tmp_path, options, caplog):
    caplog.set_level(logging.INFO)
    volume = load_series(written(tmp_path / "ct", padded(**options)), "case7")
    assert (volume.values[:, 0] == -1000).all()
    np.testing.assert_allclose(volume.values[:, 1:], Grid().values()[:, 1:], atol=0.06)
    assert caplog.messages == ["case7 (ct): voxels with PixelPaddingValue (24 of 120); read as -1000"]


def test_padding_of_other_modalities_is_0_or_the_minimum(tmp_path):
    volume = load_series(written(tmp_path / "mr", padded(), modality="MR"), "case7")
    assert (volume.values[:, 0] == 0).all()
    np.testing.assert_allclose(volume.values[:, 1:], Grid().values()[:, 1:], atol=0.06)
    values = Grid().values() - 800
    below = load_series(written(tmp_path / "pt", padded(), modality="PT", values=values), "case7")
    assert below.values[:, 0].min() == below.values[:, 1:].min() < 0
    assert below.values[:, 0].max() == below.values[:, 0].min()


def test_a_padding_value_that_no_pixel_has(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    volume = load_series(written(tmp_path / "ct", changing(PixelPaddingValue=65535)), "case7")
    np.testing.assert_allclose(volume.values, Grid().values(), atol=0.06)
    assert not caplog.messages


def test_pixels_that_are_too_few_for_the_header(tmp_path):
    folder = written(tmp_path / "ct", lambda header, number: setattr(header, "PixelData", header.PixelData[:20]))
    refused(folder, r"cannot decode the pixels \(ValueError in 004\.dcm\); copy or export")


@pytest.mark.parametrize("compressed", [False, True])
def test_a_header_of_gigabytes_is_refused_before_anything_is_decoded(tmp_path, monkeypatch, compressed):
    def huge(header, number):
        if compressed:
            header.compress(RLELossless, generate_instance_uid=False)
        header.Rows = header.Columns = 65535

    folder = written(tmp_path / "ct", huge)
    monkeypatch.setattr("common.io.dicom.reading.values.decode_pixels", None)
    refused(folder, r"the file is truncated \(\d+ bytes of 004\.dcm for 65535 x 65535 pixels in 1 frames")


def compressed(syntax):
    return lambda header, number: header.compress(syntax, generate_instance_uid=False)


def deflated(header, number):
    header.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian


@pytest.mark.parametrize(
    ("change", "syntax", "codec"),
    [
        (compressed(RLELossless), RLELossless, "numpy"),
        (compressed(JPEG2000Lossless), JPEG2000Lossless, "openjpeg"),
        (compressed(JPEGLSLossless), JPEGLSLossless, "jpeg_ls"),
        (deflated, DeflatedExplicitVRLittleEndian, "numpy"),
    ],
)
def test_compressed_slices_are_exact(tmp_path, change, syntax, codec):
    pytest.importorskip(codec)
    grid = Grid(shape=(40, 36, 3))  # OpenJPEG encodes no smaller ones
    folder = written(tmp_path / "ct", change, grid=grid)
    assert pydicom.dcmread(folder / "001.dcm").file_meta.TransferSyntaxUID == syntax
    np.testing.assert_allclose(load_series(folder, "case7").values, grid.values(), atol=0.06)


PYLIBJPEG = "pip install pylibjpeg pylibjpeg-openjpeg pyjpegls, or convert the series"


@pytest.mark.parametrize(
    ("syntax", "decoder", "install"),
    [
        (JPEG2000Lossless, JPEG2000LosslessDecoder, PYLIBJPEG),
        (JPEGLosslessSV1, JPEGLosslessSV1Decoder, "pip install python-gdcm, or convert the series"),
    ],
)
def test_a_missing_codec_names_what_to_install(tmp_path, monkeypatch, syntax, decoder, install):
    def relabel(header, number):
        header.compress(RLELossless, generate_instance_uid=False)
        header.file_meta.TransferSyntaxUID = syntax

    folder = written(tmp_path / "ct", relabel)
    monkeypatch.setattr(decoder, "_available", {})
    monkeypatch.setattr(decoder, "_unavailable", {"gdcm": ("gdcm>=3.0.10",)})
    refused(folder, rf"a decoder of JPEG .* is not installed; {install}")


def test_philips_mr_has_the_values_of_its_rescale_slope(tmp_path, caplog):
    """As SimpleITK 2.5.7 reads it; dcm2niix 1.0.20260724 divides them by both slopes, here by .1 x .01."""

    def change(header, number):
        header.Manufacturer = "Philips Medical Systems"
        block = header.private_block(0x2005, "Philips MR Imaging DD 001", create=True)
        block.add_new(0x0E, "FL", 0.01)

    volume = load_series(written(tmp_path / "mr", change, modality="MR"), "a")
    np.testing.assert_allclose(volume.values, Grid().values(), atol=0.051)
    assert (volume.unit, caplog.messages) == (None, [])


PHILIPS = ("00", "09")
"""Last byte of Philips' private factors, from counts to SUV and to Bq/ml."""


def pet(**others):
    """70 kg, 300 MBq of a half-life of 6000 s injected 3000 s before the series: 2^-0.5 of the dose is left."""

    def change(header, number):
        header.Units, header.DecayCorrection, header.CorrectedImage = "BQML", "START", ["ATTN", "SCAT", "DECY"]
        header.PatientWeight = 70
        header.SeriesDate, header.SeriesTime = "20240506", "101500"
        header.AcquisitionDate, header.AcquisitionTime = "20240506", f"1016{number:02}.5"
        tracer = Dataset()
        tracer.RadionuclideTotalDose, tracer.RadionuclideHalfLife = 300e6, 6000
        tracer.RadiopharmaceuticalStartTime = "092500"
        header.RadiopharmaceuticalInformationSequence = Sequence([tracer])
        for name, value in others.items():
            owner = tracer if name.startswith("Radio") and name != "RadiopharmaceuticalInformationSequence" else header
            if value is None:
                delattr(owner, name)
            elif name in PHILIPS:
                block = header.private_block(0x7053, "Philips PET Private Group", create=True)
                block.add_new(int(name, 16), "DS", value)
            else:
                setattr(owner, name, value)

    return change


FACTOR = 70_000 / (300e6 * 2**-0.5)
"""By hand, in g/ml per Bq/ml."""
EARLY = 70_000 / (300e6 * 2 ** -(35400 / 6000))
SLOW = 70_000 / (300e6 * 2 ** -(5 * 86400 / 282276))


def loaded(folder, **others):
    return load_series(written(folder, pet(**others), modality="PT"), "case7")


def test_activity_becomes_suv_with_the_formula_logged(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    volume = loaded(tmp_path / "pt")
    assert volume.unit == "SUV"
    np.testing.assert_allclose(volume.values, Grid().values() * FACTOR, atol=0.06 * FACTOR)
    assert caplog.messages == [
        "case7 (pt): activity in Bq/ml; converted to SUV (body weight) = activity in Bq/ml x weight in g / (injected"
        " dose in Bq x 2^(-(reference time of the decay correction - injection time) / half-life))"
    ]


@pytest.mark.parametrize(
    ("others", "factor"),
    [
        ({"DecayCorrection": "ADMIN"}, 70_000 / 300e6),
        ({"RadiopharmaceuticalStartDateTime": "20240506092500.000000"}, FACTOR),
        ({"RadiopharmaceuticalStartDateTime": "20240506082500"}, 70_000 / (300e6 * 2**-1.1)),
        # the series is dated after its first acquisition: that was at 10:16:00.5, 3060.5 s after the injection
        ({"SeriesTime": "120000"}, 70_000 / (300e6 * 2 ** -(3060.5 / 6000))),
        # 23:58:20 the day before is 37000 s earlier
        ({"RadiopharmaceuticalStartTime": "235820"}, 70_000 / (300e6 * 2 ** -(37000 / 6000))),
        ({"RadionuclideHalfLife": 282276, "RadiopharmaceuticalStartDateTime": "20240501101500"}, SLOW),  # Zr-89, 5 days
        ({"PatientWeight": 35}, FACTOR / 2),
        ({"Units": "GML"}, 1),
        # 09:25 in the zone of the scan, which the injection is not written in
        ({"RadiopharmaceuticalStartDateTime": "20240506072500+0000", "TimezoneOffsetFromUTC": "+0200"}, FACTOR),
        ({"RadiopharmaceuticalStartDateTime": "20240506092500+0200", "TimezoneOffsetFromUTC": "+0200"}, FACTOR),
        # without TimezoneOffsetFromUTC the time tells what the offset does not; here of the day before, in UTC
        ({"RadiopharmaceuticalStartDateTime": "20240506002500-0900"}, FACTOR),
        ({"RadiopharmaceuticalStartTime": "002500", "RadiopharmaceuticalStartDateTime": "20240505222500+0000"}, EARLY),
    ],
)
def test_suv_by_hand(tmp_path, others, factor):
    volume = loaded(tmp_path / "pt", **others)
    assert volume.unit == "SUV"
    np.testing.assert_allclose(volume.values, Grid().values() * factor, atol=0.06 * factor)


@pytest.mark.parametrize(
    ("others", "reason", "unit"),
    [
        ({"PatientWeight": 0}, "no PatientWeight", "Bq/ml"),
        ({"DecayCorrection": "NONE"}, "DecayCorrection is neither START nor ADMIN", "Bq/ml"),
        ({"CorrectedImage": ["DECY"]}, "CorrectedImage names no correction for attenuation and decay", "Bq/ml"),
        ({"RadionuclideTotalDose": None}, "no RadionuclideTotalDose or RadionuclideHalfLife", "Bq/ml"),
        ({"RadionuclideHalfLife": 0}, "no RadionuclideTotalDose or RadionuclideHalfLife", "Bq/ml"),
        ({"RadiopharmaceuticalStartTime": None}, "no times of injection and scan", "Bq/ml"),
        ({"AcquisitionTime": None}, "no times of injection and scan", "Bq/ml"),
        ({"RadiopharmaceuticalInformationSequence": None}, "not one item in Radiopharm", "Bq/ml"),
        (
            {"RadiopharmaceuticalStartTime": None, "RadiopharmaceuticalStartDateTime": "20240506092500+0200"},
            "the injection's time has an offset from UTC, the scan's has no TimezoneOffsetFromUTC",
            "Bq/ml",
        ),
        ({"Units": "CNTS"}, "Units CNTS", "counts"),
        ({"Units": "CNTS", "00": 0.0004}, "Units CNTS, Philips' private (7053,1000) not applied", "counts"),
        ({"Units": "CNTS", "00": 0.0, "09": 1.5}, "Units CNTS, Philips' private (7053,1009) not applied", "counts"),
        ({"Units": "GML", "SUVType": "LBM"}, "Units GML, SUVType LBM", None),
        ({"Units": "SECRET"}, "Units of another kind", None),
    ],
)
def test_activity_that_stays_with_a_note(tmp_path, others, reason, unit):
    volume = loaded(tmp_path / "pt", **others)
    np.testing.assert_allclose(volume.values, Grid().values(), atol=0.06)
    assert volume.unit == unit
    (note,) = volume.warnings
    assert reason in note.value
    assert note.remedy == f"the stored unit ({unit or 'unknown'}) is kept"


@pytest.mark.parametrize(
    ("others", "match"),
    [
        # by the clock after the scan, which is then taken for the next day
        (
            {"RadiopharmaceuticalStartTime": "102500"},
            r"the scan is not 0 to 8 half-lives after the injection \(injection at 10:25:00, scan at"
            r" 10:15:00, 14.3 half-lives later\); correct the header",
        ),
        (
            {"RadiopharmaceuticalStartDateTime": "20240506102500"},
            "injection at 10:25:00, scan at 10:15:00, 0.1 half-lives earlier",
        ),
        ({"RadionuclideHalfLife": 109.8}, "scan at 10:15:00, 27.3 half-lives later"),
        ({"PatientWeight": 70_000}, "PatientWeight is above 500 kg; correct it"),
        ({"PatientWeight": 0.07}, "PatientWeight is below 0.5 kg; correct it"),
        ({"RadionuclideTotalDose": 300}, r"RadionuclideTotalDose is below 1e\+06 Bq; correct it"),
        ({"RadionuclideTotalDose": 3e11}, r"RadionuclideTotalDose is above 2e\+10 Bq; correct it"),
    ],
)
def test_suv_of_implausible_elements_is_refused(tmp_path, others, match):
    refused(written(tmp_path / "pt", pet(**others), modality="PT"), rf"case7 \(pt\): .*{match}")


def test_suv_beyond_a_body_is_warned_of(tmp_path):
    values = np.full(Grid().shape, 300.0)
    volume = load_series(written(tmp_path / "pt", pet(Units="GML"), modality="PT", values=values), "case7")
    assert [str(note) for note in volume.warnings] == [
        "case7 (pt): percentile 99.9 of the SUV is above 100 (300); check weight, dose and times"
    ]
    values[:] = 90
    assert not load_series(written(tmp_path / "b", pet(Units="GML"), modality="PT", values=values), "case7").warnings


def test_units_that_change_are_refused(tmp_path):
    def change(header, number):
        pet(Units="BQML" if number else "CNTS")(header, number)

    refused(written(tmp_path / "pt", change, modality="PT"), r"slices differ in Units \(2 values\)")
