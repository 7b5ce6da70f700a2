"""Generators and discriminators that several methods use; they need only PyTorch and MONAI."""
