"""Currents at which a surrogate of front ends is worst, by cross-validation of its curves."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from imccircuit.errors import UsageError
from imccircuit.surrogates.data import Measured
from imccircuit.surrogates.front_end import (
    CURVES,
    LEVELS,
    NO_RESIDUAL_LSB,
    chips_held_out,
    currents_of,
)
from imccircuit.surrogates.front_end_law import TERMS, TransferLaw
from imccircuit.surrogates.refine import Proposal, choose_between

Floats = NDArray[np.float64]

# Of the range: closer currents tell nothing that their neighbours do not.
_FINEST = 1e-3


def propose_currents(measured: Measured, count: int) -> Proposal:
    """Ask for currents, at most one between two that were measured.

    The curves are fitted again without each inner current and compared there with what was
    measured, in LSB; see `choose_between`. Held-out chips are not looked at.

    Raises
    ------
    UsageError : too few currents to leave one out.
    """
    current, mask = currents_of(measured), chips_held_out(measured)
    if len(current) <= TERMS:
        text = f"{len(current)} currents are too few to refine; allowed: {TERMS + 1} on"
        raise UsageError(text)
    lsb = float(measured.arrays["lsb"][~mask].mean())
    curves = [measured.arrays[f"{curve}_voltage"][~mask] for curve in CURVES]

    def error_without(index: int) -> float:
        kept = np.arange(len(current)) != index
        worst = 0.0
        for voltage in curves:
            law = TransferLaw.shared_by(current[kept], voltage[:, kept], NO_RESIDUAL_LSB * lsb)
            numbers = law.fit(current[kept], voltage[:, kept])
            found = np.array([law.voltage(own, current[index]) for own in numbers])
            worst = max(worst, float(np.abs(found - voltage[:, index]).max()))
        return worst / lsb

    finest = _FINEST * float(current[-1] - current[0])
    values, doubt = choose_between(current, error_without, finest, count)
    return Proposal("stimulus.currents", "level", LEVELS, values, "A", doubt, "LSB")
