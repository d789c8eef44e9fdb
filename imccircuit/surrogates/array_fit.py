"""Fit of a crossbar's resistances and cell law to measured column currents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imccircuit.benches.crossbar_parameters import CrossbarParameters
from imccircuit.errors import EngineError
from imccircuit.surrogates.array_model import ArrayModel
from imccircuit.surrogates.base import Parameter

Floats = NDArray[np.float64]

# Relative to the σ of the currents. Simulators repeat currents to about 1e-9 of it; taking 1e-6
# for the least error keeps the stated σ of a fitted number honest where the fit is exact.
_ERROR_FLOOR = 1e-6
# A parameter whose natural logarithm is not known to this is called not identified.
_IDENTIFIED = 0.5
# Drive over V0 below which a sinh cell differs from a linear one by less than 2 ppm.
_LINEAR_V0 = 300.0
_START_SHARES = (1e-4, 1e-3, 1e-2, 1e-1)

_OTHER_UNITS = {"v0_v": "V", "r_rise_ohm_per_a": "ohm/A"}
UNITS = {name: _OTHER_UNITS.get(name, "ohm") for name in ArrayModel.__dataclass_fields__}
# Share by which the rise of a resistance must change a cell's current at least, as with V0.
_LEAST_RISE = 2e-6


@dataclass(frozen=True)
class ChipData:
    """What was measured of one chip: (row, col) S, (batch, row) V, (batch, col) A.

    And where its bit lines' ends are known to stand, (col,) in V; None is 0 V.
    """

    conductance_s: Floats
    voltage_v: Floats
    current_a: Floats
    sense_v: Floats | None = None


def fitted_names(parameters: CrossbarParameters) -> tuple[str, ...]:
    """Names of the numbers of an `ArrayModel` that a circuit with these elements has."""
    circuit = parameters.circuit
    present = {
        "r_row_ohm": circuit.row_ohm > 0,
        "r_col_ohm": circuit.column_ohm > 0,
        "r_driver_ohm": circuit.driver_resistance > 0,
        "r_sense_ohm": circuit.sense_resistance > 0 or circuit.readout != "ideal",
        "r_series_ohm": circuit.cell == "1t1r",
        "r_rise_ohm_per_a": circuit.cell == "1t1r",
        "v0_v": circuit.cell == "1r_sinh",
    }
    return tuple(name for name, there in present.items() if there)


def fit_array(
    chips: Sequence[ChipData],
    names: tuple[str, ...],
    *,
    offset: bool,
    begin: ArrayModel | None = None,
) -> tuple[ArrayModel, dict[str, Parameter]]:
    """Least-squares fit of ``names`` in the logarithm, to column currents.

    Parameters
    ----------
    chips : what the fit may see.
    names : attributes of `ArrayModel` that are fitted; all others are 0, or linear.
    offset : the ends of the bit lines stand at voltages that are not known, or not well (offsets
        of amplifiers). What they do to a column's currents, to first order a voltage times the
        column's slopes, is eliminated: of linear cells a constant.
    begin : where the search begins; by default at the best of four guesses.

    Returns
    -------
    The model, and each fitted number with its σ: from the Jacobian and the residual, or from an
    error of 1e-6 of the currents' σ if the residual is less. Where ln(value) has σ above 0.5 the
    data do not identify the number, its σ is NaN and its note says so.

    Raises
    ------
    EngineError : the forward model did not converge.
    """
    if not names:
        return ArrayModel(), {}
    from scipy.optimize import least_squares

    problem = _Problem(chips, names, offset)
    lower, upper = problem.bounds()
    if begin is None:
        starts = [problem.start(share) for share in _START_SHARES]
        best = min(starts, key=lambda x: float(np.sum(problem.residual(x) ** 2)))
    else:
        with np.errstate(divide="ignore"):
            known = np.log([float(getattr(begin, name)) for name in names])
        best = np.clip(known, lower, upper)
    found = least_squares(
        problem.residual, best, bounds=(lower, upper), xtol=1e-12, ftol=1e-14, gtol=1e-14,
        max_nfev=60,
    )  # fmt: skip
    model = ArrayModel().with_values(names, np.exp(found.x))
    if not model.linear and model.v0_v > _LINEAR_V0 * problem.drive_v:
        model = model.with_values(("v0_v",), np.array([np.inf]))
    if model.r_rise_ohm_per_a * problem.drive_v / problem.cell_ohm**2 < _LEAST_RISE:
        model = model.with_values(("r_rise_ohm_per_a",), np.zeros(1))
    return model, _parameters(model, names, found.jac, found.fun)


class _Problem:
    def __init__(self, chips: Sequence[ChipData], names: tuple[str, ...], offset: bool) -> None:
        self.chips, self.names, self.offset = chips, names, offset
        currents = np.concatenate([chip.current_a.ravel() for chip in chips])
        self.scale_a = float(np.std(currents)) or float(np.max(np.abs(currents))) or 1.0
        self.drive_v = max(float(np.max(np.abs(c.voltage_v), initial=1e-12)) for c in chips)
        g = chips[0].conductance_s
        # Resistance that would halve the current of a whole line, and of one good cell.
        self.line_ohm = 1.0 / max(float(g.sum(axis=0).max()), float(g.sum(axis=1).max()), 1e-15)
        self.cell_ohm = 1.0 / max(float(g.max()), 1e-15)

    def _typical(self, name: str) -> float:
        if name == "v0_v":
            return 3.0 * self.drive_v
        if name == "r_rise_ohm_per_a":
            return self.cell_ohm**2 / self.drive_v
        return self.cell_ohm if name == "r_series_ohm" else self.line_ohm

    def start(self, share: float) -> Floats:
        return np.log(
            [self._typical(n) * (1.0 if n == "v0_v" else share) for n in self.names]
        )  # fmt: skip

    def bounds(self) -> tuple[Floats, Floats]:
        typical = np.array([self._typical(name) for name in self.names])
        is_v0 = np.array([name == "v0_v" for name in self.names])
        # Below V0 = drive/20 the law has left every measured range, see nodal.sinh.
        low = np.where(is_v0, self.drive_v / 20, typical * 1e-9)
        high = np.where(is_v0, self.drive_v * 1e3, typical * 1e3)
        return np.log(low), np.log(high)

    def residual(self, logarithms: Floats) -> Floats:
        model = ArrayModel().with_values(self.names, np.exp(logarithms))
        parts = []
        for chip in self.chips:
            try:
                found = model.currents(chip.conductance_s, chip.voltage_v, chip.sense_v)
            except RuntimeError as failure:
                raise EngineError(f"the surrogate of the crossbar: {failure}") from None
            error = found - chip.current_a
            if self.offset:
                shape = model.column_slopes(chip.conductance_s, chip.voltage_v, chip.sense_v)
                squares = np.maximum(np.sum(shape**2, axis=0), np.finfo(float).tiny)
                error = error - shape * np.sum(shape * error, axis=0) / squares
            parts.append(error.ravel())
        return np.asarray(np.concatenate(parts) / self.scale_a)


def _parameters(
    model: ArrayModel, names: tuple[str, ...], jacobian: Floats, residual: Floats
) -> dict[str, Parameter]:
    freedom = max(1, residual.size - len(names))
    error = max(float(np.sqrt(np.sum(residual**2) / freedom)), _ERROR_FLOOR)
    # From the singular values: what no combination of data tells has an infinite σ.
    _, values, turned = np.linalg.svd(jacobian, full_matrices=False)
    spread = error / np.maximum(values, 1e-300)
    sigmas = np.sqrt(np.sum((turned * spread[:, None]) ** 2, axis=0))
    found = {}
    for k, name in enumerate(names):
        value, unit = float(getattr(model, name)), UNITS[name]
        if np.isinf(value) or value == 0:
            note = "the cells are linear within what the data can tell"
            found[name] = Parameter(name, value, unit, np.nan, note)
        elif sigmas[k] > _IDENTIFIED:
            found[name] = Parameter(name, value, unit, np.nan, _unknown(names, turned, spread, k))
        else:
            found[name] = Parameter(name, value, unit, float(sigmas[k] * value))
    return found


def _unknown(names: tuple[str, ...], turned: Floats, spread: Floats, k: int) -> str:
    worst = int(np.argmax(np.abs(turned[:, k]) * spread))
    others = [name for m, name in enumerate(names) if m != k and abs(turned[worst, m]) > 0.3]
    alone = "the data do not identify it"
    return f"{alone} apart from {', '.join(others)}" if others else alone
