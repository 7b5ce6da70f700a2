"""Examples, each with the environment and the limits that its page names.

A package, so that ``python -m examples.dose`` finds this folder, not one of the same name that a dependency installs.
"""
