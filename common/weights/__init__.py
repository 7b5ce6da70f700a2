"""Weights: saving, loading, hashes, and the JSON file that says what they were trained with, which is plain data."""
