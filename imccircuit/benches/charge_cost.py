"""Energy, latency and area of an operation of a charge-domain array."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from imccircuit.benches.bench import Arrays, MeasurementError
from imccircuit.benches.charge_chip import Chip
from imccircuit.benches.charge_parameters import ChargeParameters
from imccircuit.benches.cost import mean_energy
from imccircuit.benches.problem import Answer
from imccircuit.metrics.energy import compute_settling_time


def measure_cost(
    parameters: ChargeParameters, chip: Chip, answer: Answer, which: Sequence[int]
) -> Arrays:
    """Energy by block and latency of the second of two identical operations.

    Energy is the mean over the vectors ``which`` of the batch. Latency is that of the slowest
    output, from the beginning of the reset: it contains the phases before sharing. It is NaN where
    no operation moves an output by half an LSB.

    Raises
    ------
    MeasurementError : an output reaches its end only with the last time point.
    """
    array, meter = chip.array, chip.meter
    window = (array.cycle_s, 2 * array.cycle_s)
    found = mean_energy([meter.energy(run, window) for run in answer.runs])
    logic = meter.blocks.index("row_logic")
    found["energy"][logic] = _logic_energy_j(parameters, chip, which)
    if np.isfinite(found["energy"][logic]):
        found["energy_returned"][logic] = 0.0
    times = [
        compute_settling_time(run.axis, column, chip.step_v / 2, start_s=array.cycle_s)
        for run in answer.runs
        for column in run.values["output"].T
    ]
    if np.any(np.isnan(times)):
        raise MeasurementError("an output settles only with the last time point of an operation")
    return {**found, "latency": np.asarray(max(times) or np.nan)}


def _logic_energy_j(parameters: ChargeParameters, chip: Chip, which: Sequence[int]) -> float:
    """One gate a row wire toggles twice in each operation in which its wire is driven, in J."""
    card = parameters.technology
    if card.logic is None:
        return float("nan")
    if chip.array.product == "and":
        driven = float(np.mean([chip.bits[index].sum() for index in which]))
    else:
        driven = float(chip.array.rows)
    scale = (parameters.supply_v / card.supply.value) ** 2
    return 2 * driven * card.logic.toggle_energy.value * scale


def area_m2(parameters: ChargeParameters, chip: Chip) -> float:
    """Bit cells, their gates and capacitors, row drivers with their logic, reset switches.

    The capacitors count as if nothing stood beneath them. NaN with ideal switches, or where the
    card has no areas.
    """
    card, array = parameters.technology, chip.array
    if card.layout is None or card.logic is None or array.switches == "sw":
        return float("nan")
    layout, technology = card.layout, array.technology

    def transistor(kind: str, widths: float = 1.0) -> float:
        return layout.transistor_area_m2(*technology.size(kind, widths))

    gate = transistor("nmos") + transistor("pmos")
    wires = 1 if array.product == "and" else 2
    # Passed row wires, sample and share; with and, one transistor more that passes ground.
    cell = layout.memory_cell.value + (wires + 2) * gate
    if array.product == "and":
        cell += transistor("nmos")
    cell += chip.unit_f / layout.capacitance_density.value
    driver = transistor("nmos", array.driver_width) + transistor("pmos", 2 * array.driver_width)
    driver += card.logic.gate_area.value
    reset = transistor("nmos", array.reset_width)
    return array.rows * array.cols * cell + wires * array.rows * driver + array.cols * reset
