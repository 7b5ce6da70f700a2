"""Generators and discriminators that several methods use; they need PyTorch and MONAI alone."""
