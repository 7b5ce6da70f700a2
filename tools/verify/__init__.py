"""The offline validator of MONAI bundles: what the model zoo's CI checks, what breaks elsewhere, and our contract."""
