"""``python -m common.data`` with the layout of this bundle, without installing the bundle."""

import sys

from common.data.__main__ import main
from lesion_dcgan_aug.data import command

if __name__ == "__main__":
    sys.exit(main(layouts={"rois": command}))
