"""Keys of a case in a datalist."""

from __future__ import annotations

REGIONS = ("lesion", "nawm", "vessel")
"""Keys of optional masks of regions: lesions, normal-appearing white matter, enhanced vessels."""
PATH_KEYS = ("image", "label", "mask", *REGIONS)
"""Keys of a case in a datalist whose values are paths."""
GROUPS = ("centre", "body_part")
"""Keys of a case by which an evaluation has tables of its own."""
ITEM_KEYS = ("case", "patient", "class", *GROUPS, *PATH_KEYS)
"""All keys of a case."""
