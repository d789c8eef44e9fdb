"""Current of memory cells over bit-line and word-line voltage, and what reading one costs.

The curves: all cells of a chip stand side by side in one deck, and every pair of voltages is an
operating point. The cost: one cell of each level at the far end of its lines, read twice by
pulses on bit line and word line at the largest voltages of the axes. Energy is that of the second
read, the mean over the levels, each taken equally often.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imccircuit.benches.bench import (
    Along,
    Arrays,
    Bench,
    Curve,
    Measurement,
    MeasurementError,
    Variable,
    Variation,
)
from imccircuit.benches.cell_iv_parameters import CellGates, CellParameters
from imccircuit.benches.cost import COST_VARIABLES, Meter, blocks_along, mean_energy
from imccircuit.benches.problem import Answer, OperatingPoint, Probe, Problem, Run, Transient
from imccircuit.circuits.cell_iv import (
    AccessTransistors,
    CellSet,
    Lines,
    ReadPulse,
    cells_dc,
    cells_read,
)
from imccircuit.circuits.technology import Technology
from imccircuit.circuits.text import current_vectors
from imccircuit.metrics.energy import compute_settling_time

# ngspice's own limits (1 pA, gmin of 1 pS) are as large as a transistor's leakage.
_DC_OPTIONS: Mapping[str, str | float] = {"reltol": 1e-6, "abstol": 1e-16, "gmin": 1e-16}
_READ_OPTIONS: Mapping[str, str | float] = {"reltol": 1e-5, "abstol": 1e-14, "method": "gear"}
_RUNS_PER_DECK = 256
_STEPS_PER_PULSE = 200
_STEPS_PER_EDGE = 10
_DRIFT = 0.02
# What the solver's reltol of 1e-5 may leave of a current at rest.
_SOLVED = 2e-5
# A passive cell carries at most its element's current; a transistor leaks a little besides.
_LEAKAGE_A = 1e-6


def _sizes(parameters: CellParameters) -> dict[str, int]:
    sizes = {
        "level": len(parameters.circuit.level_s),
        "cell": parameters.circuit.cells,
        "bit_line": len(parameters.bit_line_v),
        "block": len(_meter(parameters, 1).blocks),
    }
    if parameters.has_transistors:
        sizes["word_line"] = len(parameters.word_line_v)
    return sizes


def _variables(parameters: CellParameters) -> tuple[Variable, ...]:
    gated = parameters.has_transistors
    axes = ("word_line", "bit_line") if gated else ("bit_line",)
    found = [
        Variable("cell_current", ("level", "cell", *axes), "A", "current of a cell"),
        Variable("level_current", ("level", "bit_line"), "A",
                 "mean current at full word line" if gated else "mean current"),
        Variable("bit_line_voltage", ("bit_line",), "V", "voltage of the bit line"),
        Variable("conductance", ("level", "cell"), "S", "drawn conductance at 0 V"),
    ]  # fmt: skip
    if gated:
        found += [
            Variable("gated_current", ("level", "word_line"), "A",
                     "mean current at full bit line"),
            Variable("word_line_voltage", ("word_line",), "V", "voltage of the word line"),
        ]  # fmt: skip
    return (*found, *COST_VARIABLES)


def _coordinates(parameters: CellParameters) -> Mapping[str, NDArray[Any] | Along]:
    found: dict[str, NDArray[Any] | Along] = {
        "level": Along(parameters.circuit.level_s, "S", "programmed conductance"),
        "cell": np.arange(parameters.circuit.cells),
        "bit_line": Along(parameters.bit_line_v, "V", "bit-line voltage"),
        "block": blocks_along(_meter(parameters, 1).blocks),
    }
    if parameters.has_transistors:
        shares = parameters.word_line_shares
        found["word_line"] = (
            Along(parameters.word_line_v, "V", "word-line voltage")
            if shares is None
            else Along(shares, "1", "word-line voltage over supply")
        )
    return found


def _conductances(parameters: CellParameters, variation: Variation) -> NDArray[np.float64]:
    """Conductance (level, cell) in S of this chip's cells at the read time and temperature."""
    circuit = parameters.circuit
    spread = circuit.device_card.spread_at(circuit.read_time)
    factor = circuit.device_card.temperature_factor(parameters.conditions.temperature)
    target = np.repeat(circuit.level_s[:, None], circuit.cells, axis=1)
    generator = variation.generator("conductance")
    if generator is None:
        return factor * spread.mean_of(target)
    return factor * spread.draw(generator, target)


def _width_m(parameters: CellParameters) -> float:
    given = parameters.circuit.transistor_width
    return parameters.technology.nmos.width.value if given is None else given


def _cell_set(parameters: CellParameters, variation: Variation) -> CellSet:
    conductance = _conductances(parameters, variation).ravel()
    v0 = parameters.circuit.v0_v
    if not parameters.has_transistors:
        return CellSet(conductance, v0)
    card, shape = parameters.technology, conductance.shape
    width, length = _width_m(parameters), card.nmos.length.value
    delta, ratio = np.zeros(shape), np.ones(shape)
    generator = variation.generator("transistor")
    if generator is not None:
        delta, ratio = card.nmos.draw_mismatch(generator, width, length, shape)
    technology = Technology(card, parameters.corner, parameters.supply_v)
    access = AccessTransistors(technology, width, length, delta, ratio)
    return CellSet(conductance, v0, access)


def _measure(parameters: CellParameters, variation: Variation) -> Measurement:
    cells = _cell_set(parameters, variation)
    shape = (len(parameters.circuit.level_s), parameters.circuit.cells)
    current = yield from _curves(parameters, cells)
    current = current.reshape(*shape, *current.shape[1:])
    arrays: Arrays = {
        "cell_current": current,
        "level_current": current.mean(axis=1),
        "bit_line_voltage": parameters.bit_line_v,
        "conductance": cells.conductance_s.reshape(shape),
    }
    if parameters.has_transistors:
        arrays["level_current"] = current[:, :, -1].mean(axis=1)
        arrays["gated_current"] = current[..., -1].mean(axis=1)
        arrays["word_line_voltage"] = parameters.word_line_v
    arrays |= yield from _cost(parameters, _first_of_each_level(cells, parameters.circuit.cells))
    return arrays


def _curves(
    parameters: CellParameters, cells: CellSet
) -> Generator[Problem, Answer, NDArray[np.float64]]:
    """Current (cell, [word_line,] bit_line) in A."""
    bit = parameters.bit_line_v
    alterations: list[dict[str, float]] = [{"vbl": float(v)} for v in bit]
    shape: tuple[int, ...] = (len(bit),)
    if parameters.has_transistors:
        word = parameters.word_line_v
        alterations = [{**run, "vwl": float(gate)} for gate in word for run in alterations]
        shape = (len(word), len(bit))
    circuit, count = cells_dc(cells), len(cells)
    names = current_vectors(f"vsense_{k}" for k in range(count))
    probe = Probe("current", names, (count,), _largest_a(cells, float(np.max(np.abs(bit)))))
    found = []
    for start in range(0, len(alterations), _RUNS_PER_DECK):
        answer = yield Problem(
            circuit=circuit,
            analysis=OperatingPoint(continued=cells.v0_v is None and cells.transistors is None),
            probes=(probe,),
            alterations=tuple(alterations[start : start + _RUNS_PER_DECK]),
            options=_DC_OPTIONS,
            temperature_degc=parameters.conditions.temperature,
            label="curves",
        )
        found.append(answer.final("current"))
    return np.concatenate(found).T.reshape(count, *shape)


def _largest_a(cells: CellSet, voltage_v: float) -> float:
    """Twice what the best conducting element carries at a voltage, in A."""
    v0 = cells.v0_v
    reached = voltage_v if v0 is None else v0 * np.sinh(min(voltage_v / v0, 500.0))
    return 2 * float(np.max(cells.conductance_s)) * float(reached) + _LEAKAGE_A


def _first_of_each_level(cells: CellSet, count: int) -> CellSet:
    access = cells.transistors
    if access is not None:
        access = AccessTransistors(
            access.technology, access.w_m, access.l_m,
            access.delta_vth_v[::count], access.mobility[::count],
        )  # fmt: skip
    return CellSet(cells.conductance_s[::count], cells.v0_v, access)


def _lines(parameters: CellParameters) -> Lines:
    circuit, wire = parameters.circuit, parameters.circuit.wire_card
    return Lines(
        bit_ohm=circuit.driver_resistance + circuit.rows * wire.column_resistance.value,
        bit_f=circuit.rows * wire.column_capacitance.value,
        word_ohm=circuit.driver_resistance + circuit.cols * wire.row_resistance.value,
        word_f=circuit.cols * wire.row_capacitance.value,
        gates=circuit.cols - 1,
    )


def _meter(parameters: CellParameters, levels: int) -> Meter:
    """Sources of the reads of ``levels`` cells; of one cell they carry the blocks' names."""
    ideal = _lines(parameters)
    kinds = [("bit line", "bl", ideal.bit_ohm)]
    if parameters.has_transistors:
        kinds.append(("word line", "wl", ideal.word_ohm))
    return Meter(
        {
            (block if levels == 1 else f"{block} {k}"): (
                f"v{name}_{k}", f"in_{name}_{k}" if ohm > 0 else f"{name}_{k}",
            )
            for k in range(levels)
            for block, name, ohm in kinds
        }
    )  # fmt: skip


def _cost(parameters: CellParameters, cells: CellSet) -> Generator[Problem, Answer, Arrays]:
    """Cost variables of reading one cell."""
    stimulus, count = parameters.stimulus, len(cells)
    word = float(parameters.word_line_v[-1]) if parameters.has_transistors else 0.0
    pulse = ReadPulse(
        float(parameters.bit_line_v[-1]), word, stimulus.read_pulse, stimulus.edge_time
    )
    meter = _meter(parameters, count)
    lines = _lines(parameters)
    # A line that charges at once needs its whole charge within an edge.
    surge = (lines.bit_f * pulse.bit_v + (lines.word_f + 1e-14 * lines.gates) * abs(word)) / (
        pulse.edge_s / 10
    )
    bound = _largest_a(cells, abs(pulse.bit_v)) + surge + 1e-3
    names = current_vectors(f"vsense_{k}" for k in range(count))
    step = min(pulse.width_s / _STEPS_PER_PULSE, pulse.edge_s / _STEPS_PER_EDGE)
    answer = yield Problem(
        circuit=cells_read(cells, lines, pulse),
        analysis=Transient(2 * pulse.period_s, step, step),
        probes=(
            Probe("current", names, (count,), bound),
            *meter.probes(4 * (abs(pulse.bit_v) + abs(word)), bound),
        ),
        options=_READ_OPTIONS,
        temperature_degc=parameters.conditions.temperature,
        label="read",
    )
    run = answer.runs[0]
    found = meter.energy(run, pulse.second_s)
    per_level = [
        {name: values.reshape(count, -1)[k] for name, values in found.items()} for k in range(count)
    ]
    return mean_energy(per_level) | {
        "latency": np.asarray(_latency_s(parameters, run, pulse)),
        "area": np.asarray(_area_m2(parameters)),
    }


def _latency_s(parameters: CellParameters, run: Run, pulse: ReadPulse) -> float:
    """Time until the slowest level has settled within half an LSB of the largest current.

    Raises
    ------
    MeasurementError : one has not at the end of the pulse.
    """
    start = pulse.second_s[0]
    high = (run.axis >= start) & (run.axis <= start + pulse.width_s)
    time, current = run.axis[high], run.values["current"][high]
    half = float(np.max(np.abs(current[-1]))) / 2 ** (parameters.stimulus.read_bits + 1)
    times = [compute_settling_time(time, one, half, start_s=start) for one in current.T]
    # It may still be on its way when the pulse ends. Of an exponential whose time constant is the
    # pulse itself, the last tenth of the pulse shows a tenth of what is still missing.
    drift = np.abs(current[-1] - current[np.searchsorted(time, start + 0.9 * pulse.width_s)])
    moving = drift > max(_DRIFT * half, _SOLVED * float(np.max(np.abs(current[-1]))))
    if np.any(moving) or not np.max(times) < 0.9 * pulse.width_s:
        level = int(np.argmax(moving)) if np.any(moving) else int(np.argmax(times))
        raise MeasurementError(
            f"the current of level {level} has not settled within stimulus.read_pulse = "
            f"{pulse.width_s:g} s"
        )
    return float(np.max(times))


def _area_m2(parameters: CellParameters) -> float:
    """Area of one cell: the layout's, or that of the transistor if it is larger."""
    layout = parameters.technology.layout
    if layout is None or not parameters.has_transistors:
        return float("nan")
    length = parameters.technology.nmos.length.value
    transistor = layout.transistor_area_m2(_width_m(parameters), length)
    return max(layout.memory_cell.value, transistor)


BENCH = Bench(
    name="cell_iv",
    summary="current of memory cells over bit-line and word-line voltage, and the cost of a read",
    parameters=CellParameters,
    gates=CellGates,
    quantities=("conductance", "transistor"),
    surrogate="cell",
    sizes=_sizes,
    variables=_variables,
    coordinates=_coordinates,
    measure=_measure,
    curves=(
        Curve("iv", ("level_current",), "bit_line"),
        Curve("gate", ("gated_current",), "word_line", y_log=True),
    ),
)  # fmt: skip
