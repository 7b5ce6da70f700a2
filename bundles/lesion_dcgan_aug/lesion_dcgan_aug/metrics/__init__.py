"""Measures of a set of synthetic patches and of a classifier."""
