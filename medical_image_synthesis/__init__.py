"""The command ``synthesize``; an installed wheel holds the bundles beside it. Imports neither PyTorch nor MONAI."""
