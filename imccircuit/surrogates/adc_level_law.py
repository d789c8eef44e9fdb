"""Population of converters whose levels are no bit weights: mean and covariance of the levels.

There are more codes than chips, so the sample covariance S alone is singular and most of its
correlations are chance. It is shrunk towards a law with few numbers:

    Σ = (1 - λ) S + λ T,   T = W K W + L C Lᵀ .

K is what converters made of independent parts have: an error of each level for itself (the
comparators of a flash converter), and steps that each have an error between two references (the
resistors of its string, whose levels are a random walk that ends where it began),

    K_ij = σ_level² δ_ij + σ_step² (min(i, j) - i j / 2^bits) ,

which sine transforms make diagonal. L C Lᵀ is an offset and a gain: what straight lines, of which
K knows the weights (generalised least squares), vary more than K and chance make them, beyond the
edge (1 + √(2/(n - 1)))² of a Wishart matrix of n chips. W scales K, code by code, to the variance
about the line that was measured there, itself shrunk towards K's.

Both shrinkages are those of least expected square error (O. Ledoit and M. Wolf, J. Empirical
Finance 10, 603, 2003; for correlations and variances apart J. Schäfer and K. Strimmer, Stat. Appl.
Genet. Mol. Biol. 4, 32, 2005, and R. Opgen-Rhein and K. Strimmer, ibid. 6, 9, 2007): of the
correlations about the line

    λ = Σ var(r_ij) / Σ (r_ij - t_ij)²,   at most 1,

with var(r) from the influence function of a correlation. λ is 1 where chips do not contradict T.
σ_level and σ_step are fitted to the second differences of the levels, which have no line: the mean
powers of their sine transform, a Gamma regression. One that is less than three standard errors
from 0 is left out.

A drawn chip is its normal levels in ascending order. Levels cannot fall: the code is the number of
levels below the input, as that of a thermometer whose ones are counted, whatever their order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dst
from scipy.optimize import nnls

from imccircuit.surrogates.base import Model, ModelArray, Parameter

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]

MEAN, FACTOR, SCALE = "level_mean", "level_factor", "level_scale"
LEVEL_SIGMA, STEP_SIGMA, SHRINKAGE = "level_sigma", "step_sigma", "shrinkage"

# Correlations of two or three chips are ±1 or nearly so, whatever the law.
_FEWEST_FOR_CORRELATION = 4
# An error that is not this far from 0 is left out of the law.
_STANDARD_ERRORS = 3.0
# Second differences that a walk and independent errors can be told apart with.
_FEWEST_DIFFERENCES = 3
# Codes, evenly spread, at which correlations are compared: bounds time and memory.
_COMPARED = 255
_PASSES = 50
# Of the variance of lines: K has less only where levels are straight but for rounding.
_NOTHING = 1e-12


@dataclass(frozen=True)
class LevelLaw:
    """Normal law of the levels, Σ = FᵀF + W K W with W holding √λ.

    Attributes
    ----------
    mean_v : (code,) in V.
    factor_v : (factor, code) F in V: chips, offset and gain.
    scale : (code,) √λ W, no unit.
    level_v, step_v : σ_level and σ_step of K in V.
    """

    mean_v: Floats
    factor_v: Floats
    scale: Floats
    level_v: float
    step_v: float

    @classmethod
    def of(cls, model: Model) -> LevelLaw:
        """From a model's arrays and parameters."""
        arrays, parameters = model.arrays, model.parameters
        return cls(
            np.asarray(arrays[MEAN].values),
            np.asarray(arrays[FACTOR].values),
            np.asarray(arrays[SCALE].values),
            parameters[LEVEL_SIGMA].value,
            parameters[STEP_SIGMA].value,
        )

    @property
    def variates(self) -> int:
        """Normal variates of one chip."""
        return len(self.factor_v) + len(self.mean_v)

    def root(self) -> Floats:
        """Matrix R (variate, code) in V with Σ = RᵀR; as many numbers as the codes squared."""
        count = len(self.mean_v)
        sigma = np.sqrt(_powers(count, self.level_v, self.step_v))
        own = self.scale * _sines(np.diag(sigma))
        return np.vstack([self.factor_v, own])

    def draw(self, normal: NDArray[np.floating[Any]]) -> Floats:
        """Levels (chip, code) in V, ascending, from standard normal numbers (chip, variate)."""
        few = len(self.factor_v)
        sigma = np.sqrt(_powers(len(self.mean_v), self.level_v, self.step_v))
        own = _sines(sigma * normal[:, few:].astype(np.float64))
        drawn = self.mean_v + normal[:, :few] @ self.factor_v + self.scale * own
        return np.asarray(np.sort(drawn, axis=1))

    def times(self, vectors: Floats) -> Floats:
        """Covariance in V² times each of some vectors (vector, code)."""
        law = self.scale * _law_times(self.scale * vectors, self.level_v, self.step_v)
        return np.asarray((vectors @ self.factor_v.T) @ self.factor_v + law)

    def covariance(self, codes: Codes) -> Floats:
        """Covariance (code of these, code) in V² of some levels with all."""
        return self.times(_units(len(self.mean_v), codes - 1))

    def variance(self) -> Floats:
        """Variance (code,) in V²."""
        own = self.scale**2 * _law_variance(len(self.mean_v), self.level_v, self.step_v)
        return np.asarray(np.sum(self.factor_v**2, axis=0) + own)

    def predict(self, levels_v: Floats, codes: Codes) -> tuple[Floats, Floats]:
        """Conditional mean (chip, code) and σ (code,) in V of all levels, those of ``codes`` given.

        Parameters
        ----------
        levels_v : (chip, code) of all codes; only ``codes`` are looked at.
        """
        beside = self.covariance(codes)
        # Perhaps singular: of few chips, or where levels are bound to each other.
        gain = np.linalg.pinv(beside[:, codes - 1], rcond=1e-10, hermitian=True) @ beside
        mean = self.mean_v + (levels_v[:, codes - 1] - self.mean_v[codes - 1]) @ gain
        left = self.variance() - np.sum(gain * beside, axis=0)
        return mean, np.sqrt(np.maximum(left, 0.0))

    def problems(self) -> tuple[str, ...]:
        """What makes it no law, one line each."""
        numbers = (self.mean_v, self.factor_v, self.scale, self.level_v, self.step_v)
        if not all(np.all(np.isfinite(item)) for item in numbers):
            return ("a number of the population of levels is not finite",)
        return ("the mean levels fall",) if np.any(np.diff(self.mean_v) < 0) else ()


@dataclass(frozen=True)
class LevelFit:
    """A law, and how well its numbers are known.

    Attributes
    ----------
    law : the law.
    shrinkage : λ.
    level_error_v, step_error_v : standard errors in V of σ_level and σ_step; NaN where these
        chips do not tell them from 0.
    """

    law: LevelLaw
    shrinkage: float
    level_error_v: float
    step_error_v: float

    def arrays(self) -> dict[str, ModelArray]:
        """Arrays of a model."""
        law, dims = self.law, ("code",)
        about = "of the covariance of the levels, FᵀF + W K W"
        return {
            MEAN: ModelArray(law.mean_v, "V", dims, "mean of the levels"),
            FACTOR: ModelArray(law.factor_v, "V", ("factor", "code"), f"F {about}"),
            SCALE: ModelArray(law.scale, "1", dims, f"W {about}"),
        }

    def parameters(self) -> dict[str, Parameter]:
        """Parameters of a model, with standard errors."""
        found = []
        for name, value, error, what in (
            (LEVEL_SIGMA, self.law.level_v, self.level_error_v, "of each level for itself"),
            (STEP_SIGMA, self.law.step_v, self.step_error_v, "of each step for itself"),
        ):
            note = "these chips do not tell it from 0" if np.isnan(error) else what
            found.append(Parameter(name, value, "V", error, note))
        note = "weight of the law of these two beside the sample covariance"
        found.append(Parameter(SHRINKAGE, self.shrinkage, "1", 0.0, note))
        return {parameter.name: parameter for parameter in found}


def fit_levels(levels_v: Floats) -> LevelFit:
    """Law of two chips or more, of levels (chip, code) in V; see the module."""
    chips, count = levels_v.shape
    away = (levels_v - levels_v.mean(axis=0)) / np.sqrt(chips - 1)
    own = off_line(away)
    (level, step), errors = _fit_law(own)
    of_law = _variance_off_line(count, level, step)
    ratio = np.divide(np.sum(own**2, axis=0), of_law, out=np.zeros(count), where=of_law > 0)
    certain = _weight(2 / (chips - 1) * np.sum(ratio**2), float(np.sum((ratio - 1) ** 2)))
    scale = np.sqrt((1 - certain) * ratio + certain) * (of_law > 0)
    weight = _shrinkage(own, level, step)
    lines = _lines(away, scale, level, step)
    law = LevelLaw(
        mean_v=levels_v.mean(axis=0),
        factor_v=np.vstack([np.sqrt(1 - weight) * away, np.sqrt(weight) * lines]),
        scale=np.sqrt(weight) * scale,
        level_v=level,
        step_v=step,
    )
    return LevelFit(law, weight, *errors)


def line_basis(count: int) -> Floats:
    """Orthonormal vectors (2, code): every straight line over the codes is a sum of them."""
    code = np.arange(count, dtype=np.float64) - (count - 1) / 2
    return np.stack([np.full(count, count**-0.5), code / np.linalg.norm(code)])


def off_line(levels: Floats) -> Floats:
    """Levels (…, code) less the best straight line of each."""
    basis = line_basis(levels.shape[-1])
    return np.asarray(levels - (levels @ basis.T) @ basis)


def _sines(values: Floats) -> Floats:
    """Orthonormal sine transform of the last axis, its own inverse."""
    return np.asarray(dst(values, type=1, axis=-1, norm="ortho"))


def _angles(count: int) -> Floats:
    return np.pi * np.arange(1, count + 1) / (count + 1)


def _powers(count: int, level_v: float, step_v: float) -> Floats:
    """Eigenvalues (code,) of K in V²; the walk is the inverse of tridiag(-1, 2, -1)."""
    return np.asarray(level_v**2 + step_v**2 / (2 - 2 * np.cos(_angles(count))))


def _law_times(vectors: Floats, level_v: float, step_v: float) -> Floats:
    """K times each vector (vector, code)."""
    return _sines(_powers(vectors.shape[-1], level_v, step_v) * _sines(vectors))


def _law_variance(count: int, level_v: float, step_v: float) -> Floats:
    code = np.arange(1, count + 1)
    return np.asarray(level_v**2 + step_v**2 * code * (1 - code / (count + 1)))


def _variance_off_line(count: int, level_v: float, step_v: float) -> Floats:
    """Variance (code,) in V² that K has about straight lines, at least 0."""
    basis = line_basis(count)
    beside = _law_times(basis, level_v, step_v)
    found = _law_variance(count, level_v, step_v) - 2 * np.sum(basis * beside, axis=0)
    found += np.sum(((beside @ basis.T) @ basis) * basis, axis=0)
    return np.asarray(np.maximum(found, 0.0))


def _units(count: int, places: Codes) -> Floats:
    chosen = np.zeros((len(places), count))
    chosen[np.arange(len(places)), places] = 1.0
    return chosen


def _weight(chance: float, apart: float) -> float:
    """Of a target: expected square error of what was measured over its square distance."""
    return 1.0 if chance >= apart else chance / apart


def _lines(away: Floats, scale: Floats, level_v: float, step_v: float) -> Floats:
    """Factor (2, code) in V of offset and gain beyond what K makes of lines; see the module."""
    basis = line_basis(away.shape[1])
    power = _powers(away.shape[1], level_v, step_v)
    power = power if np.all(power > 0) else np.ones_like(power)
    weighted = _sines(_sines(basis) / power)
    # (2, code): what generalised least squares multiplies levels by.
    take = np.linalg.solve(weighted @ basis.T, weighted)
    of_law = (take * scale) @ _law_times(take * scale, level_v, step_v).T
    ends = away @ take.T
    if not np.trace(of_law) > _NOTHING * np.sum(ends**2):
        return np.asarray(np.linalg.qr(ends, mode="r") @ basis)
    root = np.linalg.cholesky(of_law)
    # In units of what K makes of lines: 1 and chance, whose edge is that of a Wishart matrix.
    own = np.linalg.solve(root, ends.T)
    value, vector = np.linalg.eigh(own @ own.T)
    certain = value > (1 + np.sqrt(2 / (len(away) - 1))) ** 2
    return np.asarray((root @ vector * np.sqrt(np.where(certain, value - 1, 0.0))).T @ basis)


def _fit_law(own: Floats) -> tuple[tuple[float, float], tuple[float, float]]:
    """σ_level and σ_step in V, and their standard errors.

    Parameters
    ----------
    own : (chip, code) levels about the mean over chips over √(chips - 1).
    """
    bends = np.diff(own, n=2, axis=1)
    count = bends.shape[1]
    angle = _angles(count)
    steps = 2 - 2 * np.cos(angle)
    # Of independent levels: tridiag(-1, 2, -1) squared, and 1 more at either end.
    table = np.column_stack([steps**2 + 4 / (count + 1) * np.sin(angle) ** 2, steps])
    table /= steps[:, None]
    power = np.sum(_sines(bends) ** 2, axis=0) / steps
    unit = float(power.mean())
    if not unit > 0:
        return (0.0, 0.0), (np.nan, np.nan)
    alone = count < _FEWEST_DIFFERENCES
    found, error = _regress(table * (1, not alone), power / unit, len(own))
    doubt = np.divide(error, found, out=np.full(2, np.inf), where=found > 0)
    if alone or doubt.max() > 1 / _STANDARD_ERRORS:
        # A walk that is not there would still make lines of independent errors wander.
        found, error = _regress(table * (doubt < doubt.max()), power / unit, len(own))
    level, step = np.sqrt(unit * found)
    known = [
        float(e * np.sqrt(unit / v) / 2) if v > 0 else np.nan
        for v, e in zip(found, error, strict=True)
    ]
    return (float(level), float(step)), (known[0], known[1])


def _regress(table: Floats, power: Floats, chips: int) -> tuple[Floats, Floats]:
    """Coefficients, at least 0, of mean powers of normal numbers, and their standard errors.

    Parameters
    ----------
    table : (power, coefficient); columns of zeros are left out.
    chips : number of chips; their mean is among what was estimated.
    """
    mean, found = np.ones(len(power)), np.zeros(2)
    for _ in range(_PASSES):
        before = found
        found = nnls(table / mean[:, None], power / mean)[0]
        mean = table @ found
        if np.allclose(found, before, rtol=1e-9, atol=0):
            break
    free = table / mean[:, None] * np.sqrt((chips - 1) / 2)
    return found, np.sqrt(np.diag(np.linalg.pinv(free.T @ free)))


def _shrinkage(own: Floats, level_v: float, step_v: float) -> float:
    """λ; see the module.

    Parameters
    ----------
    own : as in `_fit_law`.
    """
    chips, count = own.shape
    if chips < _FEWEST_FOR_CORRELATION:
        return 1.0
    places = np.unique(np.rint(np.linspace(0, count - 1, min(count, _COMPARED))).astype(np.int64))
    of_law = np.sqrt(_variance_off_line(count, level_v, step_v))
    places = places[(of_law[places] > 0) & (np.ptp(own[:, places], axis=0) > 0)]
    if len(places) < 2:
        return 1.0
    target = off_line(_law_times(off_line(_units(count, places)), level_v, step_v))[:, places]
    target /= np.outer(of_law[places], of_law[places])
    z = own[:, places] / np.sqrt(np.sum(own[:, places] ** 2, axis=0))
    found = z.T @ z
    # z_i z_j - r (z_i² + z_j²)/2 is what one chip moves a correlation by.
    spread = 0.0
    for row in z:
        square = row**2
        moved = np.outer(row, row) - found * (square[:, None] + square) / 2
        spread += float(np.sum(moved**2))
    return _weight(spread * chips / (chips - 1), float(np.sum((found - target) ** 2)))
