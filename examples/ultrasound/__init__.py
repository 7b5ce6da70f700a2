"""Focused ultrasound through a real and a synthetic CT; see docs/how-to/focused-ultrasound.md."""
