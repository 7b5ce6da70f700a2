import numpy as np
import pytest

from common.simulation.variety import Variety, brain_mask, face, kept, shrunk, with_lesions


def total(anatomy):
    return sum(anatomy.fractions.values())


def test_fractions_still_sum_to_one(head):
    for seed in range(3):
        changed = Variety(lesion_probability=1)(head, np.random.default_rng(seed))
        np.testing.assert_allclose(total(changed), 1, atol=1e-4)
        assert min(part.min() for part in changed.fractions.values()) > -1e-6


def test_atrophy_turns_half_a_voxel_of_grey_into_a_quarter(head):
    before, after = head.fractions, shrunk(head, 1.0).fractions
    np.testing.assert_allclose(after["grey"], before["grey"] ** 2, atol=1e-6)
    assert after["csf"].sum() - before["csf"].sum() == pytest.approx(
        before["grey"].sum() - after["grey"].sum(), rel=1e-3
    )
    assert shrunk(head, 0.0).fractions["grey"] == pytest.approx(before["grey"])


def test_lesions_take_their_share_of_the_white_matter(head):
    before, after = head.fractions, with_lesions(head, np.random.default_rng(2), 0.05).fractions
    taken = (before["white"].sum() - after["white"].sum()) / before["white"][before["white"] > 0.8].sum()
    assert 0.03 < taken < 0.09
    gained = after["lesion"].sum() - before["lesion"].sum()
    assert gained == pytest.approx(before["white"].sum() - after["white"].sum(), rel=1e-3)


def test_without_plaques_their_place_is_white_matter(head):
    still = {"atrophy": [0, 0], "lesion_probability": 0, "stripped_probability": 0, "defaced_probability": 0}
    before, after = head.fractions, Variety(plaques=False, **still)(head, np.random.default_rng(0)).fractions
    assert before["lesion"].sum() > 0
    assert after["lesion"].sum() == 0
    np.testing.assert_allclose(after["white"], before["white"] + before["lesion"], atol=1e-6)
    np.testing.assert_allclose(after["grey"], before["grey"], atol=1e-6)


def test_a_stripped_head_is_brain_alone_and_a_defaced_one_keeps_it(head):
    stripped, original = kept(head, brain_mask(head, 2.0)).fractions, head.fractions
    for name in ("skull", "fat", "skin", "muscle"):
        assert stripped[name].sum() < 0.03 * original[name].sum(), name
    for name in ("grey", "white"):
        assert stripped[name].sum() > 0.95 * original[name].sum(), name
    cut, brain = face(head, np.random.default_rng(0)), original["grey"] + original["white"]
    assert brain[cut].sum() < 0.01 * brain.sum()
    assert 0.01 < head.head[cut].sum() / head.head.sum() < 0.3
