"""Datasets of training samples: slices and patches of volumes on disk, and simulated cases."""
