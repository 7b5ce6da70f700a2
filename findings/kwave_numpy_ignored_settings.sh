#!/bin/sh
# kspaceFirstOrder of k-wave-python 0.6.2 ignores sound_speed_ref, and returns nothing for p_max_all, without a word.
#
# kWaveMedium(sound_speed_ref=...) is a documented setting: the k-space correction is exact at that speed. The NumPy back
# end uses the largest speed whatever it is (so does the C++ one behind the same function: read, not run).
# sensor.record = ["p_max_all"], which the package's recorder knows, gives an empty result after the whole simulation.
#
# Seen with Python 3.11.7, k-wave-python 0.6.2:
#   largest difference between sound_speed_ref of 1500 and of 3000 m/s: 0
#   record p_max: ['p_max'], p_max_all: []
#
# sh findings/kwave_numpy_ignored_settings.sh      exit code 0: as described; 1: k-Wave behaves otherwise now
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check k-wave-python==0.6.2
cd "$folder"
"$folder/venv/bin/python" - <<'PROGRAM'
import logging
import sys
import urllib.request
import warnings
from importlib.metadata import version

import numpy as np

print("python", sys.version.split()[0], "k-wave-python", version("k-wave-python"))
logging.disable(logging.CRITICAL)
warnings.simplefilter("error")


def no_download(*given):
    raise TimeoutError


urllib.request.urlretrieve = no_download
from kwave.data import Vector
from kwave.kgrid import kWaveGrid
from kwave.kmedium import kWaveMedium
from kwave.ksensor import kSensor
from kwave.ksource import kSource
from kwave.kspaceFirstOrder import kspaceFirstOrder


def simulated(reference, record):
    grid = kWaveGrid(Vector([64, 64]), Vector([1e-3, 1e-3]))
    grid.setTime(80, 1.2e-7)
    speed = np.full((64, 64), 1500.0)
    speed[40:] = 3000
    medium = kWaveMedium(sound_speed=speed, density=np.full((64, 64), 1000.0), sound_speed_ref=reference)
    source = kSource()
    source.p_mask = np.zeros((64, 64), bool)
    source.p_mask[10] = True
    source.p = np.sin(2 * np.pi * 2.5e5 * np.arange(80) * 1.2e-7)[None]
    sensor = kSensor(mask=np.ones((64, 64), bool))
    sensor.record = record
    return kspaceFirstOrder(grid, medium, source, sensor, backend="python", quiet=True)


difference = float(np.abs(simulated(1500.0, ["p"])["p"] - simulated(3000.0, ["p"])["p"]).max())
print(f"largest difference between sound_speed_ref of 1500 and of 3000 m/s: {difference:g}")
recorded = {name: list(simulated(3000.0, [name])) for name in ("p_max", "p_max_all")}
print(f"record p_max: {recorded['p_max']}, p_max_all: {recorded['p_max_all']}")
described = difference == 0 and recorded == {"p_max": ["p_max"], "p_max_all": []}
print("as described" if described else "k-Wave behaves otherwise now")
sys.exit(not described)
PROGRAM
