"""Metamorphic table: one source stored, placed and inferred in many ways must give the same voxels everywhere."""
