"""Datasets of training samples: slices and patches of volumes on disk, and of simulated cases."""
