"""Benchmarks of training, inference and stitching, as ratios measured side by side in one run."""
