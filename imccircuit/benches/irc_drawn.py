"""What one manufactured pair of 1T1R columns is: drawn once, the same at every sweep point."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from imccircuit.benches.bench import Variation
from imccircuit.benches.irc_parameters import IrcParameters
from imccircuit.circuits.irc_column import IrcColumn
from imccircuit.circuits.technology import Technology
from imccircuit.devices.draws import Draws

Floats = NDArray[np.float64]

CAUSES = ("nominal", "conductance", "threshold", "current_factor", "all")
"""What spreads the current: nothing, one quantity alone, all that vary."""

PATTERNS = ("near", "far", "middle", "ends", "even", *(f"random {k}" for k in range(8)))
"""Where the low-resistive half of the cells sits; row 0 is next to the bit line's feed."""


@dataclass(frozen=True)
class Cells:
    """Drawn cells, each (side, kind, row): side of the pair; kind 0 weights, 1 extra bias.

    Bias rows are drawn for as many as there are rows, so that their number shifts no draw.

    Attributes
    ----------
    low_s, high_s : conductance in the low- and in the high-resistance state in S.
    delta_vth_v, mobility : of the transistors.
    """

    low_s: Floats
    high_s: Floats
    delta_vth_v: Floats
    mobility: Floats


def draw_cells(parameters: IrcParameters, variation: Variation) -> Cells:
    """Cells of this chip; quantities that do not vary are nominal."""
    circuit, device = parameters.circuit, parameters.technology.nmos
    shape = (2, 2, circuit.rows)
    card = circuit.device_card
    spread, draws = card.spread_at(circuit.read_time), variation.draws
    # Relaxation moves the mean away from the programmed state, whether cells differ or not.
    low = np.array(spread.mean_of(np.full(shape, card.on_conductance.value)))
    high = np.array(spread.mean_of(np.full(shape, card.off_conductance.value)))
    if "conductance" in variation.quantities:
        # The same uniform number for both states: a cell keeps its place in the distribution.
        # Drawn as (word line, column), which is what a spread's correlated groups refer to.
        low, high = (
            spread.draw(draws.generator("conductance"), np.full((2 * circuit.rows, 2), state))
            .reshape(2, circuit.rows, 2)
            .transpose(2, 0, 1)
            for state in (card.on_conductance.value, card.off_conductance.value)
        )
    factor = card.temperature_factor(parameters.conditions.temperature)
    low, high = factor * low, factor * high
    size = (parameters.width_m, parameters.length_m)
    delta, mobility = np.zeros(shape), np.ones(shape)
    generator = variation.generator("threshold")
    if generator is not None:
        delta, _ = device.draw_mismatch(generator, *size, shape)
    generator = variation.generator("current_factor")
    if generator is not None:
        _, mobility = device.draw_mismatch(generator, *size, shape)
    return Cells(low, high, delta, mobility)


def only(cells: Cells, nominal: Cells, cause: str) -> Cells:
    """The same chip with one cause of spread alone."""
    if cause == "all":
        return cells
    if cause == "conductance":
        return replace(nominal, low_s=cells.low_s, high_s=cells.high_s)
    if cause == "threshold":
        return replace(nominal, delta_vth_v=cells.delta_vth_v)
    if cause == "current_factor":
        return replace(nominal, mobility=cells.mobility)
    return nominal


def column_of(parameters: IrcParameters, cells: Cells, low: NDArray[np.bool_]) -> IrcColumn:
    """Columns of these cells.

    Parameters
    ----------
    low : (column, row) which weight cells are in the low-resistance state; one column is the
        first side of the pair, two are both.
    """
    circuit, wire = parameters.circuit, parameters.circuit.wire_card
    cols = len(low)
    weights = np.where(low, cells.low_s[:cols, 0], cells.high_s[:cols, 0])

    def stacked(first: Floats, values: Floats) -> Floats:
        return np.concatenate([first, values[:cols, 1, : circuit.bias_rows]], axis=1).T

    return IrcColumn(
        technology=Technology(parameters.technology, parameters.corner, parameters.supply_v),
        conductance_s=stacked(weights, cells.low_s),
        delta_vth_v=stacked(cells.delta_vth_v[:cols, 0], cells.delta_vth_v),
        mobility=stacked(cells.mobility[:cols, 0], cells.mobility),
        w_m=parameters.width_m,
        l_m=parameters.length_m,
        read_v=parameters.stimulus.read_voltage,
        r_bit_ohm=circuit.bit_ohm,
        r_source_ohm=circuit.source_ohm,
        r_clamp_ohm=circuit.clamp_resistance,
        bias_rows=circuit.bias_rows,
        sense_end=circuit.sense_end,
        c_bit_f=wire.column_capacitance.value,
        c_source_f=wire.column_capacitance.value,
        c_word_f=wire.row_capacitance.value,
    )


def position_patterns(rows: int, entropy: int) -> NDArray[np.bool_]:
    """(pattern, row): half of the rows, rounded down, placed as `PATTERNS` says."""
    half = rows // 2
    first = (rows - half) // 2
    index = np.arange(rows)
    inner = (index >= first) & (index < first + half)
    left = (half + 1) // 2
    places = [
        index < half,
        index >= rows - half,
        inner,
        (index < left) | (index >= rows - (half - left)),
        index % 2 == 1,
    ]
    generator = Draws(entropy, 0).generator("pattern")
    for _ in PATTERNS[len(places) :]:
        chosen = np.zeros(rows, dtype=bool)
        chosen[generator.permutation(rows)[:half]] = True
        places.append(chosen)
    return np.stack(places)


def ternary_weights(parameters: IrcParameters, entropy: int) -> NDArray[np.int64]:
    """(row,) −1, 0, 1: given, or drawn once, the same for all chips."""
    if parameters.circuit.weights is not None:
        return parameters.circuit.weights.astype(np.int64)
    generator = Draws(entropy, 0).generator("ternary_weights")
    return generator.integers(-1, 2, parameters.circuit.rows)


def ternary_inputs(parameters: IrcParameters, entropy: int) -> NDArray[np.bool_]:
    """(batch, row): given, or drawn once with even odds, the same for all chips."""
    if parameters.stimulus.inputs is not None:
        return parameters.stimulus.inputs > 0
    generator = Draws(entropy, 0).generator("stimulus")
    return generator.random((parameters.batch, parameters.circuit.rows)) < 0.5
