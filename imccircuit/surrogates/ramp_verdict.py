"""Verdict on the surrogate of a ramp converter."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from imccircuit.recipes.fields import value_of
from imccircuit.surrogates.data import FEWEST, Measured, held_out
from imccircuit.surrogates.loop_error import LoopError, compute_loop_error, loop_figure
from imccircuit.surrogates.ramp_law import column_levels, fit_ramps
from imccircuit.surrogates.spread import SpreadRatio, compute_spread_ratio, judge_spreads
from imccircuit.surrogates.verdict import ErrorFigure, Gate, Verdict, largest_error

if TYPE_CHECKING:
    from imccircuit.surrogates.ramp_adc import RampAdcSurrogate

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]
Mask = NDArray[np.bool_]

# Codes that tell a held-out chip's ramp and columns.
_FEW = 17
NO_SPREAD_LSB = 0.01
"""What varies less than this, in LSB at the end of the ramp, does not vary: that is the solver."""
_RESOLUTION_LSB = 1e-3


def seen_codes(count: int) -> Codes:
    """Of ``count`` levels the codes that the fit may see: all but a held-out fifth."""
    hidden = held_out(count)
    codes = np.arange(1, count + 1)
    return codes if hidden is None else codes[~hidden]


def few_codes(count: int) -> Codes:
    """Codes from end to end that tell the ramp of a held-out chip."""
    return np.unique(np.rint(np.linspace(1, count, min(_FEW, count))).astype(np.int64))


def judge_ramp(model: RampAdcSurrogate, measured: Measured) -> Verdict:
    """Errors of levels and of whole conversions, and spread over chips, with their gates."""
    levels = measured.arrays["column_level"]
    count = levels.shape[2]
    mine = model.was_fitted_to(measured)
    hidden = model.array("held_out") == 1
    if not mine:
        again = model.seen_again(measured)
        if why := again.why_not():
            return Verdict("not judged", why)
        # Of a fit that held codes out, the same chips again are judged on these.
        mine = not again.by_chips
        hidden = np.zeros(len(levels), dtype=bool) if mine else ~again.chips
    chips = hidden if hidden.any() else np.ones(len(levels), dtype=bool)
    # Chips that gave the fit all but a fifth of their codes are judged on that fifth.
    codes = seen_codes(count) if mine and not hidden.any() else few_codes(count)
    ramp, column, _ = fit_ramps(levels[chips], codes, model.bends)
    predicted = column_levels(ramp, column, model.bits, model.bends)
    figures = [_level_figure(predicted, levels[chips], codes, model.lsb_v)]
    if "loop_input" in measured.arrays:
        figures.extend(_loop_figures(predicted, measured, chips, model.lsb_v))
    worst = largest_error(figures) / model.lsb_v
    gates = [Gate.at_most("max_error", worst, model.model.gates["max_error"], "LSB")]
    notes, spreads = [], {}
    if model.has_population and hidden.any() and np.count_nonzero(chips) >= FEWEST:
        spreads = _spreads(model, ramp, column)
    for name, (gate, ratio) in spreads.items():
        gates.append(gate)
        notes.append(f"{name}, held out over fitted: {ratio}")
    problems = model.admissibility()
    state, reason = judge_spreads(gates[:1], spreads.values(), problems)
    return Verdict(
        state,
        reason,
        tuple(gates),
        tuple(figures),
        sum(figure.count for figure in figures),
        int(np.count_nonzero(chips)),
        notes=tuple(notes),
    )


def _level_figure(predicted: Floats, levels: Floats, codes: Codes, lsb_v: float) -> ErrorFigure:
    every = np.arange(1, levels.shape[2] + 1)
    others = np.setdiff1d(every, codes)
    table = np.column_stack([np.ones(len(every)), every])
    line = (levels @ np.linalg.pinv(table).T) @ table.T
    return ErrorFigure.of(
        "column_level",
        "V",
        (predicted - levels)[:, :, others - 1],
        linear_error=(line - levels)[:, :, others - 1],
        resolution=_RESOLUTION_LSB * lsb_v,
        lsb=lsb_v,
        note=f"from {len(codes)} other codes of each column",
    )


def _loop_figures(
    predicted: Floats, measured: Measured, chips: Mask, lsb_v: float
) -> Iterator[ErrorFigure]:
    """Whole conversions: column 0 is bracketed, all columns must give each input its code."""
    bracketed = value_of(measured.parameters, "stimulus.loop_input") is None
    arrays = measured.arrays
    inputs = (arrays["loop_input"] * arrays["reference_voltage"][:, None])[chips]
    codes = arrays["column_code"][chips].astype(np.int64)

    def errors(columns: range, *, bracketed: bool) -> list[LoopError]:
        return [
            compute_loop_error(levels[j], voltage, code[j], lsb_v, bracketed=bracketed)
            for levels, voltage, code in zip(predicted, inputs, codes, strict=True)
            for j in columns
        ]

    every = range(codes.shape[1])
    first = every[:1] if bracketed else every
    yield loop_figure(errors(first, bracketed=bracketed), lsb_v, bracketed=bracketed)
    if others := every[len(first) :]:
        name = "input in closed loop, other columns"
        found = errors(others, bracketed=False)
        yield loop_figure(found, lsb_v, bracketed=False, quantity=name)


def varying_terms(model: RampAdcSurrogate) -> Mask:
    """Terms (term,) of the ramp that vary from chip to chip by more than a solver does."""
    # Offset, span, curvature and residual in V at the end of the ramp.
    span = float(model.array("population_mean")[1])
    worth = np.sqrt(np.diag(model.array("population_covariance"))) * [1.0, 1.0, span / 2, 1.0]
    return np.asarray(worth > NO_SPREAD_LSB * model.lsb_v)


def _spreads(
    model: RampAdcSurrogate, ramp: Floats, column: Floats
) -> dict[str, tuple[Gate, SpreadRatio]]:
    """Gates on the spread of ramps and of column offsets, of those that vary."""
    limits, found = model.model.gates, {}
    covariance = model.array("population_covariance")
    varies = varying_terms(model)
    chips = int(model.value("chips"))
    if varies.any():
        ratio = compute_spread_ratio(
            ramp[:, varies], model.array("population_mean")[varies],
            covariance[np.ix_(varies, varies)], chips,
        )  # fmt: skip
        gate = Gate.at_most("spread_factor", ratio.factor, limits["spread_factor"], "1")
        found["spread of ramps"] = gate, ratio
    own = model.array("column_covariance")
    count = column.shape[1]
    if count > 1 and np.sqrt(own[0, 0]) > NO_SPREAD_LSB * model.lsb_v:
        # Deviations from a chip's mean: as many independent ones as columns but one.
        centred = column_contrasts(count) @ column[..., 0][..., None]
        ratio = compute_spread_ratio(
            centred.reshape(-1, 1), np.zeros(1), own[:1, :1], chips * (count - 1)
        )
        gate = Gate.at_most(
            "offset_spread_factor", ratio.factor, limits["offset_spread_factor"], "1"
        )
        found["spread of column offsets"] = gate, ratio
    return found


def column_contrasts(count: int) -> Floats:
    """Orthonormal (count - 1, count) combinations of columns that a common part leaves at 0."""
    whole = np.linalg.qr(np.column_stack([np.ones(count), np.eye(count)[:, :-1]]))[0]
    return np.asarray(whole[:, 1:].T)
