"""Verdict on a population of levels, from chips that it does not contain.

What such a model does is replay measured chips and draw new ones, and that is what is judged:

- levels of held-out chips, as measured, against their whole conversions where there are any
  (`max_error`);
- their spread: of levels about each chip's straight line and of steps (`spread_factor`), of offset
  and gain (`offset_spread_factor`), by the same rule as of bit weights. Levels tell of errors that
  run through many codes, steps of those that each code has for itself, so that both correlations
  and σ are looked at.

That a few levels of a chip tell the others is no claim of the model, and of independent errors, as
the comparators of a flash converter have, it is impossible. The error of such a prediction, the
conditional mean of the normal law, is shown with what the law expects of it, and has no gate.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from imccircuit.benches.adc_transfer import checked_codes
from imccircuit.metrics.adc import compute_inl_dnl
from imccircuit.surrogates.adc_level_law import LevelLaw, line_basis
from imccircuit.surrogates.adc_verdict import count_points, figure_in_loop, unseen
from imccircuit.surrogates.data import FEWEST, Measured
from imccircuit.surrogates.spread import SpreadRatio, compute_quadratic_ratio, judge_spreads
from imccircuit.surrogates.verdict import ErrorFigure, Gate, Verdict

if TYPE_CHECKING:
    from imccircuit.surrogates.adc import AdcSurrogate

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]

# What varies less than this, in LSB, does not vary: that is the solver's noise.
_NO_SPREAD_LSB = 1e-4
# Codes, evenly spread, whose spread is judged: its interval is simulated with all of them.
_JUDGED = 32
_DRAWN = 1000
FROM_FEW_CODES = "level from a few codes"
"""Quantity of the error that has no gate."""


def shown_codes(bits: int) -> Codes:
    """Codes from end to end that tell the others of a chip: as many as are checked of a SAR's."""
    count = len(checked_codes(bits))
    return np.unique(np.rint(np.linspace(1, 2**bits - 1, count)).astype(np.int64))


def judge_levels(model: AdcSurrogate, law: LevelLaw, measured: Measured) -> Verdict:
    """Verdict on the population ``law`` of a model, from held-out chips; see the module."""
    hidden = unseen(model, measured)
    few = hidden is None or np.count_nonzero(hidden) < FEWEST
    chips = np.ones(measured.chips, dtype=bool) if few or hidden is None else hidden
    levels = measured.arrays["transition_level"][chips]
    predicted, expected_v = _predicted(model, law, levels)
    has_loop = "loop_input" in measured.arrays
    loops = (figure_in_loop(levels, measured, chips, model.lsb_v),) if has_loop else ()
    figures = (predicted, *loops)
    if few:
        why = "too few chips to hold out five and fit five" if hidden is None else "too few chips"
        note = "the errors are of codes that were not shown, on chips that the fit did see"
        return Verdict("not judged", why, (), figures, count_points(figures), 0, notes=(note,))
    limits = model.model.gates
    errors = tuple(
        Gate.at_most("max_error", figure.max / model.lsb_v, limits["max_error"], "LSB")
        for figure in loops
    )
    spreads = _spreads(model, law, levels)
    gates = (*errors, *(gate for gate, _ in spreads.values()))
    state, reason = judge_spreads(errors, spreads.values(), model.admissibility())
    notes = [f"{name}, held out over fitted: {ratio}" for name, (_, ratio) in spreads.items()]
    notes += [
        _drawn_note(model, levels),
        f"levels from {len(shown_codes(model.bits))} codes: rms of the error "
        f"{predicted.rms / model.lsb_v:.4g} LSB, of which the law expects "
        f"{expected_v / model.lsb_v:.4g} LSB; no gate, for the model does not predict chips",
    ]
    if not has_loop:
        notes.append(
            "levels of a chip are as measured; no whole conversion was measured to judge them by"
        )
    return Verdict(
        state, reason, gates, figures, count_points(figures), len(levels), notes=tuple(notes)
    )


def _predicted(model: AdcSurrogate, law: LevelLaw, levels: Floats) -> tuple[ErrorFigure, float]:
    """Error of levels that follow from a few of a chip, and the rms in V that the law expects."""
    shown = shown_codes(model.bits)
    others = np.setdiff1d(np.arange(1, levels.shape[1] + 1), shown)
    mean, sigma = law.predict(levels, shown)
    line = compute_inl_dnl(levels, method="best-fit")
    linear = line.inl_lsb * line.q_v[:, None]
    figure = ErrorFigure.of(
        FROM_FEW_CODES,
        "V",
        (mean - levels)[:, others - 1],
        linear_error=linear[:, others - 1],
        resolution=1e-3 * model.lsb_v,
        lsb=model.lsb_v,
        note=f"conditional mean of the law where {len(shown)} evenly spread codes are shown",
    )
    return figure, float(np.sqrt(np.mean(sigma[others - 1] ** 2)))


def _spreads(
    model: AdcSurrogate, law: LevelLaw, levels: Floats
) -> dict[str, tuple[Gate, SpreadRatio]]:
    """Gates on the spread of levels about their line, of steps, and of offset and gain."""
    count = levels.shape[1]
    codes = np.unique(np.rint(np.linspace(1, count, min(count, _JUDGED))).astype(np.int64))
    basis = line_basis(len(codes))
    # Every figure is linear in the levels of a few codes: a matrix (figure, code) of each.
    about = np.eye(len(codes)) - basis.T @ basis
    lower = np.unique(np.minimum(codes, count - 1))
    both = np.eye(len(lower))
    parts = (
        ("spread of levels about their line", "spread_factor", "", codes, about),
        ("spread of steps", "spread_factor", " of steps", np.append(lower + 1, lower),
         np.hstack([both, -both])),
        ("spread of offset and gain", "offset_spread_factor", "", codes, basis),
    )  # fmt: skip
    found = {}
    for name, gate, of, used, matrix in parts:
        cov = law.covariance(used)[:, used - 1]
        sigma = np.sqrt(np.maximum(np.diag(matrix @ cov @ matrix.T), 0.0))
        found_v = (levels[:, used - 1] @ matrix.T).std(axis=0)
        varies = (np.maximum(sigma, found_v) > _NO_SPREAD_LSB * model.lsb_v) & (sigma > 0)
        if varies.any():
            # Each in units of its σ in the law. Not of its own in the chips that were fitted, for
            # the law knows a code's σ from all codes.
            scaled = matrix[varies] / sigma[varies, None]
            ratio = compute_quadratic_ratio(
                levels[:, used - 1],
                law.mean_v[used - 1],
                cov,
                int(model.value("fitted_chips")),
                scaled.T @ scaled,
            )
            limit = model.model.gates[gate]
            found[name] = (Gate.at_most(f"{gate}{of}", ratio.factor, limit, "1"), ratio)
    return found


def _drawn_note(model: AdcSurrogate, levels: Floats) -> str:
    drawn = compute_inl_dnl(model.sample_chips(_DRAWN, 0)["transition_level"])
    kept = compute_inl_dnl(levels)
    text = []
    for name, ours, theirs in (
        ("INL (end-point)", drawn.inl_lsb, kept.inl_lsb),
        ("DNL", drawn.dnl_lsb, kept.dnl_lsb),
    ):
        centre = ours.mean(axis=0)
        of_drawn, of_kept = (float(np.sqrt(np.mean((x - centre) ** 2))) for x in (ours, theirs))
        text.append(f"{name} {of_kept:.4g} and {of_drawn:.4g} LSB")
    return f"spread of held-out and of {_DRAWN} drawn chips, rms over codes: {'; '.join(text)}"
