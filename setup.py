"""Build of the wheel, whose one package ``tools.release.pack.wheel`` makes; all settings are in ``setup.cfg``.

An editable installation takes the packages that ``setup.cfg`` lists as they lie in the repository.
"""

import os
import shutil
from pathlib import Path

from setuptools import Distribution, setup
from setuptools.command.build_py import build_py

from tools.release.pack.wheel import EDITABLE, ENTRY_POINTS, PRODUCT, wheel_files


class Put(build_py):
    """Writes the wheel's files in place of the packages' modules."""

    def run(self):
        """Write them to the folder of the build."""
        shutil.rmtree(Path(self.build_lib), ignore_errors=True)
        for place, content in wheel_files(Path(__file__).resolve().parent).items():
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
        base = Path("build")  # beside the repository's packages it would be taken for that of an editable installation
        base.mkdir(exist_ok=True)
        self.get_option_dict("egg_info")["egg_base"] = ("setup.py", str(base))


if EDITABLE in os.environ:
    setup()
else:
    setup(distclass=OnePackage, cmdclass={"build_py": Put})
