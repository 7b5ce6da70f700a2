"""Checks that are no tests: shipped weights on real scans, a GPU, whole trainings, environments, invariance."""
