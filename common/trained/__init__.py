"""Pretrained weights: export, calibration and grading on simulated heads."""
