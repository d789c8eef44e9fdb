"""What an operation of the grouped-capacitor array costs: sources, counted logic, counted area."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from imccircuit.benches.aidac_parameters import AidacParameters
from imccircuit.benches.cost import Meter

# A binary counter toggles two bits a count on average; a latched bit toggles every other time.
_TOGGLES_PER_COUNT = 2.0
_TOGGLES_PER_LATCH = 0.5


def meter(parameters: AidacParameters) -> Meter:
    """Sources that are metered, and the blocks that have none."""
    circuit = parameters.circuit
    sources = {"input bits": ("vinput", "input")}
    missing = []
    if circuit.switches == "transistor":
        # Beside starved time cells only the wells of the switches hang on it.
        starved = circuit.time_cell == "starved"
        sources["supply of the time cells" if starved else "wells"] = ("vdd", "vdd")
        for phase in parameters.phases.windows():
            sources[f"clock {phase}"] = (f"v{phase}", phase)
            sources[f"clock {phase} inverted"] = (f"v{phase}_n", f"{phase}_n")
    else:
        missing.append("switch clocks")
    if circuit.row_drivers:
        missing.append("row drivers")
    if circuit.time_cell == "behavioural":
        missing.append("time cells")
    return Meter(sources, tuple(missing))


def counted_energy(parameters: AidacParameters, codes: NDArray[np.float64]) -> float:
    """Mean energy in J of the shared counter and of each output's latch; NaN without a card.

    Parameters
    ----------
    codes : (vector, output). The counter runs until the last edge of each vector.
    """
    logic = parameters.technology.logic
    if logic is None:
        return float("nan")
    counts = float(np.mean(np.max(np.abs(codes), axis=1)))
    latches = codes.shape[1] * parameters.circuit.output_bits
    toggles = _TOGGLES_PER_COUNT * counts + _TOGGLES_PER_LATCH * latches
    ratio = parameters.supply_v / parameters.technology.supply.value
    return float(toggles * logic.toggle_energy.value * ratio**2)


def area_m2(parameters: AidacParameters) -> float:
    """Area in m² of capacitors, memory and transistors of all arrays, whether built or lumped.

    NaN where the card has no layout, or where switches, drivers or time cells are behavioural.
    """
    circuit, layout = parameters.circuit, parameters.technology.layout
    if layout is None or meter(parameters).not_modelled:
        return float("nan")
    card, shape = parameters.technology, circuit.shape
    wide = circuit.switch_width
    n = layout.transistor_area_m2(wide * card.nmos.width.value, card.nmos.length.value)
    p = layout.transistor_area_m2(wide * card.pmos.width.value, card.pmos.length.value)
    units = shape.rows * shape.row_units
    # A cell: gates to group, row and column (three of each kind), two transistors to discharge.
    cell = 5 * n + 3 * p + layout.memory_cell.value
    cell += circuit.unit_f / layout.capacitance_density.value
    # As many units of switch again weigh, 2^W − 1 an output, and half as many join.
    weigh = shape.outputs * (2**shape.weight_bits - 1) * (1.5 * (n + p))
    dummies = shape.outputs * circuit.dummy_units
    dummy = dummies * circuit.unit_f / layout.capacitance_density.value
    steer = shape.rows * (shape.row_units - 1) * 2 * (n + p)
    time_cell = shape.outputs * 7 * (n + p)
    return float(shape.arrays * (units * cell + weigh + dummy + steer + time_cell))
