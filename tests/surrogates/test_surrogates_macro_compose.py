"""Passes, slices and signed columns with ideal parts against numpy's integer matrix product."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from imccircuit.errors import UsageError
from imccircuit.surrogates.macro_compose import (
    Composition,
    compose_product,
    ideal_sums,
    input_digits,
    weight_digits,
)

ROWS = 24
LAYOUTS = [
    Composition(inputs, weights, passes, slices, signed)
    for inputs, weights, passes, slices, signed in itertools.product(
        (1, 5, 8), (2, 4, 8), (1, 3, 8), (1, 2, 8), ("differential", "offset")
    )
]


def numbers(layout: Composition) -> tuple[np.ndarray, np.ndarray]:
    """Inputs and weights over their whole range, both ends among them."""
    rng = np.random.default_rng(4)
    most = 2 ** (layout.weight_bits - 1)
    least = -most if layout.signed == "offset" else 1 - most
    x = rng.integers(0, 2**layout.input_bits, (7, ROWS))
    w = rng.integers(least, most, (ROWS, 5))
    x[0], x[1], w[:, 0], w[:, 1] = 0, 2**layout.input_bits - 1, least, most - 1
    return x, w


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_ideal_parts_give_the_integer_product(layout: Composition) -> None:
    x, w = numbers(layout)
    # As many codes as sums: the step is exactly one.
    bits = layout.largest_sum(ROWS).bit_length()
    found = compose_product(x, w, layout, ideal_sums(bits, 2**bits - 1))
    np.testing.assert_array_equal(found, x @ w)


def test_what_a_column_and_a_pass_see_by_hand() -> None:
    # x = 6 = 110b, w = -5: plus 0, minus 101b; with the offset of 8: 3 = 0011b.
    layout = Composition(3, 4, 1, 2)
    assert input_digits([[6]], layout)[:, 0, 0].tolist() == [0, 1, 1]
    assert weight_digits([[-5]], layout)[:, :, 0, 0].tolist() == [[0, 0], [1, 1]]
    one = Composition(3, 4, 2, 2, "offset")
    assert input_digits([[6]], one)[:, 0, 0].tolist() == [2, 1]
    assert weight_digits([[-5]], one)[:, :, 0, 0].tolist() == [[3, 0]]


def test_a_full_scale_below_the_largest_sum_clips_it() -> None:
    # Eight rows of ones: 8 by one bit, and a converter of two bits that ends at 3, or of 3 at 6.
    x, w = np.ones((1, 8), dtype=int), np.ones((8, 1), dtype=int)
    layout = Composition(1, 2)
    assert compose_product(x, w, layout, ideal_sums(2, 3)).item() == 3
    assert compose_product(x, w, layout, ideal_sums(3, 7)).item() == 7
    assert compose_product(x, w, layout, ideal_sums(4, 15)).item() == 8


def test_a_full_scale_above_the_codes_rounds_to_its_step() -> None:
    # Steps of 5: a sum of 8 is two of them, one of 7 is one; 2·5 = 10 and 1·5 = 5.
    layout = Composition(1, 2)
    rows = np.ones((8, 1), dtype=int)
    x = np.array([[1] * 8, [1] * 7 + [0]])
    assert compose_product(x, rows, layout, ideal_sums(2, 15)).ravel().tolist() == [10, 5]


@pytest.mark.parametrize(
    ("x", "w"),
    [([[4]], [[1]]), ([[-1]], [[1]]), ([[1.5]], [[1]]), ([[1]], [[-2]]), ([[1]], [[2]]),
     ([[1, 1]], [[1]]), ([1], [[1]])],
)  # fmt: skip
def test_what_has_no_room_is_refused(x: list[list[float]], w: list[list[int]]) -> None:
    with pytest.raises(UsageError):
        compose_product(x, w, Composition(2, 2), ideal_sums(4, 15))


def test_a_layout_without_bits_is_refused() -> None:
    for given in ((0, 2), (1, 1), (1, 2, 0), (1, 2, 1, 17), (1, 2, 1, 1, "balanced")):
        with pytest.raises(UsageError, match="allowed"):
            Composition(*given)
