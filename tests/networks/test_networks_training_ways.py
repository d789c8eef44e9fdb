"""What is said of right answers that are written out: pairs, median chips, sizes."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import ttest_rel

from imccircuit.networks.training_sizes import Size, find_smallest, judge
from imccircuit.networks.training_ways import Comparison, Way


def comparison(**ways: np.ndarray) -> Comparison:
    named = (Way(name, np.asarray(right, dtype=bool)) for name, right in ways.items())
    return Comparison(tuple(named), {}, 1, None, 0, 1, 1)


def answers(shares: np.ndarray, images: int) -> np.ndarray:
    """(seed, chip, image) of which the first share is right."""
    return np.arange(images) < np.round(np.asarray(shares)[..., None] * images)


def test_the_median_chip_is_compared_with_the_same_chip_and_training() -> None:
    naive = answers(np.array([[0.5, 0.9, 0.1], [0.3, 0.6, 0.2]]), 100)
    own = answers(np.array([[0.8, 0.81, 0.95], [0.7, 0.82, 0.99]]), 100)
    found = comparison(float=answers(np.array([[0.9], [1.0]]), 100), naive=naive, own=own)
    # Of six the third: 0.7 0.8 0.81 | 0.82 0.95 0.99, seed 0, chip 1.
    assert found.way("own").median_chip() == (0, 1)
    # Against float of seed 0: nine images that only float has right, 2·2^-9.
    assert found.p_value("own", "float") == pytest.approx(2.0**-8, abs=1e-9)
    # Against naive on chip 1 of seed 0, which has 0.9 as well.
    assert found.p_value("own", "naive") == pytest.approx(2.0**-8, abs=1e-9)
    assert found.way("own").accuracy[1] == pytest.approx([0.7, 0.82, 0.99], abs=1e-12)


def test_a_loss_is_taken_in_pairs() -> None:
    """Images that are hard for both ways are no doubt about the difference."""
    rng = np.random.default_rng(1)
    right = np.tile(rng.random(400) < 0.8, (1, 1, 1))
    also = right.copy()
    also[..., np.flatnonzero(right[0, 0])[:8]] = False
    found = comparison(float=right, naive=also)
    loss = found.loss("naive")
    known = ttest_rel(right[0, 0].astype(float), also[0, 0].astype(float))
    assert loss.mean == pytest.approx(0.02, abs=1e-12)
    interval = known.confidence_interval(0.95)
    assert loss.interval() == pytest.approx((interval.low, interval.high), abs=1e-12)
    # The means alone are known no better than to 2 %.
    assert found.way("naive").estimate.error > 2.5 * loss.error
    assert found.loss("float", "naive").mean == pytest.approx(-0.02, abs=1e-12)


def size(unit_f: float, lost: list[float]) -> Size:
    """Ten thousand images that float has right; each chip loses its own share."""
    shares = 1.0 - np.array([lost])
    full = np.ones((1, 1, 10_000), dtype=bool)
    # Other images for each chip, so that chips are all the doubt there is.
    of_chips = np.stack([np.roll(row, 100 * k) for k, row in enumerate(answers(shares, 10_000)[0])])
    return Size(unit_f, None, None, comparison(float=full, naive=of_chips[None]))


def test_a_size_tolerates_a_loss_only_if_the_interval_does() -> None:
    sure = size(4e-15, [0.004, 0.005, 0.006])
    # Less than a point on average, but of three chips nobody knows: 0.9 ± 2.92·0.6/√3.
    unsure = size(2e-15, [0.003, 0.009, 0.015])
    lost = size(1e-15, [0.05, 0.051, 0.052])
    assert unsure.loss("naive").mean < 0.01
    states = [judge(item, "naive", 0.01) for item in (sure, unsure, lost)]
    assert states == ["tolerated", "not resolved", "lost"]
    assert find_smallest([lost, sure, unsure], "naive", 0.01) is sure
    assert find_smallest([lost, unsure], "naive", 0.01) is None
    # A small one that does is not taken where a larger one does not.
    again = size(1e-16, [0.004, 0.005, 0.006])
    assert find_smallest([again, unsure, sure], "naive", 0.01) is sure
    told = unsure.as_dict(0.01)["ways"]["naive"]
    assert told["state"] == "not resolved"
    assert told["loss"]["least"] < 0.009 < 0.01 < told["loss"]["most"]
