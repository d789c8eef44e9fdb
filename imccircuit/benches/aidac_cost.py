"""What an operation of the grouped-capacitor array costs: sources, counted logic, counted area."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from imccircuit.benches.aidac_build import row_drivers_of, time_cells
from imccircuit.benches.aidac_parameters import AidacParameters
from imccircuit.benches.cost import Meter
from imccircuit.circuits.aidac_driver import OtaDrivers
from imccircuit.circuits.aidac_ramp import DECOUPLING_F, RampTime

# A binary counter toggles two bits a count on average; a latched bit toggles every other time.
_TOGGLES_PER_COUNT = 2.0
_TOGGLES_PER_LATCH = 0.5


def meter(parameters: AidacParameters) -> Meter:
    """Sources that are metered, and the blocks that have none."""
    circuit = parameters.circuit
    sources = {"input bits": ("vinput", "input")}
    missing = []
    if circuit.switches == "transistor":
        # Beside time cells of transistors only the wells of the switches hang on it.
        wells = circuit.time_cell == "behavioural"
        sources["wells" if wells else "supply of the time cells"] = ("vdd", "vdd")
        for phase in parameters.phases.windows():
            sources[f"clock {phase}"] = (f"v{phase}", phase)
            sources[f"clock {phase} inverted"] = (f"v{phase}_n", f"{phase}_n")
    else:
        missing.append("switch clocks")
    if circuit.row_drivers and circuit.row_driver == "ota":
        sources["row drivers"] = ("vdrv", "vdrv")
        sources["lower rail of the row drivers"] = ("vdrvlow", "drvlow")
    elif circuit.row_drivers:
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
    if circuit.discharge_dummy > 0:
        dummy_m = circuit.discharge_dummy * card.pmos.width.value
        cell += layout.transistor_area_m2(dummy_m, card.pmos.length.value)
    # As many units of switch again weigh, 2^W − 1 an output, and half as many join.
    weigh = shape.outputs * (2**shape.weight_bits - 1) * (1.5 * (n + p))
    dummies = shape.outputs * circuit.dummy_units
    dummy = dummies * circuit.unit_f / layout.capacitance_density.value
    steer = shape.rows * (shape.row_units - 1) * (3 * n + 2 * p)
    time_cell = shape.outputs * time_cell_area_m2(parameters)
    drivers = shape.rows * circuit.row_drivers * driver_area_m2(parameters)
    return float(shape.arrays * (units * cell + weigh + dummy + steer + time_cell + drivers))


def time_cell_area_m2(parameters: AidacParameters) -> float:
    """Area in m² of one voltage-to-time cell of transistors."""
    circuit, card = parameters.circuit, parameters.technology
    layout = card.layout
    if layout is None:
        return float("nan")
    found = time_cells(parameters, (1, 1), None)
    if isinstance(found, RampTime):
        area = sum(layout.transistor_area_m2(w, length) for _, w, length in found.sizes().values())
        capacitor = circuit.ramp_capacitor + DECOUPLING_F
    else:
        widths = card.pmos.width.value, card.pmos.length.value
        gates = (
            (circuit.starved_width, circuit.starved_length),
            (circuit.constant_width, circuit.constant_length),
        )
        area = sum(layout.transistor_area_m2(w * widths[0], n * widths[1]) for w, n in gates)
        capacitor = circuit.starved_load
    # Three inverters, the switch and the discharge of the capacitor.
    inverters = sum(
        layout.transistor_area_m2(device.width.value, device.length.value)
        for device in (card.nmos, card.pmos)
    )
    return float(area + 4 * inverters + capacitor / layout.capacitance_density.value)


def driver_area_m2(parameters: AidacParameters) -> float:
    """Area in m² of one row driver; 0 where there are none."""
    layout = parameters.technology.layout
    drivers = row_drivers_of(parameters, (1, 1, min(1, parameters.circuit.row_drivers)), None)
    if layout is None or not isinstance(drivers, OtaDrivers):
        return 0.0
    sizes = drivers.sizes().values()
    return float(sum(layout.transistor_area_m2(w, length) for _, w, length in sizes))
