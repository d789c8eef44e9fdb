"""Verdicts on the surrogate of a front end: on held-out levels, and on held-out chips."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from imccircuit.errors import UsageError
from imccircuit.metrics.transfer import compute_best_fit
from imccircuit.surrogates.data import FEWEST, Measured
from imccircuit.surrogates.front_end_law import TERMS, TransferLaw, calibration_levels
from imccircuit.surrogates.seen import same_rows
from imccircuit.surrogates.spread import SpreadRatio, compute_spread_ratio, judge_spreads
from imccircuit.surrogates.verdict import ErrorFigure, Gate, Verdict, judge, largest_error

if TYPE_CHECKING:
    from imccircuit.surrogates.front_end import FrontEndSurrogate

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

# A number that varies less than this, in LSB, does not vary: that is the solver's noise.
_NO_SPREAD_LSB = 1e-3
# Numbers fitted to the same curve twice differ by rounding, those of two chips by far more.
_SAME_CHIP_LSB = 1e-9
_RESOLUTION_LSB = 1e-3


def judge_one(model: FrontEndSurrogate, measured: Measured, current_a: Floats) -> Verdict:
    """Verdict on one chip's curves, from levels that the fit did not see."""
    from imccircuit.surrogates.front_end import levels_held_out

    if measured.chips != 1:
        raise UsageError(
            f"{measured.results.path} holds {measured.chips} chips and the model describes one"
        )
    hidden = np.ones(len(current_a), dtype=bool)
    if model.was_fitted_to(measured):
        hidden = levels_held_out(len(current_a))
    if np.count_nonzero(hidden) < FEWEST:
        return Verdict("not judged", f"too few levels to hold {FEWEST} out", (), (), 0, 0)
    chips = np.array([True])
    figures = _figures(model, measured, current_a, chips, hidden, model.own)
    gates = (_error_gate(model, figures),)
    state, reason = judge(gates, model.admissibility())
    return Verdict(state, reason, gates, figures, _points(figures), 1)


def judge_many(model: FrontEndSurrogate, measured: Measured, current_a: Floats) -> Verdict:
    """Verdict on a population, from chips that it does not contain."""
    shown = calibration_levels(current_a)
    judged = np.ones(len(current_a), dtype=bool)
    judged[shown] = False
    if not judged.any():
        return Verdict("not judged", "every level is needed to know a chip", (), (), 0, 0)
    own = shown_numbers(model, measured, current_a)
    hidden = _unseen(model, measured, current_a)
    if hidden is None or np.count_nonzero(hidden) < FEWEST:
        few = "too few chips to hold out five and fit five" if hidden is None else "too few chips"
        chips = np.ones(measured.chips, dtype=bool)
        figures = _figures(model, measured, current_a, chips, judged, own)
        note = "the errors are of levels that a chip's fit did not see, on chips that it did see"
        return Verdict("not judged", few, (), figures, _points(figures), 0, notes=(note,))
    figures = _figures(model, measured, current_a, hidden, judged, own[hidden])
    error_gate = _error_gate(model, figures)
    spread = _spread(model, own[hidden])
    gates = (error_gate, *((spread[0],) if spread else ()))
    notes = (f"spread, held out over fitted: {spread[1]}",) if spread else ()
    if measured.columns > 1:
        columns = f"{measured.columns} front ends of each chip, counted as chips of their own"
        notes = (*notes, columns)
    judged_spread = (spread,) if spread else ()
    state, reason = judge_spreads((error_gate,), judged_spread, model.admissibility())
    chips_out = int(np.count_nonzero(hidden))
    return Verdict(state, reason, gates, figures, _points(figures), chips_out, notes=notes)


def shown_numbers(model: FrontEndSurrogate, measured: Measured, current_a: Floats) -> Floats:
    """Numbers (chip, 2 · term) in V of measured chips, from the few levels at which they show them.

    Parameters
    ----------
    current_a : (level,) currents of the measurement in A.
    """
    return _own(model, measured, current_a, calibration_levels(current_a))


def _own(
    model: FrontEndSurrogate, measured: Measured, current_a: Floats, shown: NDArray[np.int64]
) -> Floats:
    """Numbers (chip, 2 · term) of all chips from the levels at which they show them."""
    return np.hstack(
        [
            model.law(curve).fit(current_a[shown], measured.arrays[f"{curve}_voltage"][:, shown])
            for curve in ("output", "input")
        ]
    )


def _unseen(model: FrontEndSurrogate, measured: Measured, current_a: Floats) -> Bools | None:
    if model.was_fitted_to(measured):
        return measured.hidden_chips()
    return ~seen_chips(model, measured, current_a)


def seen_chips(model: FrontEndSurrogate, measured: Measured, current_a: Floats) -> Bools:
    """Chips (chip,) of other results that the fit saw; ``current_a`` (level,) in A."""
    everywhere = np.arange(len(current_a))
    own = _own(model, measured, current_a, everywhere)
    seen = model.own[model.array("held_out") == 0]
    return same_rows(own, seen, _SAME_CHIP_LSB * model.lsb_v)


def _figures(
    model: FrontEndSurrogate,
    measured: Measured,
    current_a: Floats,
    chips: Bools,
    levels: Bools,
    own_v: Floats,
) -> tuple[ErrorFigure, ...]:
    """Errors of both curves at ``levels``, and of the output beyond the range."""
    lsb, at = model.lsb_v, current_a[levels]
    figures = []
    for curve, numbers in (("output", own_v[:, :TERMS]), ("input", own_v[:, TERMS:])):
        voltage, law = measured.arrays[f"{curve}_voltage"][chips], model.law(curve)
        predicted = np.array([law.voltage(row, at) for row in numbers])
        lines = np.array([compute_best_fit(current_a, row)(at) for row in voltage])
        figures.append(
            ErrorFigure.of(
                f"{curve}_voltage",
                "V",
                predicted - voltage[:, levels],
                linear_error=lines - voltage[:, levels],
                resolution=_RESOLUTION_LSB * lsb,
                lsb=lsb,
            )
        )
    return (*figures, *_beyond(model, measured, chips, own_v))


def _beyond(
    model: FrontEndSurrogate, measured: Measured, chips: Bools, own_v: Floats
) -> tuple[ErrorFigure, ...]:
    """Error of the output outside the range of currents: told, not gated."""
    from imccircuit.surrogates.front_end import currents_of

    drive, (low, high) = currents_of(measured, "drive"), model.limits["current_a"]
    slack = 1e-9 * (high - low)
    outside = (drive < low - slack) | (drive > high + slack)
    if not outside.any():
        return ()
    law: TransferLaw = model.law("output")
    stops = model.value("low_stop"), model.value("high_stop")
    predicted = [np.clip(law.voltage(row[:TERMS], drive[outside]), *stops) for row in own_v]
    error = np.array(predicted) - measured.arrays["driven_output"][chips][:, outside]
    note = "outside the domain, not gated"
    return (ErrorFigure.of("driven_output", "V", error, lsb=model.lsb_v, note=note),)


def _error_gate(model: FrontEndSurrogate, figures: tuple[ErrorFigure, ...]) -> Gate:
    worst = largest_error(figure for figure in figures if figure.quantity != "driven_output")
    return Gate.at_most("max_error", worst / model.lsb_v, model.model.gates["max_error"], "LSB")


def _spread(model: FrontEndSurrogate, own_v: Floats) -> tuple[Gate, SpreadRatio] | None:
    """Gate on the spread of all numbers that vary, each in units of its own; None if none does."""
    mean, cov = model.array("population_mean"), model.array("population_covariance")
    sigma = np.sqrt(np.diag(cov))
    part = (np.maximum(sigma, own_v.std(axis=0)) > _NO_SPREAD_LSB * model.lsb_v) & (sigma > 0)
    if not part.any():
        return None
    fitted = int(model.value("fitted_chips"))
    ratio = compute_spread_ratio(own_v[:, part], mean[part], cov[np.ix_(part, part)], fitted)
    limit = model.model.gates["spread_factor"]
    return Gate.at_most("spread_factor", ratio.factor, limit, "1"), ratio


def _points(figures: tuple[ErrorFigure, ...]) -> int:
    return sum(figure.count for figure in figures if figure.quantity != "driven_output")
