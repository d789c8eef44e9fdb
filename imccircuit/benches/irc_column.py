"""A 1T1R column at a low word-line voltage: currents, their spread by cause, sums, positions.

Every cell is read alone in five columns of the same chip: nominal, with the spread of the
resistors alone, of the thresholds alone, of the current factors alone, and with all that vary.
Then the column with everything that varies is read with 1, 2 … n rows active, with half of its
cells low-resistive at various places, and as one of a ternary pair; its extra-bias rows are on for
the pair and for the cost, and off elsewhere.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imccircuit.benches.bench import (
    Along,
    Bench,
    Curve,
    Measurement,
    Variable,
    Variation,
)
from imccircuit.benches.cost import COST_VARIABLES, blocks_along
from imccircuit.benches.irc_cost import cost, cost_meter
from imccircuit.benches.irc_currents import column_currents, pair_arrays
from imccircuit.benches.irc_drawn import (
    CAUSES,
    PATTERNS,
    Cells,
    column_of,
    draw_cells,
    only,
    position_patterns,
)
from imccircuit.benches.irc_parameters import IrcParameters, NoGates
from imccircuit.benches.problem import Answer, Problem
from imccircuit.metrics.word_line import compute_cell_spread

Floats = NDArray[np.float64]


def _sizes(parameters: IrcParameters) -> dict[str, int]:
    sizes = {
        "row": parameters.circuit.rows,
        "count": parameters.active_rows,
        "cause": len(CAUSES),
        "pattern": len(PATTERNS),
        "block": len(cost_meter(parameters).blocks),
    }
    if parameters.circuit.ternary:
        sizes |= {"batch": parameters.batch, "side": 2}
    return sizes


def _variables(parameters: IrcParameters) -> tuple[Variable, ...]:
    found: tuple[Variable, ...] = (
        Variable("lrs_current", ("cause", "row"), "A", "current of a low-resistive cell alone"),
        Variable("hrs_current", ("row",), "A", "current of a high-resistive cell alone"),
        Variable("relative_spread", ("cause",), "1", "spread σ/µ of the cells' current"),
        Variable("on_off_ratio", ("row",), "1", "low- over high-resistive current of a cell"),
        Variable("sum_current", ("count",), "A", "current of n active low-resistive rows"),
        Variable("sum_linearity", ("count",), "1", "I(n)/(n·I(1))"),
        Variable("position_current", ("pattern",), "A", "current with half of the cells low"),
        Variable("position_change", ("pattern",), "1", "relative to evenly placed cells"),
        Variable("leakage_current", (), "A", "column current with no row active"),
        Variable("bias_current", (), "A", "column current with the extra-bias rows alone"),
        Variable("low_conductance", ("row",), "S", "low-resistance state of this chip's cells"),
        Variable("threshold_shift", ("row",), "V", "of this chip's transistors"),
        Variable("current_factor", ("row",), "1", "of this chip's transistors, over nominal"),
    )
    if parameters.circuit.ternary:
        found += (
            Variable("pair_current", ("batch", "side"), "A", "current of plus and minus column"),
            Variable("pair_difference", ("batch",), "A", "plus less minus column"),
            Variable("common_mode", ("batch",), "A", "mean of plus and minus column"),
            Variable("ideal_sum", ("batch",), "1", "sum of weight times input"),
            Variable("ternary_weight", ("row",), "1", "weight, −1, 0 or 1"),
        )
    return (*found, *COST_VARIABLES)


def _coordinates(parameters: IrcParameters) -> Mapping[str, NDArray[Any] | Along]:
    found: dict[str, NDArray[Any] | Along] = {
        "row": np.arange(parameters.circuit.rows),
        "count": Along(np.arange(1, parameters.active_rows + 1), "1", "active rows"),
        "cause": Along(np.array(CAUSES, dtype=object), "", "what spreads the current"),
        "pattern": Along(np.array(PATTERNS, dtype=object), "", "place of the low-resistive half"),
        "block": blocks_along(cost_meter(parameters).blocks),
    }
    if parameters.circuit.ternary:
        found["side"] = Along(np.array(["plus", "minus"], dtype=object), "", "column of the pair")
    return found


def _measure(parameters: IrcParameters, variation: Variation) -> Measurement:
    cells = draw_cells(parameters, variation)
    nominal = draw_cells(parameters, Variation(variation.draws))
    rows = parameters.circuit.rows
    alone = np.eye(rows, dtype=bool)
    every = np.ones((1, rows), dtype=bool)
    lrs = yield from _by_cause(parameters, cells, nominal, variation.quantities)

    column = column_of(parameters, cells, every)
    high_column = column_of(parameters, cells, ~every)
    hrs = (yield from column_currents(parameters, high_column, alone))[:, 0]
    counts = np.arange(1, parameters.active_rows + 1)
    ladder = np.arange(rows) < np.arange(0, parameters.active_rows + 1)[:, None]
    sums = (yield from column_currents(parameters, column, ladder))[:, 0]
    patterns = position_patterns(rows, variation.draws.entropy)
    placed = (
        yield from column_currents(
            parameters, column, np.broadcast_to(every, patterns.shape), low=patterns, cells=cells
        )
    )[:, 0]
    bias = (yield from column_currents(parameters, column, ~every, bias=True))[0, 0]
    arrays = {
        "lrs_current": lrs,
        "hrs_current": hrs,
        "relative_spread": compute_cell_spread(lrs, lrs[0]),
        "on_off_ratio": lrs[-1] / hrs,
        "sum_current": sums[1:],
        "sum_linearity": sums[1:] / (counts * sums[1]),
        "position_current": placed,
        "position_change": placed / placed[PATTERNS.index("even")] - 1,
        "leakage_current": np.asarray(sums[0]),
        "bias_current": np.asarray(bias),
        "low_conductance": cells.low_s[0, 0],
        "threshold_shift": cells.delta_vth_v[0, 0],
        "current_factor": cells.mobility[0, 0],
    }
    if parameters.circuit.ternary:
        arrays |= yield from pair_arrays(parameters, cells, variation.draws.entropy)
    arrays |= yield from cost(parameters, cells, cell_current_a=float(lrs[0].mean()))
    return arrays


def _by_cause(
    parameters: IrcParameters, cells: Cells, nominal: Cells, quantities: frozenset[str]
) -> Generator[Problem, Answer, Floats]:
    """(cause, row) current of every low-resistive cell alone; equal columns are solved once."""
    alone = np.eye(parameters.circuit.rows, dtype=bool)
    every = np.ones((1, parameters.circuit.rows), dtype=bool)
    found: dict[str, Floats] = {}
    for cause in CAUSES:
        same = "nominal"
        if cause == "all" and len(quantities) == 1:
            (same,) = quantities
        if cause in quantities or cause == "nominal" or (cause == "all" and len(quantities) > 1):
            column = column_of(parameters, only(cells, nominal, cause), every)
            found[cause] = (yield from column_currents(parameters, column, alone))[:, 0]
        else:
            found[cause] = found[same]
    return np.stack([found[cause] for cause in CAUSES])


BENCH = Bench(
    name="irc_column",
    summary="1T1R column at a low word-line voltage: spread by cause, on/off ratio, sums, pairs",
    parameters=IrcParameters,
    gates=NoGates,
    quantities=("conductance", "threshold", "current_factor"),
    surrogate="",
    sizes=_sizes,
    variables=_variables,
    coordinates=_coordinates,
    measure=_measure,
    curves=(
        Curve("linearity", ("sum_linearity",), "count"),
        Curve("sum", ("sum_current",), "count"),
    ),
)
