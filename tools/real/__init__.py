"""The check of networks that were trained on simulations on real scans: ``make real-check``."""
