"""How many codes may differ: against the binomial law and against all outcomes by enumeration."""

import itertools
import math

import numpy as np
import pytest
from scipy.stats import binom

from imccircuit.metrics.code_agreement import compute_count_interval, compute_differ_probability


@pytest.mark.parametrize(("count", "chance"), [(40, 0.1), (300, 0.004), (9, 0.5)])
def test_equal_chances_are_binomial(count, chance):
    mean, low, high = compute_count_interval(np.full(count, chance))
    law = binom(count, chance)
    assert mean == pytest.approx(count * chance, abs=1e-12)
    # The least counts whose law reaches the two quantiles: what ppf is.
    assert (low, high) == (law.ppf(0.025), law.ppf(0.975))


def test_different_chances_by_enumeration():
    chance = [0.9, 0.2, 0.5, 0.05, 0.7]
    law = np.zeros(6)
    for outcome in itertools.product((0, 1), repeat=5):
        law[sum(outcome)] += math.prod(
            p if yes else 1 - p for p, yes in zip(chance, outcome, strict=True)
        )
    for confidence in (0.5, 0.8, 0.95):
        _, low, high = compute_count_interval(chance, confidence)
        tail = (1 - confidence) / 2
        assert law[:low].sum() <= tail < law[: low + 1].sum()
        assert law[high + 1 :].sum() <= tail < law[high:].sum()


def test_nothing_or_everything_differs():
    assert compute_count_interval(np.zeros(5)) == (0.0, 0, 0)
    assert compute_count_interval(np.ones(5)) == (5.0, 5, 5)


def test_chance_to_leave_an_interval():
    # One standard deviation to one side: 15.8655 %, to both 31.7311 %; on a transition a half.
    found = compute_differ_probability([1.0, 2.0, 0.0], [np.inf, 2.0, np.inf], [1.0, 2.0, 1.0])
    np.testing.assert_allclose(found, [0.158655254, 0.317310508, 0.5], atol=1e-9)
