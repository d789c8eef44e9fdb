"""Word-line voltages at which a surrogate of 1T1R cells is worst, by cross-validation.

The law is fitted again without each word line between the ends. Where it then departs most from
the law of all, between the neighbours of what was left out, a measurement tells most: near the
threshold, where the current bends, and not where it is a straight line.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from imccircuit.errors import UsageError
from imccircuit.surrogates.cell_data import CellData, data_of, fit_law, fit_own
from imccircuit.surrogates.cell_law import CellLaw
from imccircuit.surrogates.data import Measured, held_out
from imccircuit.surrogates.refine import Proposal, choose_between

Floats = NDArray[np.float64]

_FEWEST_WORDS = 4
_STEP_V = 0.005
_CHIPS = 4
_PROBES = 9


def propose_word_lines(measured: Measured, count: int) -> Proposal:
    """Ask for word-line voltages, at most one between two that were measured.

    Held-out chips are not looked at.

    Raises
    ------
    UsageError : cells without transistor, whose law is exact, or fewer than four word lines.
    """
    data = data_of(measured)
    if not data.law.gated:
        raise UsageError("cells without transistor have nothing to refine; allowed: cell = 1t1r")
    words = np.unique(data.word_v)
    if len(words) < _FEWEST_WORDS:
        text = f"{len(words)} word-line voltages are too few to refine; allowed: {_FEWEST_WORDS} on"
        raise UsageError(text)
    hidden = held_out(measured.chips)
    seen = np.arange(measured.chips) if hidden is None else np.flatnonzero(~hidden)
    data = replace(data, current=data.current[seen[:_CHIPS]])
    bit, full = np.unique(data.bit_v), np.abs(data.current).max(axis=(0, 2, 3))

    def error_without(index: int) -> float:
        # Below threshold a law says little at a word line and much on the way there.
        between = np.linspace(words[index - 1], words[index + 1], _PROBES)
        kept = np.delete(words, index)
        left = _predict(data, kept, bit, between) - _predict(data, words, bit, between)
        return float(np.max(np.abs(left) / full[:, None, None, None]))

    values, doubt = choose_between(words, error_without, _STEP_V, count)
    return Proposal(
        key="stimulus.word_line_voltages",
        dim="word_line",
        coordinate="word_line_voltage",
        values=tuple(round(value, 6) for value in values),
        unit="V",
        doubt=doubt,
    )


def _predict(data: CellData, words: Floats, bit: Floats, wanted: Floats) -> Floats:
    """Currents (chip, level, cell, wanted, bit) in A of a law fitted to some word lines."""
    kept = np.isin(data.word_v, words)
    part = replace(
        data,
        current=data.current[..., kept],
        bit_v=data.bit_v[kept],
        word_v=data.word_v[kept],
        law=_law(data, words),
    )
    chips, points = np.ones(part.shape[0], dtype=bool), np.ones(part.points, dtype=bool)
    shared = fit_law(part, chips, points).shared
    own = fit_own(part, shared, chips, points)
    return part.law.current(shared, own[..., None, None, :], bit, wanted[:, None])


def _law(data: CellData, words: Floats) -> CellLaw:
    # Of the whole data's temperature; the degree of the residual follows the number of word lines.
    return replace(CellLaw.of(data.bit_v, words, 0.0), thermal_v=data.law.thermal_v)
