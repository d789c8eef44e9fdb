"""Verdict on the surrogate of a charge-domain array.

Two things are judged, one by one.

*Outputs.* A chip's own weights come from its calibration vectors, and its held-out vectors are
judged: of held-out chips where there are ten chips or more. Where the calibration vectors do not
determine the cells (fewer vectors than cells that vary) the error of an output has a standard
deviation that the model itself states, and no surrogate fitted to these data can be better. If
that alone exceeds the gate and the errors agree with it, the verdict is "not judged".

*Population.* Outputs of held-out chips are compared with the population before anything is known
of them: r = V − mean has the covariance K of the law. Along the eigenvectors of K in which chips
vary (the solver's noise left out) χ² = Σ (e·r)²/λ over n of them has the mean n.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2

from imccircuit.surrogates.charge_cells import cells_of, products_of
from imccircuit.surrogates.charge_law import design
from imccircuit.surrogates.data import FEWEST, Measured, held_out
from imccircuit.surrogates.seen import Again
from imccircuit.surrogates.spread import QUANTILES, SpreadRatio
from imccircuit.surrogates.verdict import ErrorFigure, Gate, Verdict, judge

if TYPE_CHECKING:
    from imccircuit.surrogates.charge_column import ChargeColumnSurrogate

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

# An ideal model nearer than this to SPICE, in LSB, leaves nothing to gain: that is the solver.
_RESOLUTION_LSB = 1e-4
# Chips vary along directions that carry so many times the variance of what is left.
_VARIES = 25.0
# Errors at the gate lie this many standard deviations out.
_OUT = 3.0


def judge_charge(model: ChargeColumnSurrogate, measured: Measured) -> Verdict:
    """Errors of held-out outputs, and spread of held-out chips, with their gates."""
    again = None if model.was_fitted_to(measured) else model.seen_again(measured)
    if again is not None and (why := again.why_not()):
        return Verdict("not judged", why)
    chips, vectors = _split(model, measured, again)
    if vectors is None:
        count = measured.arrays["input"].shape[1]
        why = f"{count} vectors are too few to hold out {FEWEST} and to fit {FEWEST}"
        return Verdict("not judged", why)
    truth = measured.arrays["output_voltage"][chips]
    predicted, stated, chi = _outputs(model, measured, truth, vectors)
    step = model.step_v
    figure = ErrorFigure.of(
        "output_voltage",
        "V",
        predicted - truth[:, vectors],
        linear_error=_best_line(model, measured, chips, vectors) - truth[:, vectors],
        resolution=_RESOLUTION_LSB * step,
        lsb=step,
        note=f"cells from {np.count_nonzero(~vectors)} other vectors of each chip",
    )
    name = "max_error_transistor" if model.order else "max_error"
    limit = model.model.gates[name]
    gates = [Gate.at_most(name, figure.max / step, limit, "LSB")]
    count = figure.count
    notes = [
        f"errors over the standard deviation that the model states for them: {chi}",
        f"its part from cells that these vectors do not determine: up to {stated:.3g} LSB",
    ]
    spread = _spread(model, measured, chips)
    if spread is not None:
        gates.append(
            Gate.at_most("spread_factor", spread.factor, model.model.gates["spread_factor"], "1")
        )
        notes.append(f"spread of outputs over chips, held out over fitted: {spread}")
    problems = model.admissibility()
    state, reason = judge(tuple(gates), problems)
    if state == "fail" and not problems:
        vary = bool(np.isfinite(law_error(model)))
        unknown = vary and not gates[0].holds and _OUT * stated > limit and chi.low <= 1.0
        few = spread is not None and not gates[-1].holds and not spread.is_contradicted
        if (unknown or gates[0].holds) and (spread is None or gates[-1].holds or few):
            state = "not judged"
            why = "these vectors do not determine the cells" if unknown else "too few chips"
            reason = f"{why}: {reason}"
    return Verdict(state, reason, tuple(gates), (figure,), count, len(truth), notes=tuple(notes))


def _split(
    model: ChargeColumnSurrogate, measured: Measured, again: Again | None
) -> tuple[Mask, Mask | None]:
    """Chips that are judged, and held-out vectors; None if too few.

    ``again`` is what the fit saw of other results, None of its own.
    """
    vectors = held_out(measured.arrays["input"].shape[1])
    every = np.ones(measured.chips, dtype=bool)
    if again is not None and again.by_chips:
        return ~again.chips, vectors
    if again is not None:
        # The fit's own vectors tell a chip's cells, what it did not see is judged.
        return every, ~again.vectors
    hidden = model.array("held_out") == 1
    return (hidden if hidden.any() else every), vectors


def _outputs(
    model: ChargeColumnSurrogate, measured: Measured, truth: Floats, vectors: Mask
) -> tuple[Floats, float, SpreadRatio]:
    """Held-out outputs in V, the largest σ in LSB from cells, and errors over what is stated."""
    inputs, stored = measured.arrays["input"][0], measured.arrays["weight"][0]
    products, active = products_of(inputs, stored, model.model.settings["product"])
    law, step = model.law, model.step_v
    known = cells_of(law, truth[:, ~vectors], products[~vectors], active[~vectors], model.order)
    predicted = np.stack([
        model.predict(x=inputs[vectors], w=stored, cell_weight=cells, column_offset=offset)[
            "output_voltage_v"
        ]
        for cells, offset in zip(
            known["cell_weight"].values, known["column_offset"].values, strict=True
        )
    ])  # fmt: skip
    error = (predicted - truth[:, vectors]) / step
    table = design(model.rows, products.sum(axis=1) / model.rows, active, model.order)
    stated, squares = 0.0, 0.0
    for j in range(error.shape[2]):
        new, seen = ((products[v][:, :, j], table[v][:, j]) for v in (vectors, ~vectors))
        left = law.remaining(new, seen)
        # Of the cells alone: what the law leaves is the law's fault.
        of_cells = np.maximum(np.diag(left) - law.sigmas[2] ** 2, 0.0)
        stated = max(stated, float(np.sqrt(np.max(of_cells))))
        squares += chi_square(error[:, :, j], left, law.sigmas[2] ** 2)
    return predicted, stated, _ratio(squares, error.size)


def chi_square(error: Floats, covariance: Floats, least: float) -> float:
    """Σ eᵀK⁻¹e of errors (chip, vector) over their covariance (vector, vector).

    Terms that the seen vectors hardly determine make K so large along them that what is left
    elsewhere drowns in rounding, down to negative variances. No variance is below ``least``, that
    of what is left of each vector by itself, nor known better than to that rounding.
    """
    values, vectors = np.linalg.eigh(covariance)
    rounding = len(values) * np.finfo(float).eps * values[-1]
    return float(np.sum((error @ vectors) ** 2 / np.maximum(values, max(least, rounding))))


def _spread(model: ChargeColumnSurrogate, measured: Measured, chips: Mask) -> SpreadRatio | None:
    """Spread of outputs of chips that the fit did not see over the population's."""
    if model.was_fitted_to(measured) and not model.array("held_out").any():
        return None
    if np.count_nonzero(chips) < FEWEST or not np.isfinite(law_error(model)):
        return None
    products, active = products_of(
        measured.arrays["input"][0], measured.arrays["weight"][0], model.model.settings["product"]
    )
    law = model.law
    mean = law.mean(design(model.rows, products.sum(axis=1) / model.rows, active, model.order))
    left = (measured.arrays["output_voltage"][chips] - mean) / law.step_v
    squares, count = 0.0, 0
    for j in range(left.shape[2]):
        values, vectors = np.linalg.eigh(law.covariance(products[:, :, j]))
        varies = values > _VARIES * max(law.sigmas[2], _RESOLUTION_LSB) ** 2
        along = left[:, :, j] @ vectors[:, varies]
        squares += float(np.sum(along**2 / (values[varies] + law.sigmas[2] ** 2)))
        count += along.size
    return _ratio(squares, count) if count else None


def law_error(model: ChargeColumnSurrogate) -> float:
    """Standard deviation of the fitted spread of capacitors; NaN if none was found."""
    return float(model.law.sigma_errors[0])


def _ratio(squares: float, count: int) -> SpreadRatio:
    """√(χ²/n) with the interval that n independent Gaussian numbers give."""
    return SpreadRatio.of(float(np.sqrt(squares)), np.sqrt(chi2.ppf(QUANTILES, count)))


def _best_line(
    model: ChargeColumnSurrogate, measured: Measured, chips: Mask, vectors: Mask
) -> Floats:
    """Held-out outputs by one straight line in the number of products, fitted to themselves."""
    products, _ = products_of(
        measured.arrays["input"][0], measured.arrays["weight"][0], model.model.settings["product"]
    )
    truth = measured.arrays["output_voltage"][chips][:, vectors]
    count = np.broadcast_to(products.sum(axis=1)[vectors], truth.shape)
    if np.ptp(count) == 0:
        return np.full(truth.shape, truth.mean())
    line = np.polyfit(count.ravel(), truth.ravel(), 1)
    return np.asarray(np.polyval(line, count))
