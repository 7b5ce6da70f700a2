"""Dose of a treatment plan on a real and on a synthetic CT; see README.md."""
