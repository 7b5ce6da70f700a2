"""The work of a study, counted by hand."""

import pytest
from lesion_dcgan_aug.study.fold_results import Arm
from lesion_dcgan_aug.study.progress import WorkEstimate

CLASSIFIER = {"batch_size": 10, "epochs": 4}
GAN = {"max_epochs": 3, "views": 2}


def work(classifier=CLASSIFIER, gan=GAN) -> WorkEstimate:
    """60 patches of 3 classes, 2 folds."""
    return WorkEstimate(60, 3, 2, classifier, gan)


@pytest.mark.parametrize(
    ("settings", "arm", "expected"),
    [
        # 30 originals, 1 * (5 + 3 * 2) added to the one fold trained on: 41 are 5 batches of 10, 4 times
        (CLASSIFIER, Arm(5, 2), 4 * 5 * 10),
        # 100 steps, however many patches
        ({"batch_size": 10, "steps": 100}, Arm(5, 2), 100 * 10),
        # 30 patches fill no batch of 64: one batch of 30, 150 epochs unless said otherwise
        ({}, Arm(0, 0), 150 * 30),
    ],
)
def test_of_a_classifier(settings, arm, expected):
    assert work(classifier=settings).of_classifier(arm, 30) == expected


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        # 3 epochs of 2 views of 20 patches, each of 3 classes, at 5 times a classifier's
        (GAN, 3 * 2 * 20 * 3 * 5),
        ({"max_epochs": 3, "views": 2, "samples_per_epoch": 8}, 3 * 8 * 3 * 5),
        ({}, 20 * 3 * 5),
    ],
)
def test_of_a_gan(settings, expected):
    assert work(gan=settings).of_gan() == expected


def test_sizes_are_added_to_each_fold_trained_on():
    # 60 patches of 3 folds: 40 originals, 2 * (5 + 3 * 2) added: 62 are 7 batches of 10, 4 times
    assert WorkEstimate(60, 3, 3, CLASSIFIER, GAN).of_classifier(Arm(5, 2), 40) == 4 * 7 * 10


def test_of_a_study():
    # a fold trains on 30: without and with 5 classic 3 and 4 batches; with 5 and 3 * 10 of the GAN 30 + 35: 7
    one = 4 * 10 * (3 + 4 + 7)
    assert work().of_study(2, [0, 5], [10]) == 2 * 2 * (one + 1800)
    assert work().of_study(1, [0, 5], []) == 2 * 4 * 10 * (3 + 4)
