"""The generator of `imccircuit.surrogates.kernels.noise` in plain numpy: any key, no compiler."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

GROUP, LANES = 128, 16
SLOPE = 0x278DDE6D
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
    """Random words (vector, column): columns whose numbers differ in bit 4 share theirs."""
    rows, cols = shape
    column = np.arange(cols)
    vector = first_index + np.arange(rows)[:, None]
    counter = np.empty((rows, cols, 4), dtype=np.uint32)
    counter[..., 0] = LANES * (column // GROUP) + column % LANES + ((vector >> 32) << 16)
    counter[..., 1] = vector & 0xFFFFFFFF
    counter[..., 2], counter[..., 3] = stream, chip
    words = philox4x32(counter, np.array([seed & 0xFFFFFFFF, seed >> 32], dtype=np.uint32))
    which = np.broadcast_to((column // (2 * LANES)) % 4, shape)
    return np.asarray(np.take_along_axis(words, which[..., None], axis=-1)[..., 0])


def normal_pairs(words: NDArray[np.uint32]) -> NDArray[np.float64]:
    """The two normal variates (…, 2) of words (…), in double precision, by libm."""
    # The share is of single precision in the kernel, too: near 1 it has no digits to spare.
    share = ((words >> 2).astype(np.float32) + np.float32(0.5)).astype(np.float64) / 2.0**30
    turn = (words * np.uint32(SLOPE)).view(np.int32)
    angle = np.pi / 4 + np.pi / 2 * turn.astype(np.float64) / 2.0**32
    radius = np.sqrt(-2.0 * np.log(share))
    signs = [1.0 - 2.0 * (words & 1), 1.0 - (words & 2)]
    return np.stack([signs[0] * radius * np.cos(angle), signs[1] * radius * np.sin(angle)], -1)


def draw_normals_twin(
    shape: tuple[int, int], *, seed: int, chip: int = 0, stream: int = 0, first_index: int = 0
) -> NDArray[np.float64]:
    """Normal variates (vector, column)."""
    words = draw_words(shape, seed=seed, chip=chip, stream=stream, first_index=first_index)
    second = (np.arange(shape[1]) // LANES) % 2 == 1
    pairs = normal_pairs(words)
    return np.asarray(np.where(second, pairs[..., 1], pairs[..., 0]))
