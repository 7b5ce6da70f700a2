"""Checks that are no tests: shipped weights on real scans, a GPU, trainings, registration, environments, invariance."""
