"""The counter-based generator: published vectors, its twin, and the law of its variates."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import kstest, norm

from imccircuit.errors import UsageError
from imccircuit.surrogates.kernels.noise import LARGEST, draw_normals, normals_of, philox_group
from imccircuit.surrogates.kernels.noise_twin import draw_normals_twin, draw_words, philox4x32

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

# Cephes' single-precision polynomials are right to a few units in the last place; a variate is at
# most 6.8, of which one unit is 4.8e-7, and its factor has three roundings more.
ROUNDING = 3 * 4.8e-7


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
    edge = np.array([0, 1, 2**31, 0xB504F333, 0xB504F400, 2**32 - 2, 2**32 - 1], dtype=np.uint32)
    words = np.zeros(64, dtype=np.uint32)
    words[: len(edge)] = words[32 : 32 + len(edge)] = edge
    turns = np.array([0, 2**29, 2**30, 2**31, 2**32 - 1], dtype=np.uint32)
    for turn in turns:
        words[16:32] = words[48:] = turn
        found = np.empty(64, dtype=np.float32)
        normals_of(words, found)
        radius = np.sqrt(-2 * np.log((words[:16] + 0.5) / 2**32))
        angle = 2 * np.pi * float(turn) / 2**32
        np.testing.assert_allclose(found[:16], radius * np.cos(angle), atol=ROUNDING, rtol=0)
        np.testing.assert_allclose(found[16:32], radius * np.sin(angle), atol=ROUNDING, rtol=0)
        assert np.max(np.abs(found)) <= LARGEST


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


def test_partners_of_a_pair_share_their_words() -> None:
    words = draw_words((2, 64), seed=1)
    np.testing.assert_array_equal(words[:, :16, 0], words[:, 16:32, 1])
    np.testing.assert_array_equal(words[:, 48:, 1], words[:, 32:48, 0])


@pytest.mark.parametrize("key", [{"seed": -1}, {"seed": 2**64}, {"seed": 0, "chip": 2**32}])
def test_keys_that_do_not_fit_are_refused(key: dict[str, int]) -> None:
    with pytest.raises(UsageError, match="must be between 0 and"):
        draw_normals((1, 1), **key)
