"""Uncertainty maps: spread of a network's outputs, scaled by split-conformal calibration on held-out cases."""
