"""Build of the wheel, whose one package is put together by ``tools.pack.wheel``; all settings are in ``setup.cfg``.

An editable installation takes the packages that ``setup.cfg`` lists as they lie in the repository.
"""

import shutil
import sys
from pathlib import Path

from setuptools import Distribution, setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT))  # which a build lacks

from tools.pack.wheel import ENTRY_POINTS, PRODUCT, wheel_files  # noqa: E402


class Put(build_py):
    """Writes the wheel's files in place of the packages' modules."""

    def run(self):
        """Write them to the folder of the build."""
        shutil.rmtree(Path(self.build_lib), ignore_errors=True)
        for place, content in wheel_files(ROOT).items():
            path = Path(self.build_lib, place)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)


class OnePackage(Distribution):
    """What is built has the command's package and entry point alone."""

    def parse_config_files(self, *args, **kwargs):
        """Read the settings, then leave out the packages of the repository."""
        super().parse_config_files(*args, **kwargs)
        self.packages, self.package_dir, self.package_data = [PRODUCT], {}, {}
        self.entry_points = ENTRY_POINTS


if "editable_wheel" in sys.argv:
    setup()
else:
    setup(distclass=OnePackage, cmdclass={"build_py": Put})
