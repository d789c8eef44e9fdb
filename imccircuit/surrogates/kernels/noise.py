"""Noise of conversions: a counter-based generator, compiled.

Every draw is a function of its key alone, so it is the same for any split of a batch and any
number of threads, and a draw that nobody looks at need not be made.

Key
---
Philox 4×32 with 10 rounds [1]_. Its key is the seed (64 bits); its counter is made of chip,
stream, index of the vector and column:

========  ================================================================================
word      holds
========  ================================================================================
0         16 (column // 64) + column % 16, and bits 32 to 47 of the vector's index above it
1         bits 0 to 31 of the vector's index
2         stream
3         chip
========  ================================================================================

Each block answers four columns, 16 apart: word (column // 16) % 4 belongs to ``column``. So 64
columns are 16 blocks side by side in vector registers, and their draws leave in order.

Normal variates come from the words in pairs by Box and Muller [2]_: u = (x + 1/2) / 2³² of one
word gives the radius √(-2 ln u), the other, as a signed share of a turn, the angle. The largest
variate is √(2 ln 2³³) = 6.76: the power beyond is 1e-11 of all.

Logarithm, sine and cosine are polynomials in single precision, of multiplications and additions in
a fixed order that the compiler may not fuse; so a stored seed gives the same bits everywhere. The
twin is `imccircuit.surrogates.kernels.noise_twin`.

References
----------
.. [1] J. Salmon, M. Moraes, R. Dror, D. Shaw, "Parallel random numbers: as easy as 1, 2, 3",
   Proc. SC11, 2011.
.. [2] G. Box, M. Muller, "A note on the generation of random normal deviates", Ann. Math. Statist.
   29, 610, 1958. The polynomials are those of S. Moshier's Cephes, single precision.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from imccircuit.errors import UsageError

GROUP = 64
"""Columns that are drawn together."""
LANES = 16
LARGEST = 6.77
"""No normal variate is larger than this."""

SAMPLED = 0
"""Stream of the noise that a conversion draws once."""
DECISION = 1
"""Stream of the decision on bit 0; that on bit k is k further."""

MOST_COLUMNS = 2**18
MOST_VECTORS = 2**48

_M0, _M1 = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
_W0, _W1 = np.uint32(0x9E3779B9), np.uint32(0xBB67AE85)

Uint32 = NDArray[np.uint32]
Float32 = NDArray[np.float32]


@dataclass(frozen=True)
class ConversionNoise:
    """Noise of conversions, and the key of its draws.

    Attributes
    ----------
    seed : of the generator, 64 bits.
    sampled_v : σ in V at the input of what is drawn once a conversion (sampled charge, a ramp).
    decision_v : σ in V at the input of what is drawn in each bit decision (a comparator).
    chip : index of the chip.
    first_index : index of the first vector of the batch; a batch in parts gives the same codes if
        each part says where it starts.
    """

    seed: int
    sampled_v: float = 0.0
    decision_v: float = 0.0
    chip: int = 0
    first_index: int = 0

    @property
    def key(self) -> Uint32:
        """Key (2,) of the generator."""
        return seed_key(self.seed)

    def check(self, count: int, columns: int) -> None:
        """Refuse a key or a σ that does not fit ``count`` vectors of ``columns``.

        Raises
        ------
        UsageError : it does not.
        """
        check_key(self.seed, self.chip, 0, self.first_index, columns)
        check_key(self.seed, self.chip, 0, self.first_index + count, columns)
        for name, sigma in (("sampled_v", self.sampled_v), ("decision_v", self.decision_v)):
            if not 0.0 <= sigma < math.inf:
                raise UsageError(f"{name} must be finite and not negative, it is {sigma}")


@njit(cache=True, inline="always")
def _round(c0, c1, c2, c3, k0, k1):  # type: ignore[no-untyped-def]
    first, second = _M0 * np.uint64(c0), _M1 * np.uint64(c2)
    return (
        np.uint32(second >> np.uint64(32)) ^ c1 ^ k0,
        np.uint32(second),
        np.uint32(first >> np.uint64(32)) ^ c3 ^ k1,
        np.uint32(first),
    )


@njit(cache=True)
def philox_group(counter: Uint32, key: Uint32, words: Uint32) -> None:
    """Blocks of 16 counters that differ in word 0 by 0 … 15.

    Parameters
    ----------
    counter : (4,) words of the first counter; its word 0 is a multiple of 16.
    key : (2,) words of the key.
    words : (64,) the answer: word w of block j at 16 w + j. May be the memory of the counter.
    """
    start0, start1, start2, start3 = counter[0], counter[1], counter[2], counter[3]
    key0, key1 = key[0], key[1]
    for j in range(LANES):
        c0 = np.uint32(start0 + np.uint32(j))
        c1, c2, c3 = np.uint32(start1), np.uint32(start2), np.uint32(start3)
        k0, k1 = np.uint32(key0), np.uint32(key1)
        for _ in range(10):
            c0, c1, c2, c3 = _round(c0, c1, c2, c3, k0, k1)
            c0, c1, c2, c3 = np.uint32(c0), np.uint32(c1), np.uint32(c2), np.uint32(c3)
            k0, k1 = np.uint32(k0 + _W0), np.uint32(k1 + _W1)
        words[j] = c0
        words[LANES + j] = c1
        words[2 * LANES + j] = c2
        words[3 * LANES + j] = c3


@njit(cache=True, inline="always")
def _log_of_share(word):  # type: ignore[no-untyped-def]
    """Logarithm of (word + 1/2) / 2³², word from 0 to 2³² - 1."""
    real = np.float32(word) + np.float32(0.5)
    bits = np.float32(real).view(np.int32)
    # real = mantissa 2^exponent with a mantissa between √½ and √2
    exponent = np.int32((bits - np.int32(0x3F3504F3)) >> np.int32(23))
    mantissa = np.int32(bits - np.int32(exponent << np.int32(23))).view(np.float32)
    # Near 1 what is missing to 1 has more digits than the share itself.
    missing = (np.float32(np.uint32(~word)) + np.float32(0.5)) * np.float32(2.0**-32)
    near = word >= np.uint32(0xB504F400)
    x = -missing if near else mantissa - np.float32(1.0)
    scale = np.float32(0.0) if near else np.float32(exponent - np.int32(32))
    p = np.float32(7.0376836292e-2)
    p = p * x + np.float32(-1.1514610310e-1)
    p = p * x + np.float32(1.1676998740e-1)
    p = p * x + np.float32(-1.2420140846e-1)
    p = p * x + np.float32(1.4249322787e-1)
    p = p * x + np.float32(-1.6668057665e-1)
    p = p * x + np.float32(2.0000714765e-1)
    p = p * x + np.float32(-2.4999993993e-1)
    p = p * x + np.float32(3.3333331174e-1)
    square = x * x
    # ln 2 in two parts: the first times any exponent is exact.
    log = p * x * square + scale * np.float32(-2.12194440e-4)
    log = log - np.float32(0.5) * square
    return x + log + scale * np.float32(0.693359375)


@njit(cache=True, inline="always")
def _unit_vector(word):  # type: ignore[no-untyped-def]
    """Cosine and sine of word / 2³² turns."""
    turn = np.int32(word)
    # The nearest quarter of a turn, and what is left, -π/4 to π/4.
    quarter = np.int32(np.int32(turn >> np.int32(29)) + np.int32(1)) >> np.int32(1)
    rest = np.int32(turn - np.int32(quarter << np.int32(30)))
    a = np.float32(rest) * np.float32(2.0 * math.pi / 2**32)
    z = a * a
    s = np.float32(-1.9515295891e-4) * z + np.float32(8.3321608736e-3)
    s = (s * z + np.float32(-1.6666654611e-1)) * z * a + a
    c = np.float32(2.443315711809948e-5) * z + np.float32(-1.388731625493765e-3)
    c = (c * z + np.float32(4.166664568298827e-2)) * z * z
    c = c - np.float32(0.5) * z + np.float32(1.0)
    swap = np.int32(quarter & np.int32(1)) != np.int32(0)
    cosine, sine = (s if swap else c), (c if swap else s)
    # cos is negative in quarters 1 and 2, sin in quarters 2 and 3 (and -1, -2 as 3, 2).
    cosine = (
        -cosine
        if np.int32(np.int32(quarter + np.int32(1)) & np.int32(2)) != np.int32(0)
        else cosine
    )
    sine = -sine if np.int32(quarter & np.int32(2)) != np.int32(0) else sine
    return cosine, sine


@njit(cache=True)
def normals_of(words: Uint32, normals: Float32, halves: int = 2) -> None:
    """Normal variates (64,) of random words (64,), or the first half of them."""
    # Words 0 and 1 of a block make a pair, and so do words 2 and 3.
    for half in range(halves):
        one, two = 2 * LANES * half, 2 * LANES * half + LANES
        for j in range(LANES):
            radius = np.float32(math.sqrt(np.float32(-2.0) * _log_of_share(words[one + j])))
            cosine, sine = _unit_vector(words[two + j])
            normals[one + j] = radius * cosine
            normals[two + j] = radius * sine


@njit(cache=True)
def draw_group(
    key: Uint32,
    chip: int,
    stream: int,
    vector: int,
    group: int,
    words: Uint32,
    normals: Float32,
    halves: int = 2,
) -> None:
    """Normal variates of columns 64 ``group`` … of one vector; ``words`` is for work.

    Of the 64 the first half alone is drawn where ``halves`` is 1.
    """
    # The counter lies in the words until they are drawn: no memory is asked for in here.
    words[0] = np.uint32(group * LANES) | np.uint32((vector >> 32) << 16)
    words[1] = np.uint32(vector & 0xFFFFFFFF)
    words[2] = np.uint32(stream)
    words[3] = np.uint32(chip)
    philox_group(words, key, words)
    normals_of(words, normals, halves)


@njit(cache=True)
def _fill(key: Uint32, chip: int, stream: int, first: int, out: Float32) -> None:
    words, normals = np.empty(GROUP, np.uint32), np.empty(GROUP, np.float32)
    rows, cols = out.shape
    for i in range(rows):
        for group in range((cols + GROUP - 1) // GROUP):
            start = group * GROUP
            halves = 1 if 2 * (cols - start) <= GROUP else 2
            draw_group(key, chip, stream, first + i, group, words, normals, halves)
            for j in range(min(GROUP, cols - start)):
                out[i, start + j] = normals[j]


@njit(cache=True, nogil=True)
def add_noise(  # type: ignore[no-untyped-def]
    voltage, start, stop, sigma, key, chip, first_index
):  # fmt: skip
    """Add the noise that a conversion draws once, of ``sigma`` in V, to rows of (batch, col).

    The voltages are contiguous.
    """
    words, normals = np.empty(GROUP, np.uint32), np.empty(GROUP, np.float32)
    cols, volts = voltage.shape[1], voltage.ravel()
    for i in range(start, stop):
        for group in range((cols + GROUP - 1) // GROUP):
            draw_group(key, chip, SAMPLED, first_index + i, group, words, normals)
            here = np.uint64(i * cols + group * GROUP)
            for j in range(min(GROUP, cols - group * GROUP)):
                volts[here + np.uint64(j)] += sigma * normals[j]


def draw_normals(
    shape: tuple[int, int], *, seed: int, chip: int = 0, stream: int = 0, first_index: int = 0
) -> Float32:
    """Normal variates (vector, column) of mean 0 and σ 1 of the vectors from ``first_index`` on.

    Raises
    ------
    UsageError : a key is negative or too large for its bits.
    """
    check_key(seed, chip, stream, first_index + shape[0], shape[1])
    out = np.empty(shape, dtype=np.float32)
    _fill(seed_key(seed), chip, stream, first_index, out)
    return out


def seed_key(seed: int) -> Uint32:
    """Key (2,) of the generator: the seed's low and high words."""
    return np.array([seed & 0xFFFFFFFF, seed >> 32], dtype=np.uint32)


def check_key(seed: int, chip: int, stream: int, last_vector: int, columns: int) -> None:
    """Refuse what does not fit the counter.

    Raises
    ------
    UsageError : something does not.
    """
    limits = (
        ("seed", seed, 2**64 - 1),
        ("chip", chip, 2**32 - 1),
        ("stream", stream, 2**32 - 1),
        ("index of the last vector", last_vector, MOST_VECTORS),
        ("number of columns", columns, MOST_COLUMNS),
    )
    for name, value, most in limits:
        if not 0 <= value <= most:
            raise UsageError(f"{name} must be between 0 and {most}, it is {value}")
