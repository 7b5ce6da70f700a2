"""Build of the wheel: one package with the command, ``common`` and the bundles; other settings are in ``setup.cfg``.

In the wheel ``common`` is ``medical_image_synthesis.common``, and the package of a bundle, which lies in the bundle's
folder, ``medical_image_synthesis.bundles.NAME.NAME``: files are copied as they are but for these names. An editable
installation takes the packages as they lie in the repository.
"""

import runpy
import shutil
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py
from setuptools.command.editable_wheel import editable_wheel

PRODUCT = "medical_image_synthesis"
BUNDLES = sorted(path.parents[1].name for path in Path().glob("bundles/*/configs/inference.yaml"))
FOLDERS = {"common": "common", **{name: f"bundles/{name}/{name}" for name in BUNDLES}}
"""Of the packages of the repository."""
NAMES = {"common": f"{PRODUCT}.common", **{name: f"{PRODUCT}.bundles.{name}.{name}" for name in BUNDLES}}
"""Their names in the wheel."""
MODULE_NAMES = "common.weights.module_names"
renamed = runpy.run_path(f"{MODULE_NAMES.replace('.', '/')}.py", run_name=MODULE_NAMES)["renamed"]
RENAMED = (".py", ".yaml", ".md")


class BuildWheel(build_py):
    """Copies files with the wheel's names of modules."""

    def run(self):
        """Copy them to a folder without those of an earlier build."""
        if not self.editable_mode:
            shutil.rmtree(self.build_lib, ignore_errors=True)
        super().run()

    def copy_file(self, infile, outfile, *args, **kwargs):
        """Copy a file, and rename what it names."""
        copied = super().copy_file(infile, outfile, *args, **kwargs)
        if Path(outfile).suffix in RENAMED:
            text = Path(infile).read_text(encoding="utf-8")
            Path(outfile).write_text(renamed(text, NAMES), encoding="utf-8")
        return copied


class BuildEditable(editable_wheel):
    """Installs the packages of the repository."""

    def initialize_options(self):
        """Name them."""
        self.distribution.packages, self.distribution.package_dir = [PRODUCT, *FOLDERS], FOLDERS
        super().initialize_options()


def packages():
    """Every package of the wheel with its folder; that of a bundle has its configs, documents and weights."""
    own = {each: each.replace(".", "/") for each in (PRODUCT, *(f"{PRODUCT}.{e}" for e in find_packages(PRODUCT)))}
    folders = {**own, **{f"{PRODUCT}.bundles.{name}": f"bundles/{name}" for name in BUNDLES}}
    for name, folder in FOLDERS.items():
        inner = [name, *(f"{name}.{each}" for each in find_packages(folder))]
        folders |= {NAMES[name] + each[len(name) :]: folder + each[len(name) :].replace(".", "/") for each in inner}
    return folders


FOUND = packages()
setup(
    packages=list(FOUND), package_dir=FOUND, cmdclass={"build_py": BuildWheel, "editable_wheel": BuildEditable}
)  # fmt: skip
