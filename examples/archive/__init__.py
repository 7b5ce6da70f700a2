"""Algorithm container of the SynthRAD challenges; see docs/how-to/deployment.md."""
