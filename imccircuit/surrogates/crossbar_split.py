"""Which chips and input vectors of a crossbar the fit may see."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imccircuit.surrogates.base import ModelArray
from imccircuit.surrogates.data import FEWEST, HELD_OUT_SHARE, Measured, choose, held_out
from imccircuit.surrogates.seen import items_of, seen_array

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Split:
    """What is held out.

    Attributes
    ----------
    hidden_chips : (chip,) True where the whole chip is held out.
    hidden_vectors : (batch,) True where held out on every chip; only for a single chip.
    calibration_vectors : (batch,) True where a held-out chip shows its amplifiers' offsets; these
        are not judged.
    judged : (chip, batch) True where a verdict looks.
    why_not : why no verdict is possible, empty if one is.
    """

    hidden_chips: Mask
    hidden_vectors: Mask
    calibration_vectors: Mask
    judged: Mask
    why_not: str = ""


def split_of(measured: Measured) -> Split:
    """Held-out chips; for a single chip, held-out vectors: a fifth, at least five."""
    chips, batch = measured.arrays["output_current"].shape[:2]
    none = np.zeros(chips, dtype=bool)
    no_vector = np.zeros(batch, dtype=bool)
    judged = np.zeros((chips, batch), dtype=bool)
    if chips == 1:
        size = max(FEWEST, round(HELD_OUT_SHARE * batch))
        # Amplifiers have an offset and a slope: two vectors are the fewest that show them.
        if batch - size < (2 if "output_voltage" in measured.arrays else 1):
            why = f"{batch} input vectors are too few to hold out {FEWEST}"
            return Split(none, no_vector, no_vector, judged, why)
        vectors = choose(batch, size)
        judged[0] = vectors
        return Split(none, vectors, no_vector, judged)
    hidden = held_out(chips)
    if hidden is None:
        why = f"{chips} chips are too few to hold out {FEWEST} and fit {FEWEST}"
        return Split(none, no_vector, no_vector, judged, why)
    calibration = calibration_of(measured)
    judged[np.ix_(hidden, ~calibration)] = True
    why = "" if judged.any() else "one input vector is too few to find offsets and to judge"
    return Split(hidden, no_vector, calibration, judged, why)


def items_of_array(measured: Measured) -> NDArray[np.float64]:
    """Items (chip, vector, 3) by which chips and vectors are known again; see `seen`."""
    arrays = measured.arrays
    found = arrays.get("output_voltage", arrays["output_current"])
    return items_of(arrays["conductance"], arrays["row_voltage"], found)


def seen_of_array(measured: Measured, split: Split) -> dict[str, ModelArray]:
    """Array of a model that says which chips and vectors its fit saw."""
    return seen_array(items_of_array(measured), ~split.hidden_chips, ~split.hidden_vectors)


def calibration_of(measured: Measured) -> Mask:
    """Vectors that show the offsets of the amplifiers of a held-out chip: a fifth, at least one."""
    batch = measured.arrays["output_current"].shape[1]
    if "output_voltage" not in measured.arrays:
        return np.zeros(batch, dtype=bool)
    return choose(batch, max(1, round(HELD_OUT_SHARE * batch)))
