"""NIfTI files: checked headers, then voxels."""
