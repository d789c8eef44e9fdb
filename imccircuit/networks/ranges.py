"""Range and gain of a layer's converters, from calibration data, by one rule for all networks.

The range is the column current that the last code stands for; the front end's transresistance
follows from it. Three rules:

- ``maximum``: the largest current of the calibration data; nothing is clipped there.
- ``percentile``: the current that a stated share of the calibration data stays below.
- ``least_error``: the range with the least mean square of what rounding and clipping do to the
  calibration data together.

The gain corrects, digitally, what the wires take on average: the factor with which the sums of a
nominal chip come closest to the exact ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from imccircuit.errors import UsageError

Floats = NDArray[np.float64]
Rule = Literal["maximum", "percentile", "least_error"]

_CANDIDATES = 100
_SMALLEST = 0.05


@dataclass(frozen=True)
class LayerRange:
    """What a layer was calibrated to.

    Attributes
    ----------
    input_full_scale : input that the largest integer stands for.
    full_scale_a : column current in A that the end of the converter's range stands for.
    clipped : share of the calibration currents beyond it.
    rms_error_a : root mean square in A of rounding and clipping on the calibration data.
    gain : digital factor on the sums.
    """

    input_full_scale: float
    full_scale_a: float
    clipped: float
    rms_error_a: float
    gain: float = 1.0


def quantise(values: ArrayLike, full_scale: float, bits: int) -> Floats:
    """Values as a converter without error gives them back: middles of 2^bits steps from 0."""
    step = full_scale / 2**bits
    codes = np.clip(np.floor(np.asarray(values, dtype=np.float64) / step), 0, 2**bits - 1)
    return np.asarray((codes + 0.5) * step)


def calibrate_range(
    values: ArrayLike, rule: str, bits: int, percentile: float = 99.9
) -> tuple[float, float, float]:
    """Full scale, share that is clipped, and rms of rounding and clipping, for calibration values.

    Parameters and errors as of `find_full_scale`.
    """
    seen = np.asarray(values, dtype=np.float64).ravel()
    full = find_full_scale(seen, rule, bits, percentile)
    error = quantise(seen, full, bits) - seen
    return full, float(np.mean(seen > full)), float(np.sqrt(np.mean(error**2)))


def find_full_scale(values: ArrayLike, rule: str, bits: int, percentile: float = 99.9) -> float:
    """Full scale of a converter for calibration values.

    Parameters
    ----------
    values : what the converter will see, any shape, in A (or any unit, which the answer shares).
    rule : see the module.
    bits : of the converter.
    percentile : of the rule ``percentile``, above 0 to 100.

    Raises
    ------
    UsageError : an unknown rule or percentile, or no value above 0.
    """
    seen = np.asarray(values, dtype=np.float64).ravel()
    largest = float(np.max(seen, initial=0.0))
    if not (np.all(np.isfinite(seen)) and largest > 0):
        raise UsageError("calibration data without a value above 0: there is no range to find")
    if rule == "maximum":
        full = largest
    elif rule == "percentile":
        if not 0 < percentile <= 100:
            raise UsageError(f"percentile = {percentile:g}; allowed: above 0 to 100")
        full = float(np.percentile(seen, percentile))
        if full <= 0:
            raise UsageError(f"percentile = {percentile:g}: no current is there; allowed: higher")
    elif rule == "least_error":
        candidates = largest * np.linspace(_SMALLEST, 1.0, _CANDIDATES)
        errors = [np.mean((quantise(seen, float(c), bits) - seen) ** 2) for c in candidates]
        full = float(candidates[int(np.argmin(errors))])
    else:
        raise UsageError(f"rule {rule!r}; allowed: {', '.join(get_args(Rule))}")
    return full


def calibrate_gain(exact: ArrayLike, found: ArrayLike) -> float:
    """Factor with which ``found`` comes closest to ``exact``: Σ exact·found / Σ found².

    1 where nothing was found.
    """
    e, f = (np.asarray(a, dtype=np.float64).ravel() for a in (exact, found))
    power = float(f @ f)
    return float(e @ f) / power if power > 0 else 1.0
