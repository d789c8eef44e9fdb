"""Verdicts on the surrogate of cells: on held-out points, and on held-out chips."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from imccircuit.errors import UsageError
from imccircuit.surrogates.cell_comparison import CONTRASTS, Comparison, compare
from imccircuit.surrogates.cell_data import CellData, calibration_of, fit_own, predict
from imccircuit.surrogates.data import FEWEST, HELD_OUT_SHARE, Measured, choose, held_out
from imccircuit.surrogates.seen import same_rows
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
    own = fit_own(data, model.shared, chips, everywhere, model.known_conductance)
    compared = _compare(model, own)
    checks = [check for name in compared for check in _checks(model, name, compared[name])]
    notes = [line for name in compared for line in _lines(name, compared[name])]
    notes += _law_notes(model)
    constant = _changed_constant(model, own)
    all_gates = (*gates, *(gate for gate, _ in checks))
    state, reason = judge(all_gates, (*model.admissibility(), *constant))
    contradicted = [gate for gate, wrong in checks if not gate.holds and wrong]
    right = all(gate.holds for gate in gates) and not model.admissibility() and not constant
    if right and state == "fail" and not contradicted:
        state, reason = "not judged", f"too few chips to tell the spread: {reason}"
    count = int(np.count_nonzero(chips))
    return Verdict(state, reason, all_gates, figures, _count(figures), count, notes=tuple(notes))


def _unseen(model: CellSurrogate, measured: Measured, data: CellData) -> Mask | None:
    if model.was_fitted_to(measured):
        return held_out(measured.chips)
    return ~seen_chips(model, data)


def seen_chips(model: CellSurrogate, data: CellData) -> Mask:
    """Chips (chip,) of other results that the fit saw: current over current, point by point."""
    seen = model.array("reference_current")[model.array("held_out") == 0]
    # Logarithms, for what is relative is the difference: ln(1 + x) is x to rounding of 1e-9.
    return same_rows(np.log(np.abs(data.current[..., -1])), np.log(np.abs(seen)), _SAME_CHIP)


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


def _values(model: CellSurrogate, own: Floats) -> dict[str, Floats]:
    """Quantities (chip, level, cell) by name, from own numbers."""
    found = {"cell_conductance": np.exp(own[..., 0])}
    if model.gated:
        found |= {"threshold_shift": own[..., 1], "current_factor": np.exp(own[..., 2])}
    return found


def _compare(model: CellSurrogate, own: Floats) -> dict[str, Comparison]:
    """Each quantity that varies, held-out cells against the population."""
    values = _values(model, own)
    names = model.spread_quantities
    levels = sum(len(model.spread(name).levels) for name in names)
    several = min(own.shape[1:3]) > 1
    contrasts = sum(
        len(CONTRASTS) if several and len(model.spread(name).levels) > 1 else 1 for name in names
    )
    chips = int(model.value("fitted_chips"))
    return {
        name: compare(model.spread(name), values[name], chips, levels=levels, contrasts=contrasts)
        for name in names
    }


def _changed_constant(model: CellSurrogate, own: Floats) -> tuple[str, ...]:
    """Quantities that do not vary in the model and differ on the chips."""
    return tuple(
        f"{_label(name)} is the same for all cells of the model and not for those held out"
        for name, values in _values(model, own).items()
        if model.spread(name).changes(values)
    )


def _checks(model: CellSurrogate, name: str, found: Comparison) -> list[tuple[Gate, bool]]:
    """Gates on the worst level or contrast, and whether a right population is contradicted."""
    limits, label = model.model.gates, _label(name)
    checks = []
    for key, findings in (
        ("spread_factor", found.ratios),
        ("mean_shift", found.shifts),
        ("chip_spread_factor", found.contrasts),
    ):
        limit = limits[key]
        worst = max(finding.size for finding in findings)
        # A level that is wrong must not hide behind one that is merely uncertain.
        wrong = any(f.contradicted for f in findings if not f.size <= limit)
        checks.append((Gate.at_most(f"{key} of {label}", worst, limit, "1"), wrong))
    return checks


def _lines(name: str, found: Comparison) -> list[str]:
    label, levels = _label(name), [f"level {k}" for k in found.levels]
    return [
        f"{what} (90 % intervals, all together): "
        + "; ".join(f"{where} {finding}" for where, finding in zip(names, findings, strict=False))
        for what, names, findings in (
            (f"spread of {label}, held out over fitted", levels, found.ratios),
            (f"mean of {label}, held out less fitted, in fitted sd", levels, found.shifts),
            (f"spread of what cells share of {label}, held out over fitted",
             CONTRASTS, found.contrasts),
        )
    ]  # fmt: skip


def _label(name: str) -> str:
    return name.replace("_", " ")


def _law_notes(model: CellSurrogate) -> list[str]:
    notes = []
    for name in model.spread_quantities:
        spread = model.spread(name)
        laws = ", ".join(dict.fromkeys(spread.laws))
        shared = spread.shared
        if min(model.array("cell_conductance").shape[1:]) > 1:
            text = (
                f"correlation of cells of a chip {shared.chip:.2g}, of one level "
                f"{shared.chip + shared.level:.2g}, of one place in two levels "
                f"{shared.chip + shared.cell:.2g}"
            )
        else:
            text = (
                f"correlation of cells of a chip {shared.chip:.2g}; what of it is the chip's, a "
                "level's or a place's cannot be told with one level or one cell a level"
            )
        notes.append(f"law of {_label(name)}: {laws}; {text}")
    return notes


def _count(figures: tuple[ErrorFigure, ...]) -> int:
    return sum(figure.count for figure in figures)
