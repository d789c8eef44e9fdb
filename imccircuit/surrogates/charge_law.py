"""Law of charge-domain columns, and its fit to outputs alone.

Output of a chip's column, N cells, p the products that are one, k their number, u = k/N:

    V = Σ p_i·W_i + O + o + Σ_m a_m·B_m .

W_i = (G/N)·(1 + ε_i)/(1 + s·mean ε) is charge conservation: G is the output with all products one,
s = G/V_DD = ΣC/(ΣC + C_par), and ε_i how much a cell's capacitor differs from the mean. O is common
to all, o a column's own. The residual B_m = u(1 − u)·T_m(2u − 1), and the share of rows that are
active without a product, are what transistors that switch add; ideal switches have neither.

To first order W_i = (G/N)(1 + δ_i) with the covariance σ_C²·(1 − (2s − s²)/N·11ᵀ): so outputs are
jointly Gaussian, and σ_C, the spread of o and what is left (the solver's noise) follow from
restricted maximum likelihood; G, O and a_m by generalized least squares; δ_i of a chip as the
conditional mean given its outputs, which a few vectors pull little from 0 and N of them determine.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve, cholesky, solve_triangular
from scipy.optimize import minimize

Floats = NDArray[np.float64]

# Transmission gates stop conducting one after the other along the range, which leaves knees: at 64
# cells 0.018 LSB with 6 terms, 0.006 with 16, 0.0014 with 20.
RESIDUAL_ORDER = 20
# Standard deviations: of capacitors (1), of offsets and of the solver (steps of one product).
_LEAST = np.array([1e-6, 1e-6, 1e-6])
_MOST = np.array([0.3, 30.0, 3.0])
# Of a covariance's largest entry, for each of its rows: what a Cholesky factor rounds.
_ROUNDING = 4 * float(np.finfo(float).eps)
# The search begins at each of these: from one alone it stops halfway where nothing is left over.
_STARTS = tuple(
    np.array(start) for start in ((3e-3, 1e-4, 1e-5), (3e-3, 1e-2, 1e-2), (1e-5, 1e-4, 1e-3))
)


@dataclass(frozen=True)
class ChargeLaw:
    """Common law and population.

    Attributes
    ----------
    coefficients : of `design`'s columns, in V: O, G, then the residual's; NaN has none.
    coefficient_covariance : (term, term) of their errors in V²; 0 of terms that were not fitted.
    sigmas : of capacitors (relative), of offsets and of what is left (steps of G/N).
    sigma_errors : their standard deviations; NaN where the data do not tell them from 0.
    supply_v : supply.
    rows : N.
    """

    coefficients: Floats
    coefficient_covariance: Floats
    sigmas: Floats
    sigma_errors: Floats
    supply_v: float
    rows: int

    @property
    def step_v(self) -> float:
        """What one product more moves the output, in V."""
        return float(self.coefficients[1] / self.rows)

    @property
    def share(self) -> float:
        """ΣC/(ΣC + C_par)."""
        return float(self.coefficients[1] / self.supply_v)

    def covariance(self, one: Floats, other: Floats | None = None) -> Floats:
        """Covariance (vector, vector) of outputs in steps², but for the solver's noise.

        Parameters
        ----------
        one, other : (vector, row) products of a column.
        """
        other = one if other is None else other
        pull = (2 * self.share - self.share**2) / self.rows
        shared = one @ other.T - pull * np.outer(one.sum(axis=1), other.sum(axis=1))
        return np.asarray(self.sigmas[0] ** 2 * shared + self.sigmas[1] ** 2)

    def noisy(self, products: Floats) -> Floats:
        """Covariance (vector, vector) of a column's outputs in steps², the solver's noise in it.

        Vectors that are alike differ by that noise alone, which may be below the rounding of what
        their cells share; then it is that rounding.
        """
        kernel = self.covariance(products)
        rounding = _ROUNDING * len(products) * float(np.diag(kernel).max())
        noise = max(self.sigmas[2] ** 2, rounding)
        return np.asarray(kernel + noise * np.eye(len(products)))

    def mean(self, design: Floats) -> Floats:
        """Outputs in V of a nominal column; ``design`` (…, term)."""
        return np.asarray(design @ self.coefficients)

    def cells(self, products: Floats, left_v: Floats) -> tuple[Floats, Floats]:
        """Conditional mean of δ (chip, row) and of the offset (chip,) in V of a column.

        Parameters
        ----------
        products : (vector, row).
        left_v : (chip, vector) outputs less `mean`.
        """
        kernel = self.noisy(products)
        pulled = cho_solve(cho_factor(kernel), left_v.T / self.step_v).T
        pull = (2 * self.share - self.share**2) / self.rows
        raw = pulled @ products
        delta = self.sigmas[0] ** 2 * (raw - pull * raw.sum(axis=1, keepdims=True))
        return delta, self.sigmas[1] ** 2 * self.step_v * pulled.sum(axis=1)

    def remaining(self, new: tuple[Floats, Floats], known: tuple[Floats, Floats]) -> Floats:
        """Covariance (vector, vector) in steps² of outputs, given those of ``known`` vectors.

        Errors of the coefficients are in it. They are the same for all chips and columns.

        Parameters
        ----------
        new, known : products (vector, row) and design (vector, term) of a column.
        """
        kernel = self.noisy(known[0])
        cross = self.covariance(new[0], known[0])
        pull = cho_solve(cho_factor(kernel), cross.T).T
        left = self.covariance(new[0]) - pull @ cross.T
        tilt = (new[1] - pull @ known[1]) / self.step_v
        shared = tilt @ self.coefficient_covariance @ tilt.T
        return np.asarray(left + shared + self.sigmas[2] ** 2 * np.eye(len(new[0])))


def design(rows: int, share: Floats, active: Floats, order: int) -> Floats:
    """Terms (vector, col, 2 + order + 1) of the law: 1, u, residual B_m, idle active rows.

    Parameters
    ----------
    rows : cells of a column, N.
    share : (vector, col) products that are one over N, u.
    active : (vector,) rows whose input is one.
    order : number of B_m; 0 leaves the idle rows out as well.
    """
    terms = [np.ones_like(share), share]
    if order:
        angle = np.arccos(np.clip(2 * share - 1, -1, 1))
        terms += [share * (1 - share) * np.cos(m * angle) for m in range(order)]
        terms.append(active[:, None] / rows - share)
    return np.stack(terms, axis=-1)


def usable_terms(table: Floats) -> NDArray[np.bool_]:
    """Which of ``table``'s terms (vector, col, term) the vectors tell from those before them.

    No more than half as many as there are different points: else noise is fitted.
    """
    points = np.unique(np.round(table.reshape(-1, table.shape[-1]), 9), axis=0)
    good = np.zeros(table.shape[-1], dtype=bool)
    for term in range(table.shape[-1]):
        chosen = points[:, good]
        left = points[:, term]
        if chosen.size:
            left = left - chosen @ np.linalg.lstsq(chosen, left, rcond=None)[0]
        room = good.sum() < max(2, len(points) // 2)
        good[term] = room and bool(np.linalg.norm(left) > 1e-3 * np.sqrt(len(points)) / 10)
    return good


def fit_law(
    output_v: Floats, products: Floats, active: Floats, supply_v: float, order: int
) -> ChargeLaw:
    """Law of outputs (chip, vector, col) in V for products (vector, row, col).

    Parameters
    ----------
    active : (vector,) rows whose input is one.
    order : of the residual, 0 for ideal switches.
    """
    rows = products.shape[1]
    whole = design(rows, products.sum(axis=1) / rows, active, order)
    used = usable_terms(whole)
    table = whole[..., used]
    first_fit = np.linalg.lstsq(
        table.reshape(-1, table.shape[-1]), output_v.mean(axis=0).ravel(), rcond=None
    )[0]
    coefficients = np.zeros(len(used))
    coefficients[used] = first_fit
    # Less the first fit: squares of whole outputs would drown the solver's noise in rounding.
    left_v = output_v - table @ first_fit
    law = ChargeLaw(coefficients, np.full(len(used), np.nan), _LEAST, _LEAST, supply_v, rows)
    columns = [np.ascontiguousarray(products[:, :, j]) for j in range(products.shape[2])]

    def cost(logs: Floats) -> float:
        return _likelihood(replace(law, sigmas=np.exp(logs)), left_v, columns, table)[0]

    # Of a single column its own offset is the common one.
    alone = output_v.shape[0] * output_v.shape[2] == 1
    # Of one chip and few vectors, cells that differ would take the place of a bend in the law.
    alike = len(output_v) == 1 and len(products) < rows
    most = np.where([alike, alone, False], 1.01 * _LEAST, _MOST)
    bounds = list(zip(np.log(_LEAST), np.log(most), strict=True))
    tried = [
        minimize(
            cost, np.clip(np.log(start), *np.transpose(bounds)), method="L-BFGS-B",
            bounds=bounds, options={"ftol": 1e-11},
        )
        for start in _STARTS
    ]  # fmt: skip
    best = np.asarray(min(tried, key=lambda found: float(found.fun)).x)
    law = replace(law, sigmas=np.exp(best))
    _, beta, variance = _likelihood(law, left_v, columns, table)
    coefficients, spread = np.zeros(len(used)), np.zeros((len(used),) * 2)
    coefficients[used], spread[np.ix_(used, used)] = first_fit + beta, variance
    return replace(
        law,
        coefficients=coefficients,
        coefficient_covariance=spread,
        sigma_errors=np.exp(best) * _log_errors(cost, best),
    )


def _likelihood(
    law: ChargeLaw, left_v: Floats, columns: list[Floats], table: Floats
) -> tuple[float, Floats, Floats]:
    """Minus the restricted log-likelihood, coefficients in V and their covariance in V²."""
    chips, step, terms = len(left_v), law.step_v, table.shape[-1]
    whitened = []
    total = terms * np.log(chips)
    for j, products in enumerate(columns):
        factor = cholesky(law.noisy(products), lower=True)
        both = np.column_stack([table[:, j], left_v[:, :, j].T / step])
        whitened.append(solve_triangular(factor, both, lower=True))
        total += 2 * chips * np.log(np.diag(factor)).sum()
    # By orthogonal factors: the terms' own products would square a condition that is bad enough.
    basis, seen = np.split(np.concatenate(whitened), [terms], axis=1)
    q, r = np.linalg.qr(basis)
    beta = solve_triangular(r, q.T @ seen.mean(axis=1))
    total += float(np.sum((seen - (basis @ beta)[:, None]) ** 2))
    total += 2 * np.log(np.abs(np.diag(r))).sum()
    root = solve_triangular(r, np.eye(terms))
    variance = root @ root.T * (step**2 / chips)
    return float(total) / 2, np.asarray(beta * step, dtype=np.float64), variance


def _log_errors(cost: Callable[[Floats], float], best: Floats) -> Floats:
    """Standard deviation of each log σ from the curvature of the likelihood; NaN at a bound."""
    found = np.full(len(best), np.nan)
    for index in range(len(best)):
        move = np.zeros(len(best))
        move[index] = 0.05
        bend = (cost(best + move) - 2 * cost(best) + cost(best - move)) / 0.05**2
        if bend > 1 and best[index] > np.log(3 * _LEAST[index]):
            found[index] = bend**-0.5
    return found
