"""Releases: packed, validated, and laid out for the model zoo and the Hugging Face Hub."""
