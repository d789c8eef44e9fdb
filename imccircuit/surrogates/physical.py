"""Numbers that no model of any kind may have: a negative σ, noise or full scale."""

from __future__ import annotations

import functools
from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from imccircuit.surrogates.base import Model

_NOT_NEGATIVE = (
    "noise", "noise_*", "sigma_*", "*_sigma", "latency", "settling_time", "area", "left",
    "fit_rms", "r_*_ohm", "on_conductance", "off_conductance",
)  # fmt: skip
_POSITIVE = (
    "reference_voltage", "full_scale_voltage", "supply", "largest_voltage", "lsb", "bits",
    "chips", "fitted_chips", "output_levels", "converters",
)  # fmt: skip
_ARRAYS_NOT_NEGATIVE = (
    "ramp_noise", "level_scale", "coefficient_sigma", "conductance", "cell_conductance",
    "programmed_conductance",
)  # fmt: skip


def impossible(model: Model, *, parts: bool = False) -> tuple[str, ...]:
    """Everything about a model's numbers that is impossible whatever the kind, one line each.

    Parameters
    ----------
    parts : look at the parts of a macro too, whose names have a point in them.
    """
    problems = []
    for name, parameter in model.parameters.items():
        own = name.rpartition(".")[2]
        if own != name and not parts:
            continue
        value = parameter.value
        if _is(own, _POSITIVE) and not value > 0:
            problems.append(f"{name} is {value:g}, which is not positive")
        elif _is(own, _NOT_NEGATIVE) and not value >= 0:
            problems.append(f"{name} is {value:g}, which must not be negative")
        if parameter.sigma < 0:
            problems.append(f"sigma of {name} is {parameter.sigma:g}, which must not be negative")
    for name, array in model.arrays.items():
        own = name.rpartition(".")[2]
        if own in _ARRAYS_NOT_NEGATIVE and (own == name or parts) and np.any(array.values < 0):
            problems.append(f"{name} is negative somewhere")
    return tuple(problems)


def with_the_impossible(
    admissibility: Callable[[Any], tuple[str, ...]],
) -> Callable[[Any], tuple[str, ...]]:
    """Make an ``admissibility`` that lists, behind its own problems, those of `impossible`."""

    @functools.wraps(admissibility)
    def both(self: Any) -> tuple[str, ...]:
        own = tuple(admissibility(self))
        return (*own, *(text for text in impossible(self.model) if text not in own))

    return both


def _is(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)
