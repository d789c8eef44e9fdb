"""The error of a mean over crossed trainings, chips and images, against laws that are known."""

import numpy as np
import pytest
from scipy.stats import ttest_1samp

from imccircuit.errors import UsageError
from imccircuit.networks.crossed import estimate_mean


@pytest.mark.parametrize("kind", [0, 1, 2])
def test_where_one_kind_differs_it_is_students_interval_of_its_units(kind):
    units = np.random.default_rng(kind).standard_normal((3, 10, 40)[kind])
    shape = [1, 1, 1]
    shape[kind] = len(units)
    found = estimate_mean(np.broadcast_to(units.reshape(shape), (3, 10, 40)))
    known = ttest_1samp(units, 0.0).confidence_interval(0.95)
    # Sums of 1200 numbers of order one.
    assert found.interval() == pytest.approx((known.low, known.high), abs=1e-12)
    assert found.freedom == pytest.approx(len(units) - 1, abs=1e-9)
    one_sided = ttest_1samp(units, 0.0, alternative="less").confidence_interval(0.95).high
    assert found.bound(0.95) == pytest.approx(one_sided, abs=1e-12)


def test_a_kind_of_one_unit_adds_nothing_and_equal_answers_leave_no_doubt():
    images = np.array([1.0, 0.0, 1.0, 1.0])
    found = estimate_mean(images.reshape(1, 1, 4))
    # A share of 3/4 of four: variance 3/4·1/4·4/3, over four.
    assert found.error == pytest.approx(0.25, abs=1e-12)
    assert estimate_mean(np.ones((2, 3, 4))).interval() == (1.0, 1.0)
    assert np.isnan(estimate_mean(np.ones((1, 1, 1))).interval()).all()
    for wrong in (np.ones((3, 4)), np.ones((0, 3, 4))):
        with pytest.raises(UsageError, match=r"\(seed, chip, image\)"):
            estimate_mean(wrong)


@pytest.mark.parametrize(
    ("seeds", "chips", "images", "together"),
    [(0.0, 0.0, 1.0, 0.0), (0.0, 1.0, 1.0, 1.0), (0.3, 1.0, 1.0, 0.0), (1.0, 1.0, 0.3, 0.5)],
)
def test_the_interval_covers_the_mean_of_crossed_draws(seeds, chips, images, together):
    """3 trainings, 10 chips, 100 images; ``together`` is a term of each pair of kinds."""
    rng = np.random.default_rng(4)

    def draw(*shape):
        return rng.standard_normal(shape)

    tried, covered, of_answers = 1000, 0, 0
    for _ in range(tried):
        values = (
            seeds * draw(3, 1, 1) / 3 + chips * draw(1, 10, 1) / 3 + images * draw(1, 1, 100)
            + together * (draw(3, 10, 1) / 3 + draw(3, 1, 100) + draw(1, 10, 100))
            + draw(3, 10, 100)
        )  # fmt: skip
        low, high = estimate_mean(values).interval()
        covered += low <= 0 <= high
        half = 1.96 * values.std() / np.sqrt(values.size)
        of_answers += abs(values.mean()) <= half
    # 95 % of 1000 is 950 with σ = 6.9; what is counted twice makes it more, never less.
    assert covered / tried > 0.95 - 4 * 0.0069
    # The error that takes the answers for independent misses far too often.
    assert of_answers / tried < 0.9


def test_where_only_one_kind_varies_much_the_interval_is_no_wider_than_needed():
    rng = np.random.default_rng(5)
    covered = 0
    for _ in range(1000):
        values = rng.standard_normal((1, 10, 1)) + 0.1 * rng.standard_normal((3, 10, 100))
        low, high = estimate_mean(values).interval()
        covered += low <= 0 <= high
    assert covered / 1000 == pytest.approx(0.95, abs=4 * 0.0069)
