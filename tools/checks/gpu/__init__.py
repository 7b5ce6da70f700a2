"""Check of training and inference on a GPU: ``make gpu-check``."""
