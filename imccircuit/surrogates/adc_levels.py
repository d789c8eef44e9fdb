"""Bit weights from levels, and levels from bit weights: S_d = Σ w_k b_k(d) + o."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from imccircuit.errors import UsageError
from imccircuit.surrogates.data import Measured


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


def predict_levels(weights_v: NDArray[np.float64], bits: int) -> NDArray[np.float64]:
    """Transition levels (chip, 2^bits - 1) in V of converters with these weights and offset."""
    from imccircuit.surrogates.kernels.tree import clip_tree

    levels = np.ascontiguousarray(weights_v @ design_matrix(np.arange(1, 2**bits), bits).T)
    clip_tree(levels)
    return levels


def design_matrix(codes: NDArray[np.int64], bits: int) -> NDArray[np.float64]:
    """Matrix (code, bits + 1) with level = matrix @ [weights, offset]."""
    switched = (codes[:, None] >> np.arange(bits)) & 1
    return np.column_stack([switched, np.ones(len(codes))]).astype(np.float64)
