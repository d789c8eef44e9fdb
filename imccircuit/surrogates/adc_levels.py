"""Bit weights from levels, and levels from bit weights: S_d = Σ w_k b_k(d) + o + c_d.

c_d is what all converters of a population share beyond their weights: the curvature that the
junctions of transistor switches bend into the charge. Of ideal switches it is nothing.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from imccircuit.errors import UsageError
from imccircuit.surrogates.base import Parameter
from imccircuit.surrogates.data import Measured

_STANDARD_ERRORS = 3.0


def forced_levels(measured: Measured) -> NDArray[np.float64]:
    """Levels (chip, code) in V of forced codes; of a converter that only converts, all there is.

    Raises
    ------
    UsageError : these are not the results of a converter.
    """
    for name in ("forced_level", "transition_level"):
        if name in measured.arrays:
            return np.asarray(measured.arrays[name])
    raise UsageError(f"{measured.results.path} holds no converter")


def fit_weights(
    forced_v: NDArray[np.float64], bits: int, codes: NDArray[np.int64] | None = None
) -> NDArray[np.float64]:
    """Bit weights, lowest first, and offset (chip, bits + 1) in V from forced levels in V.

    Least squares of S_d = Σ w_k b_k(d) + o over ``codes``, all by default.

    Parameters
    ----------
    forced_v : (chip, 2^bits - 1) levels of all forced codes.
    """
    used = np.arange(1, 2**bits) if codes is None else codes
    design = design_matrix(used, bits)
    solution = np.linalg.lstsq(design, forced_v[:, used - 1].T, rcond=None)[0]
    return np.asarray(solution.T)


def shared_level(
    forced_v: NDArray[np.float64], weights_v: NDArray[np.float64], least_v: float
) -> NDArray[np.float64] | None:
    """Curvature c_d (code,) in V that converters share, the mean of what their weights leave.

    None where chips do not share it: where its rms over the codes is below three of its standard
    errors, as of errors that each chip has for itself, or all of it below ``least_v``.

    Parameters
    ----------
    forced_v, weights_v : (chip, code) and (chip, bits + 1), as of `fit_weights` over all codes.
    least_v : what the null method may leave, in V.
    """
    codes = np.arange(1, forced_v.shape[1] + 1)
    bits = weights_v.shape[1] - 1
    left = forced_v - weights_v @ design_matrix(codes, bits).T
    shared = np.asarray(np.mean(left, axis=0))
    error = np.std(left, axis=0, ddof=1) / np.sqrt(len(left))
    certain = np.sum(shared**2) > (_STANDARD_ERRORS**2) * np.sum(error**2)
    return shared if certain and np.max(np.abs(shared)) >= least_v else None


def predict_forced(
    weights_v: NDArray[np.float64], bits: int, shared_v: NDArray[np.float64] | None = None
) -> NDArray[np.float64]:
    """Levels (chip, 2^bits - 1) in V of forced codes, of converters with these weights and offset.

    Parameters
    ----------
    shared_v : (code,) curvature in V of all of them, None for none.
    """
    levels = weights_v @ design_matrix(np.arange(1, 2**bits), bits).T
    return np.ascontiguousarray(levels if shared_v is None else levels + shared_v)


def predict_levels(
    weights_v: NDArray[np.float64], bits: int, shared_v: NDArray[np.float64] | None = None
) -> NDArray[np.float64]:
    """Transition levels (chip, 2^bits - 1) in V: those of `predict_forced` that a search has."""
    from imccircuit.surrogates.kernels.tree import clip_tree

    levels = predict_forced(weights_v, bits, shared_v)
    clip_tree(levels)
    return levels


def weight_parameters(
    weights_v: NDArray[np.float64], forced_v: NDArray[np.float64]
) -> dict[str, Parameter]:
    """``bit_weight_0`` and so on and ``offset`` with standard errors, and ``offset_sigma``, in V.

    Of many chips means, with the error that their spread gives; ``offset_sigma`` is that spread of
    the offset. Of one chip its own, with the error that the residual of its levels gives.

    Parameters
    ----------
    weights_v, forced_v : (chip, bits + 1) and (chip, code) of the fitted chips, as of
        `fit_weights` over all codes.
    """
    chips, count = weights_v.shape
    names = [*(f"bit_weight_{k}" for k in range(count - 1)), "offset"]
    note = ""
    if chips > 1:
        spread = weights_v.std(axis=0, ddof=1)
        error = spread / np.sqrt(chips)
    else:
        design = design_matrix(np.arange(1, forced_v.shape[1] + 1), count - 1)
        left = forced_v[0] - design @ weights_v[0]
        free = len(left) - count
        inverse = np.linalg.pinv(design.T @ design)
        error = np.sqrt(np.diag(inverse) * np.sum(left**2) / free) if free > 0 else np.nan
        error = np.broadcast_to(error, count)
        note = "" if free > 0 else "as many levels as weights: its error is not known"
    found = [
        Parameter(name, float(value), "V", float(sigma), note)
        for name, value, sigma in zip(names, weights_v.mean(axis=0), error, strict=True)
    ]
    if chips > 1:
        known = float(spread[-1] / np.sqrt(2 * (chips - 1)))
        text = "" if chips > count else (
            f"of {chips} chips the covariance of {count} parameters has not full rank: what else "
            "varies is not known"
        )  # fmt: skip
        found.append(Parameter("offset_sigma", float(spread[-1]), "V", known, text))
    return {parameter.name: parameter for parameter in found}


def is_weight_parameter(name: str) -> bool:
    """Whether a parameter is one of `weight_parameters`."""
    return name.startswith("bit_weight_") or name in ("offset", "offset_sigma")


def design_matrix(codes: NDArray[np.int64], bits: int) -> NDArray[np.float64]:
    """Matrix (code, bits + 1) with level = matrix @ [weights, offset]."""
    switched = (codes[:, None] >> np.arange(bits)) & 1
    return np.column_stack([switched, np.ones(len(codes))]).astype(np.float64)
