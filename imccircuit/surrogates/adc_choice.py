"""Which law the levels of a converter have: bit weights, or levels of their own.

The bench ``adc_transfer`` builds a SAR converter, and a SAR converter has bit weights. A converter
of one's own (``dut_adc``) or one that was measured elsewhere (``adc_levels``) may be of any kind,
and the fitted chips themselves decide. Bit weights describe them where

- no level is off by more than it was measured to, or
- no level is off by more than the gate ``max_error``, and what the weights leave of the variance
  about each chip's straight line is at most 1 - 0.9² = 19 %: then σ of a drawn chip's levels is
  right within the tenth that ``check --statistics`` asks for.

The gate alone would not do: chips with small independent errors are within it, and chips drawn
from their bit weights vary far too little. Weights of independent errors leave nearly all of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imccircuit.benches.adc_levels import LevelsParameters
from imccircuit.benches.dut_adc_parameters import DutAdcParameters
from imccircuit.surrogates.adc_level_law import off_line
from imccircuit.surrogates.adc_levels import predict_levels
from imccircuit.surrogates.data import Measured

Floats = NDArray[np.float64]

# Of an LSB: a level is never asked to stand better than this.
_LEAST_TOLERANCE_LSB = 1e-3
_MOST_LEFT = 1 - 0.9**2


@dataclass(frozen=True)
class Choice:
    """What describes the levels.

    Attributes
    ----------
    by_weights : bit weights do.
    text : why, for the domain of a model; empty where there was nothing to choose.
    """

    by_weights: bool
    text: str


def level_tolerance(measured: Measured) -> float:
    """What a level may be off by in LSB, as far as the recipe says."""
    stimulus = getattr(measured.parameters, "stimulus", None)
    stated = (getattr(stimulus, name, 0.0) for name in ("null_tolerance", "search_tolerance"))
    return max(_LEAST_TOLERANCE_LSB, *map(float, stated))


def choose_law(
    measured: Measured, fitted: NDArray[np.bool_], weights_v: Floats, shared_v: Floats | None
) -> Choice:
    """Law of converters, by those that were fitted; see the module.

    Parameters
    ----------
    fitted : (chip,) True for the chips that may be looked at.
    weights_v : (chip, bits + 1) bit weights and offset of all chips, from all of their levels.
    shared_v : (code,) curvature that they share, or None.
    """
    foreign = isinstance(measured.parameters, DutAdcParameters | LevelsParameters)
    if not foreign or np.count_nonzero(fitted) < 2:
        return Choice(True, "")
    levels = measured.arrays["transition_level"][fitted]
    bits = weights_v.shape[1] - 1
    lsb = float(measured.arrays["reference_voltage"][0]) / 2**bits
    left = levels - predict_levels(weights_v[fitted], bits, shared_v)
    worst = float(np.max(np.abs(left))) / lsb
    of_line = float(np.sum(off_line(levels - levels.mean(axis=0)) ** 2))
    share = float(np.sum((left - left.mean(axis=0)) ** 2)) / of_line if of_line > 0 else 0.0
    gate = float(getattr(measured.recipe.gates, "max_error", 0.0))
    by_weights = worst <= level_tolerance(measured) or (worst <= gate and share <= _MOST_LEFT)
    law = "bit weights" if by_weights else "levels of their own"
    return Choice(
        by_weights,
        f"{law}; bit weights are off by up to {worst:.3g} LSB in the fitted chips and leave "
        f"{100 * share:.2g} % of the variance about a straight line",
    )
