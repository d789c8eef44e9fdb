"""Least squares with numbers that all cells share and numbers that each cell has of its own.

Levenberg and Marquardt's method; the own numbers of each cell meet only that cell's data, so they
are eliminated cell by cell (Schur complement) and a step costs no more than a small dense system.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_MOST_STEPS = 60
# Steps that lower the cost by less than this share, or residuals this small, end the search.
_SETTLED = 1e-4
_EXACT = 1e-13
_MOST_DAMPING = 1e10


@dataclass(frozen=True)
class BlockFit:
    """Result of `fit_blocks`.

    Attributes
    ----------
    shared : (p,) numbers.
    own : (cell, q) numbers.
    sigma : (p,) standard deviations of the shared ones, from the scatter that is left; NaN where
        the data do not tell, 0 where nothing was fitted.
    rms : root mean square of the residuals.
    """

    shared: Floats
    own: Floats
    sigma: Floats
    rms: float


def fit_blocks(
    residual: Callable[[Floats, Floats], Floats],
    jacobian: Callable[[Floats, Floats, int], tuple[Floats, Floats]],
    shared: Floats,
    own: Floats,
    *,
    prior_shared: Floats,
    prior_own: Floats,
    fix_shared: bool = False,
) -> BlockFit:
    """Minimise the sum of squares of ``residual`` over shared and own numbers.

    Parameters
    ----------
    residual : (shared, own) → (cell, point).
    jacobian : (shared, own, p) → its derivatives by the first p shared numbers, (cell, point, p),
        and by the own ones, (cell, point, q).
    shared, own : start values, (p,) and (cell, q).
    prior_shared, prior_own : (p,) and (q,) weights that hold the numbers near their start: the
        sum of squares of weight·(number − start) is added. 0 for none.
    fix_shared : fit only the own numbers.
    """
    if fix_shared:
        found = _fit_each(residual, jacobian, shared, own, prior_own)
        return BlockFit(shared, found[0], np.zeros(len(shared)), found[1])
    start_shared, start_own = shared, own
    weight_s, weight_o = np.square(prior_shared), np.square(prior_own)

    def cost(s: Floats, o: Floats, r: Floats) -> float:
        pull = np.sum(weight_s * (s - start_shared) ** 2) + np.sum(weight_o * (o - start_own) ** 2)
        return float(np.sum(r**2) + pull)

    r = residual(shared, own)
    now, damping = cost(shared, own, r), 1e-3
    p = len(shared)
    for _ in range(_MOST_STEPS):
        js, jo = jacobian(shared, own, p)
        gain = 0.0
        while damping < _MOST_DAMPING:
            ds, do = _step(
                js, jo, r, damping, (weight_s[:p], weight_o),
                (weight_s * (shared - start_shared))[:p], weight_o * (own - start_own),
            )  # fmt: skip
            new_s = shared.copy()
            new_s[:p] += ds
            new_o = own + do
            new_r = residual(new_s, new_o)
            tried = cost(new_s, new_o, new_r)
            if np.isfinite(tried) and tried <= now:
                gain = (now - tried) / max(now, 1e-300)
                shared, own, r, now = new_s, new_o, new_r, tried
                damping = max(damping / 5, 1e-12)
                break
            damping *= 4
        if gain < _SETTLED or np.max(np.abs(r)) < _EXACT:
            break
    js, jo = jacobian(shared, own, p)
    sigma = _sigma(js, jo, r, weight_s[:p], weight_o)
    full = np.zeros(len(shared))
    full[:p] = sigma
    return BlockFit(shared, own, full, float(np.sqrt(np.mean(r**2))))


def _fit_each(
    residual: Callable[[Floats, Floats], Floats],
    jacobian: Callable[[Floats, Floats, int], tuple[Floats, Floats]],
    shared: Floats,
    own: Floats,
    prior_own: Floats,
) -> tuple[Floats, float]:
    """Own numbers alone, and the rms of the residuals.

    The cells are independent then, so each has its own damping and takes its own steps: none can
    run away while the others improve the sum.
    """
    start, weight = own, np.square(prior_own)
    unit = np.eye(own.shape[1])

    def cost(o: Floats, r: Floats) -> Floats:
        total = np.sum(r**2, axis=1) + np.sum(weight * (o - start) ** 2, axis=1)
        return np.asarray(np.where(np.isfinite(total), total, np.inf))

    r = residual(shared, own)
    now, damping = cost(own, r), np.full(len(own), 1e-3)
    for _ in range(_MOST_STEPS):
        jo = jacobian(shared, own, 0)[1]
        c = np.einsum("cnp,cnq->cpq", jo, jo) + np.diag(weight)
        size = np.einsum("cpp->cp", c)[:, :, None] * unit
        h = -np.einsum("cnq,cn->cq", jo, r) - weight * (own - start)
        step = np.linalg.solve(c + damping[:, None, None] * size + 1e-14 * unit, h[..., None])
        tried_own = own + step[..., 0]
        tried_r = residual(shared, tried_own)
        tried = cost(tried_own, tried_r)
        better = tried <= now
        gain = np.where(better, (now - tried) / np.maximum(now, 1e-300), 1.0)
        own, r = np.where(better[:, None], tried_own, own), np.where(better[:, None], tried_r, r)
        now = np.where(better, tried, now)
        exact = np.max(np.abs(r), axis=1) < _EXACT
        if np.all((better & (gain < _SETTLED)) | exact | (damping > _MOST_DAMPING)):
            break
        damping = np.where(better, np.maximum(damping / 5, 1e-12), damping * 4)
    return own, float(np.sqrt(np.mean(r**2)))


def _step(
    js: Floats, jo: Floats, r: Floats, damping: float, weights: tuple[Floats, Floats],
    pull_s: Floats, pull_o: Floats,
) -> tuple[Floats, Floats]:  # fmt: skip
    """Move of shared and own numbers."""
    a = np.einsum("cnp,cnq->pq", js, js) + np.diag(weights[0])
    b = np.einsum("cnp,cnq->cpq", js, jo)
    c = np.einsum("cnp,cnq->cpq", jo, jo) + np.diag(weights[1])
    a = a + damping * np.diag(np.diag(a)) + 1e-14 * np.eye(len(a))
    q = c.shape[-1]
    c = c + damping * np.einsum("cpp->cp", c)[:, :, None] * np.eye(q) + 1e-14 * np.eye(q)
    g = -np.einsum("cnp,cn->p", js, r) - pull_s
    h = -np.einsum("cnq,cn->cq", jo, r) - pull_o
    inner = np.linalg.solve(c, h[..., None])[..., 0]
    if len(a) == 0:
        return g, inner
    coupling = np.linalg.solve(c, np.swapaxes(b, 1, 2))
    schur = a - np.einsum("cpq,cqr->pr", b, coupling)
    right = g - np.einsum("cpq,cq->p", b, inner)
    ds = np.linalg.lstsq(schur, right, rcond=1e-14)[0]
    return ds, inner - np.einsum("cqp,p->cq", coupling, ds)


def _sigma(js: Floats, jo: Floats, r: Floats, weight_s: Floats, weight_o: Floats) -> Floats:
    if js.shape[-1] == 0:
        return np.zeros(0)
    b = np.einsum("cnp,cnq->cpq", js, jo)
    c = np.einsum("cnp,cnq->cpq", jo, jo) + np.diag(weight_o) + 1e-14 * np.eye(jo.shape[-1])
    schur = np.einsum("cnp,cnq->pq", js, js) + np.diag(weight_s)
    schur = schur - np.einsum("cpq,cqr->pr", b, np.linalg.solve(c, np.swapaxes(b, 1, 2)))
    freedom = r.size - js.shape[-1] - jo.shape[0] * jo.shape[-1]
    if freedom < 1:
        return np.full(js.shape[-1], np.nan)
    variance = np.diag(np.linalg.pinv(schur, hermitian=True)) * np.sum(r**2) / freedom
    return np.asarray(np.sqrt(np.maximum(variance, 0.0)))
