"""Bundles in environments that hold what their metadata name, and nothing else."""
