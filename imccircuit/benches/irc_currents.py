"""Currents of 1T1R columns and of ternary pairs of them, at an operating point."""

from __future__ import annotations

from collections.abc import Generator, Mapping

import numpy as np
from numpy.typing import NDArray

from imccircuit.benches.bench import Arrays
from imccircuit.benches.irc_drawn import Cells, column_of, ternary_inputs, ternary_weights
from imccircuit.benches.irc_parameters import IrcParameters
from imccircuit.benches.problem import Answer, OperatingPoint, Probe, Problem
from imccircuit.circuits.irc_column import IrcColumn, column_current_vectors, irc_column

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
_OPTIONS: Mapping[str, str | float] = {"reltol": 1e-6}


def column_currents(
    parameters: IrcParameters, column: IrcColumn, active: Bools, *, bias: bool = False,
    low: Bools | None = None, cells: Cells | None = None,
) -> Generator[Problem, Answer, Floats]:  # fmt: skip
    """Column currents (run, column) in A.

    Parameters
    ----------
    active : (run, row) rows whose word line is high.
    low, cells : (run, row) cells that are low-resistive, and their drawn states; None leaves the
        conductances of ``column`` in all runs.
    """
    gate = parameters.gate_v
    runs: list[dict[str, float]] = [
        {f"vwl_{i}": gate if on else 0.0 for i, on in enumerate(row)} for row in active.tolist()
    ]
    if column.bias_rows:
        for run in runs:
            run["vbias"] = gate if bias else 0.0
    if low is not None and cells is not None:
        conductance = np.where(low, cells.low_s[0, 0], cells.high_s[0, 0])
        for run, row in zip(runs, conductance, strict=True):
            run |= {f"rc_{i}_0": 1 / float(g) for i, g in enumerate(row)}
    largest = max(float(column.conductance_s.max()), 0.0 if cells is None else cells.low_s.max())
    total = column.conductance_s.shape[0] * largest
    # Ohm's law bounds the current of passive cells; the floor is for the transistors' leakage.
    bound = 2 * column.read_v * total + 1e-6
    answer = yield Problem(
        circuit=irc_column(column),
        analysis=OperatingPoint(),
        probes=(Probe("current", column_current_vectors(column.cols), (column.cols,), bound),),
        alterations=tuple(runs),
        options=_OPTIONS,
        temperature_degc=parameters.conditions.temperature,
    )
    return answer.final("current")


def pair_arrays(
    parameters: IrcParameters, cells: Cells, entropy: int
) -> Generator[Problem, Answer, Arrays]:
    """A pair of columns: +1 is low/high resistance, 0 is high/high, −1 is high/low."""
    weights = ternary_weights(parameters, entropy)
    inputs = ternary_inputs(parameters, entropy)
    column = column_of(parameters, cells, np.stack([weights > 0, weights < 0]))
    pair = yield from column_currents(parameters, column, inputs, bias=True)
    return {
        "pair_current": pair,
        "pair_difference": pair[:, 0] - pair[:, 1],
        "common_mode": pair.mean(axis=1),
        "ideal_sum": (inputs @ weights).astype(np.float64),
        "ternary_weight": weights.astype(np.float64),
    }
