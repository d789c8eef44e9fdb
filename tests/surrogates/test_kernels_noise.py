"""The counter-based generator: published vectors, its twin, and the law of its variates."""

from __future__ import annotations

import numpy as np
import pytest
from numba import njit
from scipy.stats import kstest, norm

from imccircuit.errors import UsageError
from imccircuit.surrogates.kernels.noise import LARGEST, draw_normals, normals_of, philox_group
from imccircuit.surrogates.kernels.noise_twin import (
    SLOPE,
    draw_normals_twin,
    draw_words,
    normal_pairs,
    philox4x32,
)

# Known answers that the authors publish with Random123 (kat_vectors, philox4x32 10):
# counter, key, words.
KNOWN = [
    ("00000000 00000000 00000000 00000000", "00000000 00000000",
     "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff",
     "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0",
     "d16cfe09 94fdcceb 5001e420 24126ea1"),
]  # fmt: skip

# Cephes' single-precision polynomials are right to a unit in the last place. The radius has half
# the relative error of the logarithm and a rounding of its own, cosine and sine a unit each, their
# sum and the product a half: six halves of 2^-23 times the largest variate.
ROUNDING = 3 * 2.0**-23 * LARGEST


def numbers(text: str) -> np.ndarray:
    return np.array([int(word, 16) for word in text.split()], dtype=np.uint32)


@pytest.mark.parametrize(("counter", "key", "words"), KNOWN)
def test_published_vectors(counter: str, key: str, words: str) -> None:
    np.testing.assert_array_equal(philox4x32(numbers(counter), numbers(key)), numbers(words))
    found = np.empty(64, dtype=np.uint32)
    philox_group(numbers(counter), numbers(key), found)
    np.testing.assert_array_equal(found[::16], numbers(words))


def test_words_of_a_group_are_those_of_the_twin() -> None:
    counter, key = np.array([1600, 7, 8, 9], np.uint32), np.array([5, 6], np.uint32)
    found = np.empty(64, dtype=np.uint32)
    philox_group(counter, key, found)
    all_counters = np.tile(counter, (16, 1))
    all_counters[:, 0] += np.arange(16, dtype=np.uint32)
    np.testing.assert_array_equal(found.reshape(4, 16), philox4x32(all_counters, key).T)


@pytest.mark.parametrize("key", [
    {"seed": 0}, {"seed": 2**63 + 11, "chip": 2**32 - 1, "stream": 3},
    {"seed": 1, "first_index": 2**32 - 1}, {"seed": 1, "first_index": 2**47},
])  # fmt: skip
def test_normals_are_those_of_the_twin(key: dict[str, int]) -> None:
    found = draw_normals((3, 150), **key)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, draw_normals_twin((3, 150), **key), atol=ROUNDING, rtol=0)


def test_every_part_of_the_key_matters() -> None:
    key = {"seed": 3, "chip": 4, "stream": 5, "first_index": 6}
    base = draw_normals((1, 64), **key)
    changed = [draw_normals((1, 64), **{**key, name: value + 1}) for name, value in key.items()]
    changed.append(draw_normals((1, 64), **{**key, "seed": 3 + 2**32}))
    changed.append(draw_normals((1, 64), **{**key, "first_index": 6 + 2**32}))
    changed.append(draw_normals((1, 128), **key)[:, 64:])
    for other in changed:
        assert not np.any(other == base)


def test_a_batch_in_parts_is_the_same_batch() -> None:
    whole = draw_normals((10, 100), seed=9)
    parts = [draw_normals((n, 100), seed=9, first_index=k) for k, n in ((0, 3), (3, 1), (4, 6))]
    np.testing.assert_array_equal(whole, np.concatenate(parts))
    for columns in (1, 32, 33, 37, 64, 96, 97):
        np.testing.assert_array_equal(whole[:, :columns], draw_normals((10, columns), seed=9))


def test_extreme_words_are_finite() -> None:
    # The ends of both shares, of a quarter of a turn, and where the logarithm changes its exponent.
    share = np.array([0, 1, 2**29, 0x2D413CCC, 0x2D413CCD, 2**30 - 2, 2**30 - 1], dtype=np.uint32)
    inverse = pow(SLOPE, -1, 2**32)
    turns = np.array([t * inverse % 2**32 for t in (0, 2**31 - 1, 2**31, 2**32 - 1)], np.uint32)
    edge = np.concatenate([(4 * share[:, None] + np.arange(4, dtype=np.uint32)).ravel(), turns])
    words = np.resize(edge, 64)
    found = np.empty(128, dtype=np.float32)
    normals_of(words, found)
    pairs = found.reshape(4, 2, 16).swapaxes(1, 2).reshape(64, 2)
    np.testing.assert_allclose(pairs, normal_pairs(words), atol=ROUNDING, rtol=0)
    assert np.max(np.abs(found)) <= LARGEST
    assert np.hypot(*pairs[0]) == pytest.approx(np.sqrt(2 * np.log(2**31)), abs=ROUNDING)


@njit
def count_all(first, last, counts, sums):  # type: ignore[no-untyped-def]
    """Histograms and moments of the pairs of words ``first`` to ``last``, sixteen bins a unit."""
    words, normals = np.empty(64, np.uint32), np.empty(128, np.float32)
    for start in range(first, last, 64):
        for j in range(64):
            words[j] = start + j
        normals_of(words, normals)
        for word in range(4):
            for j in range(16):
                a = np.float64(normals[32 * word + j])
                b = np.float64(normals[32 * word + 16 + j])
                counts[int((a + 7) * 16), int((b + 7) * 16)] += 1
                for k, moment in enumerate((a, b, a * a, b * b, a * b, a * a * b * b)):
                    sums[k] += moment


@pytest.mark.long
def test_the_law_of_all_words() -> None:
    counts, sums = np.zeros((224, 224), np.int64), np.zeros(6)
    count_all(0, 2**32, counts, sums)
    assert counts.sum() == 2**32
    # Means, variances, correlation, and that of the squares.
    np.testing.assert_allclose(sums / 2**32, [0, 0, 1, 1, 0, 1], atol=2e-8, rtol=0)
    edges = np.arange(1, 224) / 16 - 7
    for axis in (0, 1):
        below = np.cumsum(counts.sum(axis=1 - axis))[:-1] / 2**32
        np.testing.assert_allclose(below, norm.cdf(edges), atol=3e-7, rtol=0)
        for threshold, error in ((4, 1e-4), (5, 5e-3), (5.5, 0.02), (6, 0.5)):
            for share in (below[edges == -threshold], 1 - below[edges == threshold]):
                assert share == pytest.approx(norm.sf(threshold), abs=error * norm.sf(threshold))
    # Both together: as many in each square as two independent ones would put there.
    share = np.diff(norm.cdf(np.arange(225) / 16 - 7))
    expected = 2.0**32 * np.outer(share, share)
    many = expected > 1e4
    np.testing.assert_allclose(counts[many] / expected[many], 1, atol=0.01)


def test_normals_are_normal() -> None:
    found = draw_normals((16000, 125), seed=20).astype(np.float64)
    count = found.size
    # Moments of a normal sample: their σ are 1, √2, √15, √96 over √count; five of each.
    for power, expected, spread in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)):
        assert abs(np.mean(found**power) - expected) < 5 * np.sqrt(spread / count)
    # Counts beyond a threshold are binomial.
    for threshold in (1.0, 2.0, 3.0, 4.0, 4.8):
        share = 2 * norm.sf(threshold)
        beyond = np.count_nonzero(np.abs(found) > threshold)
        assert abs(beyond - count * share) < 5 * np.sqrt(count * share)
    assert kstest(found[::16].ravel(), "norm").pvalue > 0.001
    # Neighbours along either axis, and the two of a pair, are independent.
    for a, b in ((found[1:], found[:-1]), (found[:, 1:], found[:, :-1]),
                 (found[:, :16] ** 2, found[:, 16:32] ** 2)):  # fmt: skip
        scaled = (a - a.mean()) * (b - b.mean()) / (a.std() * b.std())
        assert abs(scaled.mean()) < 5 / np.sqrt(scaled.size)


def test_partners_of_a_pair_share_their_word() -> None:
    words = draw_words((2, 128), seed=1)
    np.testing.assert_array_equal(words[:, :16], words[:, 16:32])
    np.testing.assert_array_equal(words[:, 112:], words[:, 96:112])
    assert np.unique(words).size == 2 * 64


@pytest.mark.parametrize("key", [{"seed": -1}, {"seed": 2**64}, {"seed": 0, "chip": 2**32}])
def test_keys_that_do_not_fit_are_refused(key: dict[str, int]) -> None:
    with pytest.raises(UsageError, match="must be between 0 and"):
        draw_normals((1, 1), **key)
