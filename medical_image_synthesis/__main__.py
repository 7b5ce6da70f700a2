"""``python -m medical_image_synthesis``, the same as ``synthesize``."""

import sys

from medical_image_synthesis.command import main

if __name__ == "__main__":
    sys.exit(main())
