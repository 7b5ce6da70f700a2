"""Evaluation of simulation-trained networks on real scans: ``make real-check``."""
