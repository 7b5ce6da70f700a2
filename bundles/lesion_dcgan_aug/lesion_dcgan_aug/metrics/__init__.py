"""Metrics of sets of synthetic patches and of a classifier."""
