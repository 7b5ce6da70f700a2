"""Releases without Python code: a TorchScript network and a config that names MONAI's and PyTorch's classes alone."""
