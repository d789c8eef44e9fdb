"""Verdicts on the surrogate of a DAC: on held-out codes, and on held-out chips."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.stats import f as f_distribution

from imccircuit.errors import UsageError
from imccircuit.metrics.dac import compute_dac_inl_dnl
from imccircuit.surrogates.dac_law import step_variance
from imccircuit.surrogates.data import FEWEST, Measured
from imccircuit.surrogates.seen import same_rows
from imccircuit.surrogates.spread import (
    CONFIDENCE,
    QUANTILES,
    SpreadRatio,
    compute_spread_ratio,
    judge_spreads,
)
from imccircuit.surrogates.verdict import ErrorFigure, Gate, Verdict, judge

if TYPE_CHECKING:
    from imccircuit.surrogates.dac import DacSurrogate

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Codes = NDArray[np.int64]

# A number that varies less than this, in LSB, does not vary: that is the solver's noise.
_NO_SPREAD_LSB = 1e-4
# Numbers fitted to the same levels twice differ by rounding, those of two chips by far more.
_SAME_CHIP_LSB = 1e-9
_RESOLUTION_LSB = 1e-3
_DRAWN = 2000


def judge_one(model: DacSurrogate, measured: Measured) -> Verdict:
    """Verdict on the levels of one chip, from codes that the fit did not see."""
    from imccircuit.surrogates.dac import codes_held_out

    if measured.chips != 1:
        raise UsageError(
            f"{measured.results.path} holds {measured.chips} chips and the model describes one"
        )
    hidden = np.ones(2**model.bits, dtype=bool)
    if model.was_fitted_to(measured):
        hidden = codes_held_out(model.law)
    if np.count_nonzero(hidden) < FEWEST:
        return Verdict("not judged", f"too few codes to hold {FEWEST} out", (), (), 0, 0)
    codes = np.flatnonzero(hidden)
    figure = _figure(model, measured.arrays["output_level"], model.levels()[None], codes)
    gates = (_error_gate(model, figure),)
    state, reason = judge(gates, model.admissibility())
    return Verdict(state, reason, gates, (figure,), figure.count, 1)


def judge_many(model: DacSurrogate, measured: Measured) -> Verdict:
    """Verdict on a population, from chips that it does not contain."""
    law, levels = model.law, measured.arrays["output_level"]
    judged = np.setdiff1d(law.codes, law.shown())
    if not len(judged):
        return Verdict("not judged", "every code is needed to know a chip", (), (), 0, 0)
    numbers = law.fit(levels, law.shown())
    hidden = _unseen(model, measured)
    if hidden is None or np.count_nonzero(hidden) < FEWEST:
        few = "too few chips to hold out five and fit five" if hidden is None else "too few chips"
        figure = _figure(model, levels, law.levels(numbers), judged)
        note = "the errors are of codes that a chip's fit did not see, on chips that it did see"
        return Verdict("not judged", few, (), (figure,), figure.count, 0, notes=(note,))
    figure = _figure(model, levels[hidden], law.levels(numbers[hidden]), judged)
    error_gate = _error_gate(model, figure)
    ratio = _spread(model, levels[hidden])
    spreads, notes = [], []
    if ratio is not None:
        limit = model.model.gates["spread_factor"]
        spreads = [(Gate.at_most("spread_factor", ratio.factor, limit, "1"), ratio)]
        notes = [f"spread, held out over fitted: {ratio}", _inl_note(model, levels[hidden])]
    state, reason = judge_spreads((error_gate,), spreads, model.admissibility())
    gates = (error_gate, *(gate for gate, _ in spreads))
    chips = int(np.count_nonzero(hidden))
    return Verdict(state, reason, gates, (figure,), figure.count, chips, notes=tuple(notes))


def _unseen(model: DacSurrogate, measured: Measured) -> Bools | None:
    if model.was_fitted_to(measured):
        return measured.hidden_chips()
    return ~seen_chips(model, measured)


def seen_chips(model: DacSurrogate, measured: Measured) -> Bools:
    """Chips (chip,) of other results that the fit saw."""
    law = model.law
    every = law.codes[1:] if law.design == "pulse" else law.codes
    own = law.fit(measured.arrays["output_level"], every)
    seen = model.array("number")[model.array("held_out") == 0]
    return same_rows(own, seen, _SAME_CHIP_LSB * model.lsb)


def _figure(model: DacSurrogate, levels: Floats, predicted: Floats, codes: Codes) -> ErrorFigure:
    line = compute_dac_inl_dnl(levels, method="best-fit")
    straight = line.offset[:, None] + line.q[:, None] * codes
    return ErrorFigure.of(
        "output_level",
        model.unit,
        (predicted - levels)[:, codes],
        linear_error=straight - levels[:, codes],
        resolution=_RESOLUTION_LSB * model.lsb,
        lsb=model.lsb,
    )


def _error_gate(model: DacSurrogate, figure: ErrorFigure) -> Gate:
    return Gate.at_most("max_error", figure.max / model.lsb, model.model.gates["max_error"], "LSB")


def _spread(model: DacSurrogate, levels: Floats) -> SpreadRatio | None:
    """Spread of a string's steps, or of all numbers that vary; None if nothing does."""
    law = model.law
    fitted = int(model.value("fitted_chips"))
    if law.design == "steps":
        return step_ratio(levels, model.value("step_sigma"), fitted)
    numbers = law.fit(levels, law.codes[1:] if law.design == "pulse" else law.codes)
    mean, cov = model.array("population_mean"), model.array("population_covariance")
    sigma = np.sqrt(np.diag(cov))
    part = (np.maximum(sigma, numbers.std(axis=0)) > _NO_SPREAD_LSB * model.lsb) & (sigma > 0)
    if not part.any():
        return None
    return compute_spread_ratio(numbers[:, part], mean[part], cov[np.ix_(part, part)], fitted)


def step_ratio(levels: Floats, step_sigma: float, fitted_chips: int) -> SpreadRatio | None:
    """Spread of a string's steps over the fitted one, by Fisher's F; None if nothing varies.

    Parameters
    ----------
    levels : (chip, code) of held-out chips.
    step_sigma : fitted, in the unit of the levels.
    """
    variance, freedom = step_variance(levels)
    if not step_sigma > 0:
        return None
    steps = levels.shape[1] - 1
    law = f_distribution(freedom, (fitted_chips - 1) * steps)
    return SpreadRatio.of(float(np.sqrt(variance)) / step_sigma, np.sqrt(law.ppf(QUANTILES)))


def _inl_note(model: DacSurrogate, levels: Floats) -> str:
    """Spread of INL of held-out chips beside groups as large of drawn ones."""
    drawn = compute_dac_inl_dnl(model.sample_chips(_DRAWN, 0)["output_level"]).inl_lsb
    centre = drawn.mean(axis=0)
    size = len(levels)
    of_drawn = np.mean((drawn - centre) ** 2, axis=1)
    groups = of_drawn[: len(of_drawn) // size * size].reshape(-1, size).mean(axis=1)
    kept = float(np.sqrt(np.mean((compute_dac_inl_dnl(levels).inl_lsb - centre) ** 2)))
    low, high = np.sqrt(np.quantile(groups, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2]))
    agrees = "agrees" if low <= kept <= high else "does not agree"
    return (
        f"spread of INL (end-point, rms over codes): {kept:.4g} LSB of {size} held-out chips, "
        f"which {agrees} with the {low:.4g} to {high:.4g} LSB of 90 % of as many drawn chips"
    )
