"""Verdicts on the surrogate of cells: on held-out points, and on held-out chips."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from imccircuit.errors import UsageError
from imccircuit.surrogates.cell_data import CellData, calibration_of, fit_own, predict
from imccircuit.surrogates.data import FEWEST, HELD_OUT_SHARE, Measured, choose, held_out
from imccircuit.surrogates.spread import SpreadRatio, compute_spread_ratio
from imccircuit.surrogates.verdict import ErrorFigure, Gate, Verdict, judge
from imccircuit.units import format_quantity

if TYPE_CHECKING:
    from imccircuit.surrogates.cell import CellSurrogate

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

# A relative difference of currents below which two chips are the same one, measured again.
_SAME_CHIP = 1e-9
# What a solver with reltol 1e-6 leaves, over the level's largest current.
_RESOLUTION = 1e-6
_FEWEST_FITTED = 3


def hidden_points(data: CellData) -> Mask:
    """Held-out points (point,) of a single chip: a fifth, at least five; none if that is most."""
    size = max(FEWEST, round(HELD_OUT_SHARE * data.points))
    if data.points - size < data.own_count + _FEWEST_FITTED:
        return np.zeros(data.points, dtype=bool)
    return choose(data.points, size)


def judge_one(model: CellSurrogate, measured: Measured, data: CellData) -> Verdict:
    """Verdict on the cells of one chip, at points that the fit did not see."""
    if measured.chips != 1:
        raise UsageError(
            f"{measured.results.path} holds {measured.chips} chips and the model describes one"
        )
    hidden = np.ones(data.points, dtype=bool)
    if model.was_fitted_to(measured):
        hidden = hidden_points(data)
    if not hidden.any():
        why = f"{data.points} points are too few to hold out {FEWEST}"
        return Verdict("not judged", why)
    error = predict(data, model.shared, model.own) - data.current
    figures, gates = _figures(model, data, error, np.ones(1, dtype=bool), hidden)
    state, reason = judge(gates, model.admissibility())
    return Verdict(state, reason, gates, figures, _count(figures), 1)


def judge_many(model: CellSurrogate, measured: Measured, data: CellData) -> Verdict:
    """Verdict on a population, from chips that it does not contain."""
    hidden = _unseen(model, measured, data)
    calibration = calibration_of(data)
    few = hidden is None or np.count_nonzero(hidden) < FEWEST
    chips = np.ones(measured.chips, dtype=bool) if few or hidden is None else hidden
    own = fit_own(data, model.shared, chips, calibration, model.known_conductance)
    error = np.zeros(data.current.shape)
    error[chips] = (
        data.law.current(model.shared, own[..., None, :], data.bit_v, data.word_v)
        - data.current[chips]
    )
    figures, gates = _figures(model, data, error, chips, ~calibration)
    if few:
        note = "the errors are at points that a chip's fit did not see, on chips that it did see"
        why = "too few chips to hold out five and fit five"
        return Verdict("not judged", why, (), figures, _count(figures), 0, notes=(note,))
    everywhere = np.ones(data.points, dtype=bool)
    known = model.known_conductance
    spreads = _spreads(model, fit_own(data, model.shared, chips, everywhere, known))
    notes = [f"{name}, held out over fitted: {ratio}" for name, (_, ratio) in spreads.items()]
    notes += _law_notes(model)
    all_gates = (*gates, *(gate for gate, _ in spreads.values()))
    state, reason = judge(all_gates, model.admissibility())
    contradicted = [gate for gate, r in spreads.values() if not gate.holds and r.excludes_one]
    right = all(gate.holds for gate in gates) and not model.admissibility()
    if right and state == "fail" and not contradicted:
        state, reason = "not judged", f"too few chips to tell the spread: {reason}"
    count = int(np.count_nonzero(chips))
    return Verdict(state, reason, all_gates, figures, _count(figures), count, notes=tuple(notes))


def _unseen(model: CellSurrogate, measured: Measured, data: CellData) -> Mask | None:
    if model.was_fitted_to(measured):
        return held_out(measured.chips)
    # The same seed with more samples holds the fit's chips again.
    seen = model.array("reference_current")[model.array("held_out") == 0]
    here = data.current[..., -1]
    distance = np.abs(here[:, None] / seen[None] - 1).max(axis=(2, 3)).min(axis=1)
    return np.asarray(distance > _SAME_CHIP)


def _figures(
    model: CellSurrogate, data: CellData, error: Floats, chips: Mask, points: Mask
) -> tuple[tuple[ErrorFigure, ...], tuple[Gate, ...]]:
    """Error of each level, and the gates on the worst of them."""
    figures, nrmse, largest = [], [], []
    programmed = model.array("programmed_conductance")
    for level, conductance in enumerate(programmed):
        current = data.current[chips][:, level]
        straight = _straight_line_error(current, data.bit_v)[..., points]
        here = error[chips][:, level][..., points]
        scale = float(np.abs(current).max())
        figure = ErrorFigure.of(
            f"current, level {level} ({format_quantity(float(conductance), 'S')})",
            "A",
            here,
            linear_error=straight,
            resolution=_RESOLUTION * scale,
        )
        figures.append(figure)
        nrmse.append(figure.rms / float(np.sqrt(np.mean(current[..., points] ** 2))))
        largest.append(figure.max / scale)
    limits = model.model.gates
    gates = (
        Gate.at_most("nrmse", max(nrmse), limits["nrmse"], "1"),
        Gate.at_most("max_error", max(largest), limits["max_error"], "FS"),
    )
    return tuple(figures), gates


def _straight_line_error(current: Floats, bit_v: Floats) -> Floats:
    """Error of the best resistor in the place of each cell: (…, point)."""
    slope = (current @ bit_v) / (bit_v @ bit_v)
    return np.asarray(slope[..., None] * bit_v - current)


def _spreads(model: CellSurrogate, own: Floats) -> dict[str, tuple[Gate, SpreadRatio]]:
    """Gates on the spread of each quantity, by the normal scores of held-out cells."""
    values = {"cell_conductance": np.exp(own[..., 0])}
    if model.gated:
        values |= {"threshold_shift": own[..., 1], "current_factor": np.exp(own[..., 2])}
    found = {}
    for name in model.spread_quantities:
        spread = model.spread(name)
        scores = spread.scores(values[name])
        levels, cells = scores.shape[1:]
        # Cells of one level and chip are correlated as fitted, all others independent.
        block = np.full((cells, cells), spread.correlation)
        np.fill_diagonal(block, 1.0)
        covariance = np.kron(np.eye(levels), block)
        ratio = compute_spread_ratio(
            scores.reshape(len(scores), -1),
            np.zeros(levels * cells),
            covariance,
            int(model.value("fitted_chips")),
        )
        limit = model.model.gates["spread_factor"]
        label = name.replace("_", " ")
        gate = Gate.at_most(f"spread_factor of {label}", ratio.factor, limit, "1")
        found[f"spread of {label}"] = (gate, ratio)
    return found


def _law_notes(model: CellSurrogate) -> list[str]:
    notes = []
    for name in model.spread_quantities:
        spread = model.spread(name)
        laws = ", ".join(dict.fromkeys(spread.laws))
        notes.append(
            f"law of {name.replace('_', ' ')}: {laws}; correlation within a level of a chip "
            f"{spread.correlation:.2g}"
        )
    return notes


def _count(figures: tuple[ErrorFigure, ...]) -> int:
    return sum(figure.count for figure in figures)
