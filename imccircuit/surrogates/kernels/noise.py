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
0         16 (column // 128) + column % 16, and bits 32 to 47 of the vector's index above it
1         bits 0 to 31 of the vector's index
2         stream
3         chip
========  ================================================================================

Each block answers eight columns, 16 apart: word (column // 32) % 4 belongs to ``column`` and to the
column 16 beside it. So 128 columns are 16 blocks side by side in vector registers, and their draws
leave in order.

A word w gives two normal variates by Box and Muller [2]_, as a point of a lattice [3]_ of 2³²
points in the square of radius and angle: u = (⌊w/4⌋ + 1/2) / 2³⁰ gives the radius √(-2 ln u),
w φ/4 modulo 1 (φ the golden section) the angle within a quarter of a turn, and the two lowest bits
the quarter. Such points fill the square more evenly than random ones. The law is that of all words,
which a test goes through: distribution within 3e-7 of the normal one, σ within 1e-8, correlation of
the two 2e-9, probability beyond 4 σ within 0.01 %, 5 σ 0.5 %, 5.5 σ 2 %, 6 σ (1e-9) a factor of
1.5. The largest variate is √(2 ln 2³¹) = 6.56.

Logarithm, sine and cosine are polynomials in single precision. Each step is one multiplication and
addition, rounded once where the code says so (`fused`) and never elsewhere; so a stored seed gives
the same bits everywhere. The twin is `imccircuit.surrogates.kernels.noise_twin`.

References
----------
.. [1] J. Salmon, M. Moraes, R. Dror, D. Shaw, "Parallel random numbers: as easy as 1, 2, 3",
   Proc. SC11, 2011.
.. [2] G. Box, M. Muller, "A note on the generation of random normal deviates", Ann. Math. Statist.
   29, 610, 1958. The polynomials are those of S. Moshier's Cephes, single precision.
.. [3] N. Korobov, "The approximate computation of multiple integrals", Dokl. Akad. Nauk SSSR 124,
   1207, 1959.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit, types
from numba.extending import intrinsic
from numpy.typing import NDArray

from imccircuit.errors import UsageError
from imccircuit.threads import spread_rows
from imccircuit.vectors import LANES, count_from, long_products, splat, store

GROUP = 128
"""Columns that are drawn together."""
WORDS = 4 * LANES
"""Words that they are drawn from."""
LARGEST = 6.56
"""No normal variate is larger than this."""

SAMPLED = 0
"""Stream of the noise that a conversion draws once."""
DECISION = 1
"""Stream of the decision on bit 0; that on bit k is k further."""

MOST_COLUMNS = 2**19
MOST_VECTORS = 2**48

_M0, _M1 = np.uint32(0xD2511F53), np.uint32(0xCD9E8D57)
_W0, _W1 = np.uint32(0x9E3779B9), np.uint32(0xBB67AE85)
# 2³² φ/4, odd: the lattice of each quarter has the golden section as its slope.
_SLOPE = np.uint32(0x278DDE6D)

# Variates that are worth a thread's while.
_PART = 2**16

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
        check_key(self.seed, self.chip, 0, self.first_index, count, columns)
        for name, sigma in (("sampled_v", self.sampled_v), ("decision_v", self.decision_v)):
            if not 0.0 <= sigma < math.inf:
                raise UsageError(f"{name} must be finite and not negative, it is {sigma}")


@njit(cache=True, nogil=True)
def philox_group(counter: Uint32, key: Uint32, words: Uint32) -> None:
    """Blocks of 16 counters that differ in word 0 by 0 … 15.

    Parameters
    ----------
    counter : (4,) words of the first counter; its word 0 is a multiple of 16.
    key : (2,) words of the key.
    words : (64,) the answer: word w of block j at 16 w + j. May be the memory of the counter.
    """
    c0, c1 = count_from(np.int32(counter[0])), splat(np.int32(counter[1]))
    c2, c3 = splat(np.int32(counter[2])), splat(np.int32(counter[3]))
    k0, k1 = splat(np.int32(key[0])), splat(np.int32(key[1]))
    w0, w1 = splat(np.int32(_W0)), splat(np.int32(_W1))
    for _ in range(10):
        high, low = long_products(c0, _M0)
        c0, c2 = c2, high ^ c3 ^ k1
        c3 = low
        high, low = long_products(c0, _M1)
        c0, c1 = high ^ c1 ^ k0, low
        k0, k1 = k0 + w0, k1 + w1
    drawn = words.view(np.int32).reshape(4, LANES)
    store(drawn, 0, 0, c0)
    store(drawn, 1, 0, c1)
    store(drawn, 2, 0, c2)
    store(drawn, 3, 0, c3)


def _fused(typing: Any, a: Any, b: Any, c: Any) -> Any:
    """``a * b + c`` in single precision, rounded once."""
    del typing
    return types.float32(a, b, c), lambda _context, builder, _signature, args: builder.fma(*args)


fused: Any = intrinsic(_fused)


@njit(cache=True, inline="always")
def _minus_log_of_share(word):  # type: ignore[no-untyped-def]
    """-ln u of u = (⌊word / 4⌋ + 1/2) / 2³⁰."""
    real = np.float32(np.int32(word >> np.uint32(2))) + np.float32(0.5)
    # real = (1 + x) 2^exponent with 1 + x between √½ and √2
    bits = np.uint32(np.float32(real).view(np.uint32) - np.uint32(0x3F3504F3))
    exponent = np.int32(np.int32(bits) >> np.int32(23))
    mantissa = np.uint32(np.uint32(bits & np.uint32(0x007FFFFF)) + np.uint32(0x3F3504F3))
    x = mantissa.view(np.float32) - np.float32(1.0)
    p = fused(np.float32(-7.0376836292e-2), x, np.float32(1.1514610310e-1))
    p = fused(p, x, np.float32(-1.1676998740e-1))
    p = fused(p, x, np.float32(1.2420140846e-1))
    p = fused(p, x, np.float32(-1.4249322787e-1))
    p = fused(p, x, np.float32(1.6668057665e-1))
    p = fused(p, x, np.float32(-2.0000714765e-1))
    p = fused(p, x, np.float32(2.4999993993e-1))
    p = fused(p, x, np.float32(-3.3333331174e-1))
    p = fused(p, x, np.float32(0.5))
    p = fused(p, x, np.float32(-1.0))
    halvings = np.float32(np.int32(np.int32(30) - exponent))
    return fused(p, x, np.float32(halvings * np.float32(math.log(2.0))))


@njit(cache=True, inline="always")
def _pair(word):  # type: ignore[no-untyped-def]
    """The two normal variates of a word."""
    # The angle is a + π/4 with a between -π/4 and π/4; √2 cos(a + π/4) = cos a - sin a, and √2
    # sin(a + π/4) = cos a + sin a. The √2 goes into the radius, √(-2 ln u).
    radius = np.float32(math.sqrt(_minus_log_of_share(word)))
    turn = np.int32(np.uint32(word * _SLOPE))
    a = np.float32(turn) * np.float32(0.5 * math.pi / 2**32)
    z = np.float32(a * a)
    s = fused(np.float32(-1.9515295891e-4), z, np.float32(8.3321608736e-3))
    s = fused(s, z, np.float32(-1.6666654611e-1))
    s = fused(s, np.float32(z * a), a)
    c = fused(np.float32(2.443315711809948e-5), z, np.float32(-1.388731625493765e-3))
    c = fused(c, z, np.float32(4.166664568298827e-2))
    c = fused(c, z, np.float32(-0.5))
    c = fused(c, z, np.float32(1.0))
    one = np.float32(radius * np.float32(c - s)).view(np.uint32)
    two = np.float32(radius * np.float32(c + s)).view(np.uint32)
    # The lowest bits are the signs.
    one = np.uint32(one ^ np.uint32(word << np.uint32(31)))
    two = np.uint32(two ^ np.uint32(np.uint32(word << np.uint32(30)) & np.uint32(0x80000000)))
    return one.view(np.float32), two.view(np.float32)


@njit(cache=True)
def normals_of(words: Uint32, normals: Float32, halves: int = 2) -> None:
    """Normal variates (128,) of random words (64,), or the first half of them."""
    for word in range(2 * halves):
        source, target = LANES * word, 2 * LANES * word
        for j in range(LANES):
            one, two = _pair(words[source + j])
            normals[target + j] = one
            normals[target + LANES + j] = two


@njit(cache=True)
def random_words(
    key: Uint32, chip: int, stream: int, vector: int, group: int, words: Uint32
) -> None:
    """Random words (64,) of columns 128 ``group`` … of one vector."""
    # The counter lies in the words until they are drawn: no memory is asked for in here.
    words[0] = np.uint32(group * LANES) | np.uint32((vector >> 32) << 16)
    words[1] = np.uint32(vector & 0xFFFFFFFF)
    words[2] = np.uint32(stream)
    words[3] = np.uint32(chip)
    philox_group(words, key, words)


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
    """Normal variates of columns 128 ``group`` … of one vector; ``words`` is for work.

    Of the 128 the first half alone is drawn where ``halves`` is 1.
    """
    random_words(key, chip, stream, vector, group, words)
    normals_of(words, normals, halves)


@njit(cache=True, nogil=True)
def _fill(key: Uint32, chip: int, stream: int, first: int, out: Float32) -> None:
    words, normals = np.empty(WORDS, np.uint32), np.empty(GROUP, np.float32)
    rows, cols = out.shape
    for i in range(rows):
        for group in range((cols + GROUP - 1) // GROUP):
            start = group * GROUP
            halves = 1 if 2 * (cols - start) <= GROUP else 2
            draw_group(key, chip, stream, first + i, group, words, normals, halves)
            for j in range(min(GROUP, cols - start)):
                out[i, start + j] = normals[j]


@njit(cache=True, nogil=True)
def add_noise(voltage, sigma, key, chip, first_index, column):  # type: ignore[no-untyped-def]
    """Add the noise that a conversion draws once, of ``sigma`` in V, to (batch, col).

    The voltages are contiguous; their first column is number ``column``, a multiple of `GROUP`.
    """
    words, normals = np.empty(WORDS, np.uint32), np.empty(GROUP, np.float32)
    rows, cols = voltage.shape
    volts = voltage.ravel()
    for group in range((cols + GROUP - 1) // GROUP):
        width = min(GROUP, cols - group * GROUP)
        halves = 1 if 2 * width <= GROUP else 2
        for i in range(rows):
            drawn = column // GROUP + group
            random_words(key, chip, SAMPLED, first_index + i, drawn, words)
            normals_of(words, normals, halves)
            here = np.uint64(i * cols + group * GROUP)
            for j in range(width):
                volts[here + np.uint64(j)] += sigma * normals[j]


def draw_normals(
    shape: tuple[int, int], *, seed: int, chip: int = 0, stream: int = 0, first_index: int = 0
) -> Float32:
    """Normal variates (vector, column) of mean 0 and σ 1 of the vectors from ``first_index`` on.

    Raises
    ------
    UsageError : a key is negative or too large for its bits.
    """
    check_key(seed, chip, stream, first_index, *shape)
    out, key = np.empty(shape, dtype=np.float32), seed_key(seed)
    spread_rows(
        lambda first, last: _fill(key, chip, stream, first_index + first, out[first:last]),
        *shape,
        _PART,
    )
    return out


def seed_key(seed: int) -> Uint32:
    """Key (2,) of the generator: the seed's low and high words."""
    whole = int(seed)
    return np.array([whole & 0xFFFFFFFF, whole >> 32], dtype=np.uint32)


def check_key(
    seed: int, chip: int, stream: int, first_index: int, count: int, columns: int
) -> None:
    """Refuse what does not fit the counter, of ``count`` vectors from ``first_index`` on.

    Raises
    ------
    UsageError : something does not, or is no whole number.
    """
    limits = (
        ("seed", seed, 2**64 - 1),
        ("chip", chip, 2**32 - 1),
        ("stream", stream, 2**32 - 1),
        ("index of the first vector", first_index, MOST_VECTORS - count),
        ("number of columns", columns, MOST_COLUMNS),
    )
    for name, value, most in limits:
        if not isinstance(value, (int, np.integer)):
            raise UsageError(f"{name} must be a whole number, it is {value!r}")
        if not 0 <= value <= most:
            raise UsageError(f"{name} must be between 0 and {most}, it is {value}")
