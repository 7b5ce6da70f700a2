"""Mutations before a resumed inference: one change of an input, an option or an output, by which nothing old is kept.

A change of one case lets the other one be kept (``Mutation.case``).
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Mapping
from typing import Any

import nibabel as nib
import numpy as np

from tests.fuzz import options
from tests.fuzz.mutation import Mutation, Rule, Target, case_of, damaged
from tests.fuzz.scenes import BOX


def mutate(rng: random.Random, target: Target) -> Mutation:
    """Change something that the result depends on; the results must be those of an inference that resumes nothing."""
    how = rng.choices((_input, _output, _option), (4, 4, 3))[0]
    return how(rng, target)


def _input(rng: random.Random, target: Target) -> Mutation:
    """Another image under the same name."""
    one, other = rng.sample(target.volumes(), 2)
    how = rng.choice(("that of the other case", "exchanged", "brighter", "one voxel", "moved", "mirrored"))
    if how == "that of the other case":
        one.write_bytes(other.read_bytes())
    elif how == "exchanged":
        content = one.read_bytes()
        one.write_bytes(other.read_bytes())
        other.write_bytes(content)
    else:
        image: Any = nib.load(one)
        values, affine = np.asarray(image.dataobj).copy(), image.affine.copy()
        if how == "brighter":
            values[values.shape[0] // 2 :] = values[values.shape[0] // 2 :] * 2
        elif how == "one voxel":
            values[tuple(np.array(values.shape) // 2)] = values.max() * 2
        elif how == "moved":
            affine[0, 3] += 3
        else:
            values = values[::-1].copy()
        nib.save(nib.Nifti1Image(values, affine), one)
    case = "" if how == "exchanged" else case_of(one)
    return Mutation("resumed input", f"{one.parent.name}/{one.name}: {how}", Rule.FRESH, case)


def _output(rng: random.Random, target: Target) -> Mutation:
    """A written volume that is damaged, gone, or that of the other case."""
    one, other = rng.sample(sorted((target.box / "out").glob("*.nii.gz")), 2)
    how = rng.choice(("damaged", "gone", "that of the other case", "exchanged"))
    if how == "damaged":
        content, how = damaged(one.read_bytes(), rng)
        one.write_bytes(content)
    elif how == "gone":
        one.unlink()
    else:
        content = one.read_bytes()
        one.write_bytes(other.read_bytes())
        if how == "exchanged":
            other.write_bytes(content)
    case = "" if how == "exchanged" else one.name.partition("_synthetic")[0]
    return Mutation("resumed output", f"out/{one.name}: {how}", Rule.FRESH, case)


def _option(rng: random.Random, target: Target) -> Mutation:
    """Another value of a setting, as the fuzzer of options draws it; where it writes stays."""
    while True:
        made = options.mutate(rng, target)
        given = made.options or {}
        places = {name for name in options.OUTPUTS if given.get(name) != target.options.get(name)}
        if made.program is None and not places and given.get("resume") == target.options["resume"]:
            return dataclasses.replace(made, kind="resumed option", rule=Rule.FRESH)


def fresh(given: Mapping[str, str]) -> dict[str, str]:
    """The options of the same command into an empty folder."""
    return {**given, "predictions_dir": f"{BOX}/fresh", "resume": "false"}
