"""Conductance that cells of a card are read with, over what was programmed: a table for training.

A cell keeps its normal score for the life of a chip. What it is read with, programmed to some
conductance, is the percentile of that score under the card's spread at the read time. A training
programs every cell anew every batch, so percentiles are tabulated once, over programmed level and
score, and interpolated along both.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.special import ndtr

from imccircuit.devices.laws import Spread
from imccircuit.devices.measured import ReadSpread

# Between neighbours both moments change by less than a hundredth of the range.
_LEVELS = 129
# Of a million cells one is beyond ±5 σ; it is taken for one there.
_MOST_SCORE = 5.0
_SCORES = 81


@dataclass(frozen=True, eq=False)
class ReadTable:
    """Read conductance over programmed level and normal score.

    Attributes
    ----------
    shares : (level, score) read conductance over the highest programmed one; levels in equal steps
        from the lowest to the highest, scores in equal steps over ±5.
    low : the lowest programmed conductance over the highest.
    """

    shares: NDArray[np.float32]
    low: float

    @classmethod
    def of(cls, spread: ReadSpread | Spread, low_s: float, high_s: float) -> ReadTable:
        """Table of a card's spread between two programmed conductances in S.

        Raises
        ------
        UsageError : a level that the spread does not know.
        """
        levels = np.linspace(low_s, high_s, _LEVELS)
        below = ndtr(np.linspace(-_MOST_SCORE, _MOST_SCORE, _SCORES))
        share, nominal = np.broadcast_arrays(below, levels[:, None])
        read = spread.percentile(share, nominal) / high_s
        return cls(read.astype(np.float32), low_s / high_s)

    def factors(
        self, weight: NDArray[np.float32], scores: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Read over programmed conductance (row, col) of cells with scores (row, col).

        Parameters
        ----------
        weight : (out, in) what is programmed, positive parts on the first columns.
        """
        found: NDArray[np.float32] = _factors(weight, scores, self.shares, np.float32(self.low))
        return found


@njit(cache=True, nogil=True)
def _factors(weight, scores, shares, low):  # type: ignore[no-untyped-def]
    outputs, inputs = weight.shape
    last_level, last_score = shares.shape[0] - 1, shares.shape[1] - 1
    largest = np.max(np.abs(weight))
    steps = np.float32(last_score / (2.0 * _MOST_SCORE))
    found = np.empty_like(scores)
    for i in range(inputs):
        for j in range(2 * outputs):
            w = weight[j, i] if j < outputs else -weight[j - outputs, i]
            part = max(w, np.float32(0.0)) / largest
            level = part * np.float32(last_level)
            score = (scores[i, j] + np.float32(_MOST_SCORE)) * steps
            score = min(max(score, np.float32(0.0)), np.float32(last_score))
            a, b = min(int(level), last_level - 1), min(int(score), last_score - 1)
            f, g = level - np.float32(a), score - np.float32(b)
            below = shares[a, b] + g * (shares[a, b + 1] - shares[a, b])
            above = shares[a + 1, b] + g * (shares[a + 1, b + 1] - shares[a + 1, b])
            programmed = low + (np.float32(1.0) - low) * part
            found[i, j] = (below + f * (above - below)) / programmed
    return found
