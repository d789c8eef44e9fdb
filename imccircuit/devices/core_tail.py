"""A law for populations of which most devices stay put and some move far: core and tail.

Relaxed RRAM cells are like that: the middle 68 % can be three times narrower than the standard
deviation says, because the deviation comes from a few cells that lost or gained much. No law of
two parameters has both.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from imccircuit.devices.laws import Floats, Gamma, Value

MIN_TAIL, MAX_TAIL = 0.02, 0.6
# Fourth moment over S⁴, 3 for a Gaussian. The tail rests on a few tens of devices, so how far it
# reaches is not known; what is bounded here is how slowly sample deviations converge to S.
MAX_KURTOSIS = 30.0
_MIN_COMPONENT_MEAN = 0.05
# To a millionth of what was between the ends.
_HALVINGS = 20
_PERCENTILES = np.array([0.16, 0.5, 0.84])


@dataclass(frozen=True)
class CoreTail:
    """Two gamma laws, mixed so that mean and standard deviation are exactly those asked for.

    The core holds a share 1 − w of the devices, with mean M + a·S and deviation c·S, where M and
    S are mean and deviation of the whole. The tail then has mean M + b·S with
    b = −(1 − w)·a/w, and deviation d·S with d² = (1 − (1 − w)·(c² + a²))/w − b².

    Attributes
    ----------
    weight : w, share of the devices in the tail.
    offset : a, shift of the core's mean in units of S.
    width : c, the core's standard deviation in units of S.

    Each is a number, or an array that broadcasts with the values drawn.
    """

    weight: Value
    offset: Value
    width: Value

    name: ClassVar[str] = "core_tail"
    positive: ClassVar[bool] = True
    max_cv: ClassVar[float] = np.inf

    def tail(self) -> tuple[Floats, Floats]:
        """(b, d²); a negative d² says that there is no such law."""
        w, a, c = self.weight, self.offset, self.width
        b = np.asarray(-(1 - w) * a / w, dtype=np.float64)
        return b, np.asarray((1 - (1 - w) * (c**2 + a**2)) / w - b**2)

    def is_possible(self, cv: Value) -> NDArray[np.bool_]:
        """Whether both parts are proper gamma laws for sd/mean = ``cv`` and all smaller ones.

        The means of both parts are linear in sd/mean, so what holds at ``cv`` holds below it.
        The kurtosis is held under its bound at ``cv`` itself.
        """
        b, variance = self.tail()
        w, a, c = self.weight, self.offset, self.width
        core_mean, tail_mean = 1 + a * cv, 1 + b * cv
        with np.errstate(invalid="ignore", divide="ignore"):
            d = np.sqrt(variance)
            core = _fourth(a, c, c * cv / core_mean)
            kurtosis = (1 - w) * core + w * _fourth(b, d, d * cv / tail_mean)
        return np.asarray(
            (variance > 1e-4)
            & (np.minimum(core_mean, tail_mean) > _MIN_COMPONENT_MEAN)
            & (kurtosis < MAX_KURTOSIS)
        )

    def quantile(self, u: Value, mean: Value, sd: Value) -> Floats:
        """Draw by composition: the lower 1 − w of ``u`` is the core, the rest the tail.

        For uniform ``u`` the answer follows the law; it rises with ``u`` within each part.
        """
        b, variance = self.tail()
        u, w = np.asarray(u), np.asarray(self.weight)
        core = u < 1 - w
        # Rounding may reach 1 at the seam, where a quantile is infinite.
        inner = np.clip(np.where(core, u / (1 - w), (u - (1 - w)) / w), 2.0**-54, 1 - 2.0**-53)
        shift = np.where(core, self.offset, b)
        scale = np.where(core, self.width, np.sqrt(variance))
        return Gamma().quantile(inner, mean + shift * np.asarray(sd), scale * np.asarray(sd))

    def percentile(self, share: Value, mean: Value, sd: Value) -> Floats:
        """Value below which a share of the distribution lies, by halving where `cdf` has it.

        Unlike `quantile` it rises with ``share`` throughout, through core and tail.
        """
        wanted, mean, sd = np.broadcast_arrays(*map(np.asarray, (share, mean, sd)))
        low, high = np.zeros(wanted.shape), mean + sd
        while np.any(beyond := self.cdf(high, mean, sd) < wanted):
            low, high = np.where(beyond, high, low), np.where(beyond, 2 * high, high)
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            beyond = self.cdf(middle, mean, sd) < wanted
            low, high = np.where(beyond, middle, low), np.where(beyond, high, middle)
        return np.asarray((low + high) / 2)

    def cdf(self, x: Value, mean: Value, sd: Value) -> Floats:
        """Share of the distribution that lies below ``x``."""
        b, variance = self.tail()
        w, sd = np.asarray(self.weight), np.asarray(sd)
        core = Gamma().cdf(x, mean + self.offset * sd, self.width * sd)
        return (1 - w) * core + w * Gamma().cdf(x, mean + b * sd, np.sqrt(variance) * sd)


def _fourth(offset: Value, sd: Value, cv: Value) -> Floats:
    """Fourth moment of a gamma law about the point that is ``offset`` below its mean."""
    third = 2 * cv * sd**3
    fourth = (3 + 6 * cv**2) * sd**4
    return np.asarray(fourth + 4 * offset * third + 6 * offset**2 * sd**2 + offset**4)


def fit_core_tail(
    mean: Floats, sd: Floats, quantiles: Floats, max_cv: Floats
) -> tuple[CoreTail, NDArray[np.bool_]]:
    """Fit the shape to the 16th, 50th and 84th percentile; mean and sd are kept exactly.

    A grid over all three parameters, then a grid around the best that halves its pitch: no local
    minimum of a gradient search, no start value, and all levels at once.

    Parameters
    ----------
    mean, sd : (level,) moments.
    quantiles : (level, 3) percentiles in the unit of the mean.
    max_cv : (level,) largest sd/mean the shape has to be usable for.

    Returns
    -------
    law : shape parameters, (level,) each.
    found : (level,) whether there is such a law.
    """
    best = np.zeros((mean.size, 3))
    score = np.full(mean.size, np.inf)
    grid = [np.geomspace(MIN_TAIL, MAX_TAIL, 9), np.linspace(-1, 1, 21), np.linspace(0.1, 1, 10)]
    trial = np.stack(np.meshgrid(*grid, indexing="ij"), axis=-1).reshape(1, -1, 3)
    _improve(best, score, trial, mean, sd, quantiles, max_cv)
    found = np.isfinite(score)
    pitch = np.array([0.25, 0.1, 0.1])
    step = np.stack(np.meshgrid(*[np.array([-1.0, 0.0, 1.0])] * 3, indexing="ij"), axis=-1)
    for _ in range(12):
        trial = np.repeat(best[:, None, :], 27, axis=1)
        moved = step.reshape(1, 27, 3) * pitch
        trial[..., 0] = np.clip(trial[..., 0] * np.exp(moved[..., 0]), MIN_TAIL, MAX_TAIL)
        trial[..., 1] += moved[..., 1]
        trial[..., 2] = np.clip(trial[..., 2] + moved[..., 2], 0.02, 1.0)
        before = score.copy()
        _improve(best, score, trial, mean, sd, quantiles, max_cv)
        if not np.any(score < 0.7 * before):
            pitch /= 2
    return CoreTail(best[:, 0], best[:, 1], best[:, 2]), found


def _improve(
    best: Floats, score: Floats, trial: Floats, mean: Floats, sd: Floats, quantiles: Floats,
    max_cv: Floats,
) -> None:  # fmt: skip
    """Put the best of ``trial`` (level or 1, trial, 3) into ``best`` where it scores lower."""
    law = CoreTail(trial[..., 0], trial[..., 1], trial[..., 2])
    possible = law.is_possible(max_cv[:, None])
    level, number = np.nonzero(possible)
    if level.size == 0:
        return
    chosen = trial[np.minimum(level, trial.shape[0] - 1), number]
    part = CoreTail(chosen[:, 0, None], chosen[:, 1, None], chosen[:, 2, None])
    share = part.cdf(quantiles[level], mean[level, None], sd[level, None])
    scores = np.full(possible.shape, np.inf)
    scores[level, number] = np.square(share - _PERCENTILES).sum(axis=1)
    winner = np.argmin(scores, axis=1)
    rows = np.arange(len(mean))
    lower = scores[rows, winner] < score
    score[lower] = scores[rows, winner][lower]
    best[lower] = trial[np.where(lower, rows, 0) % trial.shape[0], winner][lower]
