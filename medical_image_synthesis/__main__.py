"""``synthesize``, the same as ``python -m medical_image_synthesis``."""

import gc
import signal
import sys

from medical_image_synthesis.command import main


def synthesize() -> int:
    """Run the command as a process of its own: it ends as others do on a signal, or when nobody reads on."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # ends the inference and tidies up
    if hasattr(signal, "SIGPIPE"):
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    try:
        return main()
    finally:
        gc.freeze()  # else Python looks through all objects several times before it ends


if __name__ == "__main__":
    sys.exit(synthesize())
