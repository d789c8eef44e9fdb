"""Whether the population of a ramp converter's surrogate agrees with fresh chips.

Columns of one chip share a ramp, so they are no independent converters. Therefore

- σ of INL and DNL is that of column 0, one a chip: columns differ by a straight line, which
  end-point INL and DNL do not see, so the others would say the same once more. Less than a
  hundredth of an LSB is the solver's;
- one test at chip level, of those terms of the ramp (offset, span, curvature, residual) that
  vary; the common part of the columns is in them;
- one test of what the columns of a chip differ by: offsets, and what is added along the ramp, as
  orthonormal contrasts, of which columns less one are independent.

Each test rejects at half a percent, so that both together do at 1 %. All else is as
`imccircuit.surrogates.statistics` says.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from imccircuit.metrics.population import PopulationTest, compute_population_test
from imccircuit.surrogates.data import Measured
from imccircuit.surrogates.ramp_adc import RampAdcSurrogate
from imccircuit.surrogates.ramp_law import column_levels, fit_ramps
from imccircuit.surrogates.ramp_verdict import (
    NO_SPREAD_LSB,
    column_contrasts,
    seen_codes,
    varying_terms,
)
from imccircuit.surrogates.statistics import (
    DRAWN,
    DRAWN_SEED,
    SIGNIFICANCE,
    StatisticsReport,
    judge_population,
    sigma_rows,
)

Floats = NDArray[np.float64]

# Of the same chip in two files the numbers are the same but for rounding.
_SAME_CHIP_LSB = 1e-6


def unseen_ramps(model: RampAdcSurrogate, measured: Measured) -> NDArray[np.bool_] | None:
    """Chips (chip,) of which the fit saw nothing; None if those of the fit are too few to tell."""
    if model.was_fitted_to(measured):
        hidden = model.array("held_out") == 1
        return hidden if hidden.any() else None
    levels = measured.arrays["column_level"]
    # As the fit took them, so that the same seed with more samples gives the same numbers.
    ramp, column, _ = fit_ramps(levels, seen_codes(levels.shape[2]), model.bends)
    kept = model.array("held_out") == 0
    here, seen = _numbers(ramp, column), _numbers(model.array("ramp"), model.array("column"))[kept]
    distance = np.array([np.abs(own - seen).max(axis=1).min() for own in here])
    return np.asarray(distance > _SAME_CHIP_LSB * model.lsb_v)


def compare_ramps(
    model: RampAdcSurrogate, levels_v: Floats, reference: str = ""
) -> StatisticsReport:
    """Compare a population with fresh chips.

    Parameters
    ----------
    levels_v : (chip, column, code) transition levels in V.
    reference : who measured them.
    """
    ramp, column = model.draw_ramps(DRAWN, DRAWN_SEED)
    drawn = column_levels(ramp, column[:, :1], model.bits, model.bends)[:, 0]
    rows, problems = sigma_rows(drawn, levels_v[:, 0], NO_SPREAD_LSB)
    ramp, column, _ = fit_ramps(levels_v, seen_codes(levels_v.shape[2]), model.bends)
    chips, level = int(model.value("chips")), SIGNIFICANCE / 2
    mean, covariance = model.array("population_mean"), model.array("population_covariance")
    test = _test(ramp, mean, covariance, varying_terms(model), chips)
    own = model.array("column_covariance")
    # What is added along the ramp reaches half of it at either end.
    parts = np.sqrt(np.diag(own)) * np.array([1.0, 0.5]) > NO_SPREAD_LSB * model.lsb_v
    contrasts = np.swapaxes(column_contrasts(model.columns) @ column, 0, 1).reshape(-1, 2)
    column_test = _test(contrasts, np.zeros(2), own, parts, chips * (model.columns - 1))
    for name, found in (("ramps", test), ("columns", column_test)):
        if found is not None and found.p_value < level:
            problems.append(f"the test of {name} rejects: p = {found.p_value:.3g}")
    state, reason = judge_population(rows, problems)
    return StatisticsReport(
        state, reason, rows, test, len(levels_v), reference, column_test=column_test, level=level
    )


def _numbers(ramp: Floats, column: Floats) -> Floats:
    """What tells one chip from another, in V: all but the curvature."""
    return np.column_stack([ramp[:, [0, 1, 3]], column.reshape(len(column), -1)])


def _test(
    fresh: Floats, mean: Floats, covariance: Floats, varies: NDArray[np.bool_], fitted: int
) -> PopulationTest | None:
    """Test the numbers that vary; None if these are none or too few are known of them."""
    if not varies.any() or min(len(fresh), fitted) <= np.count_nonzero(varies) + 1:
        return None
    part = np.ix_(varies, varies)
    return compute_population_test(fresh[:, varies], mean[varies], covariance[part], fitted)
