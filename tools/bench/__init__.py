"""Benchmarks, as ratios measured side by side in one run: ``python tools/benchmark.py``."""
