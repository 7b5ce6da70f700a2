import numpy as np
import pytest
from mri2pet_sketcher_refiner.microstructure import Microstructure
from mri2pet_sketcher_refiner.quantities import FWHM, NOISE, PET_FWHM_MM, render_mtr_dti, render_pib

SHAPE = (24, 24, 24)


def block(white=0.0, grey=0.0, myelin=1.0, water=0.0, coherence=0.0, grey_myelin=1.0, spacing=2.0):
    """A brain that is the same everywhere but for its outermost voxels, which lie outside."""
    mask = np.zeros(SHAPE, bool)
    mask[1:-1, 1:-1, 1:-1] = True
    maps = [np.full(SHAPE, value, np.float32) for value in (white, grey, 0, myelin, water, coherence, grey_myelin)]
    return Microstructure(mask, *maps, np.eye(4), spacing)


@pytest.mark.parametrize(
    ("brain", "mtr", "rd", "ad", "fa", "pib"),
    [
        # FA = (AD - RD) / sqrt(AD^2 + 2 RD^2): of a tensor with the eigenvalues AD, RD, RD.
        (block(white=1), 38.5, 0.52, 1.22, 0.4914, 1.5),
        (block(grey=1), 32.0, 0.74, 0.88, 0.1024, 1.0),
        (block(), 4.0, 3.0, 3.0, 0.0, 0.4),
        # 38.5 - 5 - 2; 0.52 + 0.175 + 0.1 - 0.07; 1.22 + 0.175 + 0.15; 0.82 / sqrt(2.387 + 1.051); 1.5 - 0.325
        (block(white=1, myelin=0.5, water=0.25, coherence=1), 31.5, 0.725, 1.545, 0.4422, 1.175),
        (block(white=0.5, grey=0.25, myelin=0.5, grey_myelin=0.8), 25.25, 1.30, 1.58, 0.1156, 0.905),
    ],
)
def test_values_by_hand(brain, mtr, rd, ad, fa, pib):
    images = render_mtr_dti(brain, np.random.default_rng(0), noise=0.0)
    images["pib"] = render_pib(brain, np.random.default_rng(1), noise=0.0)
    assert list(images) == ["mtr", "fa", "rd", "ad", "pib"]
    for name, value in {"mtr": mtr, "fa": fa, "rd": rd, "ad": ad, "pib": pib}.items():
        slack = 0.02 if name == "fa" else 0.011 * value  # scans differ by at most two spreads
        assert np.ptp(images[name][brain.mask]) < 1e-4
        assert images[name][12, 12, 12] == pytest.approx(value, abs=slack)
        assert images[name].dtype == np.float32
        assert not images[name][~brain.mask].any()


def test_noise_has_the_standard_deviation_of_its_table_in_each_channel_apart():
    brain = block(white=1)
    images = render_mtr_dti(brain, np.random.default_rng(0), noise=2.0)
    noise = [image[brain.mask] - image[brain.mask].mean() for image in images.values()]
    for name, values in zip(images, noise, strict=True):
        assert values.std() == pytest.approx(2 * NOISE[name], rel=0.03)
    assert np.abs(np.corrcoef(noise) - np.eye(4)).max() < 0.05


def test_pet_is_blurred_to_its_resolution_and_its_noise_with_it():
    brain = block(spacing=0.5)
    brain.white[12:] = 1
    edge = render_pib(brain, np.random.default_rng(0), noise=0.0)[2:-2, 12, 12]
    profile = np.diff(edge)
    places = np.arange(len(profile))
    middle = np.average(places, weights=profile)
    sigma = np.sqrt(np.average((places - middle) ** 2, weights=profile)) * 0.5
    assert sigma == pytest.approx(PET_FWHM_MM / FWHM, rel=0.1)
    grain = render_pib(block(white=1), np.random.default_rng(0), noise=0.05)[2:-2, 2:-2, 2:-2]
    assert grain.std() == pytest.approx(0.05, rel=0.15)  # it is higher at the edges, which are cut off here
    # Neighbours at d = 2 mm in noise filtered by a Gaussian s correlate by exp(-d^2 / 4 s^2).
    expected = np.exp(-(2.0**2) / (4 * (PET_FWHM_MM / FWHM) ** 2))
    assert np.corrcoef(grain[1:].ravel(), grain[:-1].ravel())[0, 1] == pytest.approx(expected, abs=0.06)
