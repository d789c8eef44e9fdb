"""Word-line voltages at which a surrogate of 1T1R cells is least sure.

The law is fitted to all measured word lines, and again without each of those between the ends (a
jackknife). Where these laws disagree most, a measurement tells most: near the threshold, where
the current bends, and not where it is a straight line.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from imccircuit.errors import UsageError
from imccircuit.surrogates.cell_data import CellData, data_of, fit_law, fit_own
from imccircuit.surrogates.cell_law import CellLaw
from imccircuit.surrogates.data import Measured, held_out
from imccircuit.surrogates.refine import Proposal

Floats = NDArray[np.float64]

_FEWEST_WORDS = 4
_STEP_V = 0.005
_CHIPS = 4


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
    bit = np.unique(data.bit_v)
    wanted = np.arange(words[0] + _STEP_V, words[-1], _STEP_V).round(6)
    wanted = wanted[np.abs(wanted[:, None] - words).min(axis=1) > 0.9 * _STEP_V]
    whole = _predict(data, words, bit, wanted)
    doubt = np.zeros(len(wanted))
    for left_out in words[1:-1]:
        other = _predict(data, words[words != left_out], bit, wanted)
        doubt = np.maximum(doubt, np.abs(other - whole).max(axis=(0, 1, 2, 4)))
    gap = np.searchsorted(words, wanted)
    chosen: list[int] = []
    for index in np.argsort(-doubt):
        if len(chosen) < count and gap[index] not in gap[chosen]:
            chosen.append(int(index))
    return Proposal(
        key="stimulus.word_line_voltages",
        dim="word_line",
        coordinate="word_line_voltage",
        values=tuple(sorted(float(wanted[index]) for index in chosen)),
        unit="V",
        doubt=float(np.max(doubt, initial=0.0)),
    )


def _predict(data: CellData, words: Floats, bit: Floats, wanted: Floats) -> Floats:
    """Currents of a law fitted to some word lines: (chip, level, cell, wanted, bit), of full scale.

    Full scale is the largest current of the level, as in the verdict.
    """
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
    found = part.law.current(shared, own[..., None, None, :], bit, wanted[:, None])
    return np.asarray(found / np.abs(data.current).max(axis=(0, 2, 3))[:, None, None, None])


def _law(data: CellData, words: Floats) -> CellLaw:
    # Of the whole data's temperature; the degree of the residual follows the number of word lines.
    return replace(CellLaw.of(data.bit_v, words, 0.0), thermal_v=data.law.thermal_v)
