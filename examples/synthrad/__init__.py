"""Algorithm container of the SynthRAD challenges; see README.md."""
