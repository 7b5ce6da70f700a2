"""The shipped weights on real scans and on heads that no training saw: ``make real-check``."""
