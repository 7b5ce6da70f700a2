"""Head phantoms: anatomy from a seed, CT and MR rendering, simulated scanners, phantom datasets on disk."""
