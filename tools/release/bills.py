"""Check bills of materials by the library of CycloneDX: ``python tools/release/bills.py FILE ...``."""

import sys
from pathlib import Path

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

if __name__ == "__main__":
    validator = JsonStrictValidator(SchemaVersion.V1_6)
    faults = {path: fault for path in sys.argv[1:] if (fault := validator.validate_str(Path(path).read_text()))}
    print(*(f"error: {path}: {fault}" for path, fault in faults.items()), sep="\n", end="")
    sys.exit(bool(faults))
