"""Verdicts on the surrogate of an ADC: against whole conversions, and against held-out chips."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from imccircuit.benches.adc_transfer import checked_codes
from imccircuit.errors import UsageError
from imccircuit.metrics.adc import compute_inl_dnl
from imccircuit.recipes.fields import value_of
from imccircuit.surrogates.adc_levels import (
    design_matrix,
    fit_weights,
    forced_levels,
    predict_levels,
)
from imccircuit.surrogates.data import FEWEST, Measured
from imccircuit.surrogates.loop_error import compute_loop_error, loop_figure
from imccircuit.surrogates.seen import same_rows
from imccircuit.surrogates.spread import (
    SpreadRatio,
    compute_quadratic_ratio,
    compute_spread_ratio,
    judge_spreads,
)
from imccircuit.surrogates.verdict import ErrorFigure, Gate, Verdict, judge, largest_error

if TYPE_CHECKING:
    from imccircuit.surrogates.adc import AdcSurrogate

Floats = NDArray[np.float64]

# A parameter that varies less than this, in LSB, does not vary: that is the solver's noise.
_NO_SPREAD_LSB = 1e-4
# Weights fitted to the same levels twice differ by rounding, those of two chips by far more.
_SAME_CHIP_LSB = 1e-9
_DRAWN = 1000


def judge_one(model: AdcSurrogate, measured: Measured) -> Verdict:
    """Verdict on the levels of one chip, from its whole conversions."""
    if measured.chips != 1:
        raise UsageError(
            f"{measured.results.path} holds {measured.chips} chips and the model describes one"
        )
    if "loop_input" not in measured.arrays:
        why = "no whole conversion was measured, so there is nothing that the fit did not see"
        return Verdict("not judged", why, (), (), 0, 0)
    figure = figure_in_loop(model.levels_v()[None], measured, np.array([True]), model.lsb_v)
    gates = (Gate.at_most("max_error", figure.max / model.lsb_v, model.model.gates["max_error"],
                          "LSB"),)  # fmt: skip
    state, reason = judge(gates, model.admissibility())
    if figure.count < FEWEST and state == "pass":
        state, reason = "not judged", f"{figure.count} conversions; {FEWEST} are the fewest"
    return Verdict(state, reason, gates, (figure,), figure.count, 1)


def judge_many(model: AdcSurrogate, measured: Measured) -> Verdict:
    """Verdict on a population, from chips that it does not contain."""
    hidden = unseen(model, measured)
    if hidden is None or np.count_nonzero(hidden) < FEWEST:
        few = "too few chips to hold out five and fit five" if hidden is None else "too few chips"
        everything = np.ones(measured.chips, dtype=bool)
        figures = _figures(model, measured, everything)
        note = "the errors are of codes that a chip's fit did not see, on chips that it did see"
        return Verdict("not judged", few, (), figures, count_points(figures), 0, notes=(note,))
    figures = _figures(model, measured, hidden)
    worst = largest_error(figures) / model.lsb_v
    error_gate = Gate.at_most("max_error", worst, model.model.gates["max_error"], "LSB")
    spreads = _spreads(model, measured, hidden)
    gates = (error_gate, *(gate for gate, _ in spreads.values()))
    notes = [f"{name}, held out over fitted: {ratio}" for name, (_, ratio) in spreads.items()]
    state, reason = judge_spreads((error_gate,), spreads.values(), model.admissibility())
    notes.append(_inl_note(model, measured, hidden))
    if measured.columns > 1:
        notes.append(f"{measured.columns} converters of each chip, counted as chips of their own")
    chips = int(np.count_nonzero(hidden))
    return Verdict(state, reason, gates, figures, count_points(figures), chips, notes=tuple(notes))


def unseen(model: AdcSurrogate, measured: Measured) -> NDArray[np.bool_] | None:
    """Chips (chip,) of which the fit saw nothing; None if those of the fit are too few to tell."""
    if model.was_fitted_to(measured):
        return measured.hidden_chips()
    return ~seen_chips(model, measured)


def seen_chips(model: AdcSurrogate, measured: Measured) -> NDArray[np.bool_]:
    """Chips (chip,) of other results that the fit saw."""
    if model.level_law is None:
        here = fit_weights(forced_levels(measured), model.bits)
        seen = np.column_stack([model.array("bit_weight"), model.array("level_offset")])
    else:
        here, seen = measured.arrays["transition_level"], model.array("transition_level")
    seen = seen[model.array("held_out") == 0]
    return same_rows(here, seen, _SAME_CHIP_LSB * model.lsb_v)


def _figures(
    model: AdcSurrogate, measured: Measured, chips: NDArray[np.bool_]
) -> tuple[ErrorFigure, ...]:
    """Errors of levels that are predicted from the few checked codes of each chip."""
    bits, lsb = model.bits, model.lsb_v
    checked = checked_codes(bits)
    others = np.setdiff1d(np.arange(1, 2**bits), checked)
    levels = measured.arrays["transition_level"][chips]
    shared = model.shared_level_v
    forced = forced_levels(measured)[chips] - (0.0 if shared is None else shared)
    predicted = predict_levels(fit_weights(forced, bits, checked), bits, shared)
    line = compute_inl_dnl(levels, method="best-fit")
    linear = line.inl_lsb * line.q_v[:, None]
    by_null = ErrorFigure.of(
        "transition_level",
        "V",
        (predicted - levels)[:, others - 1],
        linear_error=linear[:, others - 1],
        resolution=1e-3 * lsb,
        lsb=lsb,
        note=f"from the weights that {len(checked)} checked codes give"
        + ("" if shared is None else ", and the curvature that all chips share"),
    )
    if "loop_input" not in measured.arrays:
        return (by_null,)
    return by_null, figure_in_loop(predicted, measured, chips, lsb)


def figure_in_loop(
    levels: Floats, measured: Measured, chips: NDArray[np.bool_], lsb_v: float
) -> ErrorFigure:
    """Error of levels (chip, code) in V of some chips against their whole conversions."""
    bracketed = value_of(measured.parameters, "stimulus.loop_input") is None
    inputs = measured.arrays["loop_input"] * measured.arrays["reference_voltage"][:, None]
    found = [
        compute_loop_error(level, voltage, code, lsb_v, bracketed=bracketed)
        for level, voltage, code in zip(
            levels, inputs[chips], measured.arrays["loop_code"][chips], strict=True
        )
    ]
    return loop_figure(found, lsb_v, bracketed=bracketed)


def _spreads(
    model: AdcSurrogate, measured: Measured, hidden: NDArray[np.bool_]
) -> dict[str, tuple[Gate, SpreadRatio]]:
    """Gates on the spread of bit weights and of the offset, of those that vary."""
    weights = fit_weights(forced_levels(measured)[hidden], model.bits)
    mean, cov = model.array("population_mean"), model.array("population_covariance")
    sigma = np.maximum(np.sqrt(np.diag(cov)), weights.std(axis=0))
    varies = (sigma > _NO_SPREAD_LSB * model.lsb_v) & (np.diag(cov) > 0)
    is_offset = np.arange(model.bits + 1) == model.bits
    found = {}
    for name, gate, part in (
        ("spread of bit weights", "spread_factor", varies & ~is_offset),
        ("spread of offset", "offset_spread_factor", varies & is_offset),
    ):
        if part.any():
            ratio = compute_spread_ratio(
                weights[:, part],
                mean[part],
                cov[np.ix_(part, part)],
                int(model.value("fitted_chips")),
            )
            limit = model.model.gates[gate]
            found[name] = (Gate.at_most(f"{gate}", ratio.factor, limit, "1"), ratio)
    return found


def _inl_note(model: AdcSurrogate, measured: Measured, hidden: NDArray[np.bool_]) -> str:
    drawn = compute_inl_dnl(model.sample_chips(_DRAWN, 0)["transition_level"]).inl_lsb
    kept = compute_inl_dnl(measured.arrays["transition_level"][hidden]).inl_lsb
    centre = drawn.mean(axis=0)
    of_drawn, of_kept = (float(np.sqrt(np.mean((x - centre) ** 2))) for x in (drawn, kept))
    ratio = compute_quadratic_ratio(
        fit_weights(forced_levels(measured)[hidden], model.bits),
        model.array("population_mean"),
        model.array("population_covariance"),
        int(model.value("fitted_chips")),
        _inl_metric(model.bits),
    )
    return (
        f"spread of INL (end-point, rms over codes): {of_kept:.4g} LSB of held-out chips, "
        f"{of_drawn:.4g} LSB of {_DRAWN} drawn chips; held out over fitted: {ratio}"
    )


def _inl_metric(bits: int) -> Floats:
    """MᵀM of the map M from weights and offset to end-point INL in V, in order of the codes."""
    design = design_matrix(np.arange(1, 2**bits), bits)
    along = np.linspace(0.0, 1.0, len(design))[:, None]
    inl = design - design[:1] - along * (design[-1:] - design[:1])
    return np.asarray(inl.T @ inl)


def count_points(figures: tuple[ErrorFigure, ...]) -> int:
    """Held-out values of all figures."""
    return sum(figure.count for figure in figures)
