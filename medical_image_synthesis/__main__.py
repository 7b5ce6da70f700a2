"""``synthesize``, the same as ``python -m medical_image_synthesis``."""

import gc
import os
import signal
import sys

from medical_image_synthesis.command import main


def synthesize() -> int:
    """Run the command as a process of its own: it ends as others do on a signal, or when nobody reads on."""
    # tensors lie in pages of 2 MB: those of 4 KB took the kernel a third of the time of slices of 512 x 512 [measured]
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # ends the inference and tidies up
    if hasattr(signal, "SIGPIPE"):
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    try:
        return main()
    finally:
        gc.freeze()  # else Python looks through all objects several times before it ends


if __name__ == "__main__":
    sys.exit(synthesize())
