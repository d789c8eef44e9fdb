"""The generator of `imccircuit.surrogates.kernels.noise` in plain numpy: any key, no compiler."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

GROUP, LANES = 64, 16
_MASK = np.uint64(0xFFFFFFFF)


def philox4x32(counter: NDArray[np.uint32], key: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Philox 4×32 with 10 rounds of counters (…, 4) under keys (…, 2): words (…, 4)."""
    c = [np.asarray(counter[..., k], dtype=np.uint64) for k in range(4)]
    k0, k1 = (np.asarray(key[..., k], dtype=np.uint64) for k in range(2))
    for _ in range(10):
        first, second = np.uint64(0xD2511F53) * c[0], np.uint64(0xCD9E8D57) * c[2]
        c = [
            (second >> np.uint64(32)) ^ c[1] ^ k0,
            second & _MASK,
            (first >> np.uint64(32)) ^ c[3] ^ k1,
            first & _MASK,
        ]
        k0, k1 = (k0 + np.uint64(0x9E3779B9)) & _MASK, (k1 + np.uint64(0xBB67AE85)) & _MASK
    return np.stack(np.broadcast_arrays(*c), axis=-1).astype(np.uint32)


def draw_words(
    shape: tuple[int, int], *, seed: int, chip: int = 0, stream: int = 0, first_index: int = 0
) -> NDArray[np.uint32]:
    """Random words (vector, column, 2): of a column and of its partner in the pair.

    Columns whose number has bit 4 clear are the first of a pair and take the radius from their own
    word; the others take it from their partner's, 16 columns below.
    """
    rows, cols = shape
    column = np.arange(cols)
    vector = first_index + np.arange(rows)[:, None]
    counter = np.empty((rows, cols, 4), dtype=np.uint32)
    counter[..., 0] = LANES * (column // GROUP) + column % LANES + ((vector >> 32) << 16)
    counter[..., 1] = vector & 0xFFFFFFFF
    counter[..., 2], counter[..., 3] = stream, chip
    words = philox4x32(counter, np.array([seed & 0xFFFFFFFF, seed >> 32], dtype=np.uint32))
    own = (column // LANES) % 4
    pair = np.stack([own, own ^ 1], axis=-1)
    return np.asarray(np.take_along_axis(words, pair[None], axis=-1))


def draw_normals_twin(
    shape: tuple[int, int], *, seed: int, chip: int = 0, stream: int = 0, first_index: int = 0
) -> NDArray[np.float64]:
    """Normal variates (vector, column) in double precision, logarithm and angle by libm."""
    words = draw_words(shape, seed=seed, chip=chip, stream=stream, first_index=first_index)
    second = (np.arange(shape[1]) // LANES) % 2 == 1
    own, partner = words[..., 0].astype(np.float64), words[..., 1].astype(np.float64)
    radius = np.sqrt(-2.0 * np.log((np.where(second, partner, own) + 0.5) / 2.0**32))
    angle = 2.0 * np.pi * np.where(second, own, partner) / 2.0**32
    return np.asarray(radius * np.where(second, np.sin(angle), np.cos(angle)))
