"""Offset of a comparator that depends on its input, and its fit to levels alone.

A comparator of transistors fires where ramp = input + offset, and near the ends of its range the
offset bends: near 0 V its pair leaves saturation, near full scale its tail does, each by about a
factor e every few tens of millivolts. So what the ramp is at level T is

    L = T + b_0·e^(−T/d_0) + b_1·e^(−(V_FS − T)/d_1),    T between 0 and full scale,

with the same four numbers for every column and chip, for they belong to the design: chips differ
by the ramp and by constant offsets, which shift T along the bend. A bend is in the law only where
the levels show it; see `fit_common_mode`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]

# A bend is looked for where levels are further than this from the law without it, and taken
# where it halves that distance.
_TOLD_LSB = 0.01
# Longer than an eighth of full scale it is no end's matter, and steeper than this T would not
# follow from L for all that is measured.
_LONGEST_SHARE, _SHORTEST_SHARE = 1 / 8, 1 / 256
_STEEPEST = 0.5
_FEWEST_CODES = 24
_STARTS_SHARE = (1 / 48, 1 / 16)
_MOST_STEPS = 100


@dataclass(frozen=True)
class Bend:
    """Offset at one end of the range.

    Attributes
    ----------
    offset_v : at that end itself, in V; positive lowers levels.
    length_v : over which it falls to 1/e, in V.
    offset_error_v, length_error_v : standard errors in V.
    """

    offset_v: float
    length_v: float
    offset_error_v: float = 0.0
    length_error_v: float = 0.0


@dataclass(frozen=True)
class CommonMode:
    """Both bends of a design.

    Attributes
    ----------
    full_scale_v : in V.
    start, end : near 0 V and near full scale; None: none.
    """

    full_scale_v: float
    start: Bend | None = None
    end: Bend | None = None

    def offset_v(self, levels_v: Floats) -> Floats:
        """b_0·e^(−T/d_0) + b_1·e^(−(V_FS − T)/d_1) in V at levels T in V, any shape."""
        inside = np.clip(levels_v, 0.0, self.full_scale_v)
        found = np.zeros_like(inside)
        if self.start is not None:
            found += self.start.offset_v * np.exp(-inside / self.start.length_v)
        if self.end is not None:
            away = self.full_scale_v - inside
            found += self.end.offset_v * np.exp(-away / self.end.length_v)
        return found

    def ramp_v(self, levels_v: Floats) -> Floats:
        """L of levels T, in V."""
        return levels_v + self.offset_v(levels_v)

    def levels_v(self, ramp_v: Floats) -> Floats:
        """T of L, in V: the fixed point of T = L − offset(T), whose slope is at most a half.

        Each T follows from its own L alone, to the last bit, whatever stands beside it.
        """
        found = ramp_v
        if self.start is None and self.end is None:
            return found
        for _ in range(_MOST_STEPS):
            before, found = found, ramp_v - self.offset_v(found)
            if np.array_equal(found, before):
                break
        return found

    @property
    def is_steep(self) -> bool:
        """Whether T does not follow from L."""
        bends = [bend for bend in (self.start, self.end) if bend is not None]
        return not all(abs(b.offset_v) <= 1.001 * _STEEPEST * b.length_v for b in bends)


def fit_common_mode(levels_v: Floats, codes: Codes, full_scale_v: float) -> CommonMode:
    """Bends that the levels show: none, one, or both.

    Without bends a cubic in the code for each chip, with an offset and a tilt for each column,
    comes within 0.01 LSB of all levels of a typical column; where it does not, a bend is taken if
    it at least halves the largest distance. The other one likewise, where one does not come within
    0.01 LSB. Typical is the median of the columns.

    Parameters
    ----------
    levels_v : (chip, column, code) in V of all codes.
    codes : those that the fit may see.
    full_scale_v : in V.
    """
    count = levels_v.shape[2] + 1
    lsb_v = full_scale_v / count
    seen, rest = levels_v[:, :, codes - 1], _Rest(codes / count)
    none = CommonMode(full_scale_v)
    found, worst = none, rest.typical(seen)
    if worst <= _TOLD_LSB * lsb_v or len(codes) < _FEWEST_CODES:
        return none
    alone = [_fit(seen, rest, ends, full_scale_v) for ends in (("start",), ("end",))]
    one = min(alone, key=lambda law: rest.typical(law.ramp_v(seen)))
    for law in (one, _fit(seen, rest, ("start", "end"), full_scale_v)):
        left = rest.typical(law.ramp_v(seen))
        if worst > _TOLD_LSB * lsb_v and left <= worst / 2:
            found, worst = law, left
    return found


class _Rest:
    """What a cubic for each chip, and an offset and a tilt for each column, leave of levels."""

    def __init__(self, x: Floats) -> None:
        table = np.vander(2 * x - 1, 4, increasing=True)
        self._ramp = np.linalg.qr(table)[0]
        self._column = np.linalg.qr(table[:, :2])[0]

    def __call__(self, levels_v: Floats) -> Floats:
        """(chip, column, code) in V."""
        middle = levels_v.mean(axis=1, keepdims=True)
        own = levels_v - middle
        middle = middle - (middle @ self._ramp) @ self._ramp.T
        return np.asarray(middle + own - (own @ self._column) @ self._column.T)

    def typical(self, levels_v: Floats) -> float:
        """Largest of it in a column, in V: the median of all columns.

        So a single column that no law fits, for it has not recovered from the reset at its first
        code, say, decides nothing for the others.
        """
        return float(np.median(np.max(np.abs(self(levels_v)), axis=-1)))


def _fit(seen: Floats, rest: _Rest, ends: tuple[str, ...], full_scale_v: float) -> CommonMode:
    """Least squares over slope offset/length and logarithm of the length of each end."""
    longest, shortest = np.log(_LONGEST_SHARE), np.log(_SHORTEST_SHARE)

    def law(p: Floats) -> CommonMode:
        lengths = full_scale_v * np.exp(p[1::2])
        bends = map(Bend, (p[::2] * lengths).tolist(), lengths.tolist())
        return CommonMode(full_scale_v, **dict(zip(ends, bends, strict=True)))

    def left(p: Floats) -> Floats:
        return np.asarray(rest(law(p).ramp_v(seen)).ravel() / (_SHORTEST_SHARE * full_scale_v))

    low, high = [-_STEEPEST, shortest] * len(ends), [_STEEPEST, longest] * len(ends)
    tried = [
        least_squares(left, [0.01, float(np.log(share))] * len(ends), bounds=(low, high))
        for share in _STARTS_SHARE
    ]
    best = min(tried, key=lambda result: float(result.cost))
    sigma = _errors(best.jac, best.cost, seen.size)
    made = law(best.x)
    return CommonMode(full_scale_v, **{
        end: _with_errors(getattr(made, end), sigma[2 * place : 2 * place + 2], place, best.x)
        for place, end in enumerate(ends)
    })  # fmt: skip


def _errors(jacobian: Floats, cost: float, count: int) -> Floats:
    """Standard errors of the fit's own numbers."""
    variance = 2 * cost / max(1, count - jacobian.shape[1])
    return np.asarray(np.sqrt(variance * np.diag(np.linalg.pinv(jacobian.T @ jacobian))))


def _with_errors(bend: Bend, sigma: Floats, place: int, found: Floats) -> Bend:
    """Errors of slope and logarithm as errors of offset and length, to first order."""
    slope = float(found[2 * place])
    length_error = float(bend.length_v * sigma[1])
    offset_error = float(np.hypot(bend.length_v * sigma[0], slope * length_error))
    return Bend(bend.offset_v, bend.length_v, offset_error, length_error)
