"""Voltages of a macro's rows: from ideal sources, or from ladders measured without the array.

A ladder is to its row a voltage behind a resistance. Both are measured in a deck of all ladders
and nothing else: the output at every code, open and with a current into it.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imccircuit.benches.bench import Arrays, MeasurementError, Variation
from imccircuit.benches.dac_build import Built, draw_resistors
from imccircuit.benches.macro_parameters import MacroParameters
from imccircuit.benches.problem import Answer, OperatingPoint, Probe, Problem
from imccircuit.circuits.row_drivers import LadderDrivers
from imccircuit.circuits.text import voltage_vectors
from imccircuit.devices.draws import Draws

Floats = NDArray[np.float64]

# A uniform number to the power p has the mean 1/(p + 1).
_HIGHEST_POWER = 8.0
# KLU loses digits on control nodes that only sources touch.
_OPTIONS: Mapping[str, str | float] = {"reltol": 1e-6, "vntol": 1e-10, "klu": "off"}
_RUNS_PER_DECK = 64
# Of what a ladder gives into a short: rows take about so much.
_LOAD_SHARE = 0.1


@dataclass(frozen=True)
class Rows:
    """How the rows are driven.

    Attributes
    ----------
    voltage_v : (batch, row) without the array.
    ladders, code : drivers and what they are set to, (batch, row); None for ideal sources.
    resistance_ohm : of a driver, mean over rows and codes.
    arrays : what was measured of the drivers, for the results.
    """

    voltage_v: Floats
    ladders: LadderDrivers | None
    code: NDArray[np.int64] | None
    resistance_ohm: float
    arrays: Arrays

    def alterations(self) -> tuple[dict[str, float], ...]:
        """Voltages of sources in a deck of the whole, vector by vector."""
        if self.ladders is None or self.code is None:
            return tuple(
                {f"vin_{row}": float(value) for row, value in enumerate(vector)}
                for vector in self.voltage_v
            )
        return tuple(self.ladders.settings(vector) for vector in self.code)


def drive_rows(
    parameters: MacroParameters, variation: Variation
) -> Generator[Problem, Answer, Rows]:
    """Voltages of all rows for all vectors."""
    inputs = drawn_inputs(parameters, variation.draws.entropy)
    alone = parameters.driver_parameters()
    bias, read = parameters.circuit.bias_voltage, parameters.stimulus.read_voltage
    if alone is None:
        return Rows(np.asarray(bias + read * inputs), None, None, 0.0, {})
    last = 2**alone.circuit.bits - 1
    code = np.rint(last * inputs).astype(np.int64)
    rng = variation.generator("driver_resistors")
    resistors = draw_resistors(alone.circuit, rng, (parameters.rows,))
    switches = Built(alone, resistors[0]).switches
    ladders = LadderDrivers(resistors, switches, bias, bias + read * (last + 1) / last)
    level, resistance = yield from _alone(ladders, parameters.conditions.temperature)
    if not np.all((level[:, -1] - level[:, 0]) * np.sign(read) > 0):
        raise MeasurementError("a row's driver does not move towards the read voltage")
    return Rows(
        level[np.arange(parameters.rows), code],
        ladders,
        code,
        float(resistance.mean()),
        {"input_code": code, "driver_level": level, "driver_resistance": resistance},
    )


def drawn_inputs(parameters: MacroParameters, entropy: int) -> Floats:
    """Inputs (batch, row), 0 to 1: those that are given, else drawn."""
    inputs = parameters.stimulus.inputs
    if inputs is not None:
        return inputs
    generator = Draws(entropy, 0).generator("stimulus")
    power = generator.uniform(1, _HIGHEST_POWER, (parameters.batch, 1))
    drawn = generator.random((parameters.batch, parameters.rows)) ** power
    low, high = (end(drawn, axis=1, keepdims=True) for end in (np.min, np.max))
    return np.asarray((drawn - low) / (high - low) if parameters.rows > 1 else drawn)


def _alone(
    ladders: LadderDrivers, temperature_degc: float
) -> Generator[Problem, Answer, tuple[Floats, Floats]]:
    """Open voltages and resistances (row, code) of all ladders."""
    from PySpice.Spice.Netlist import Circuit

    nodes = [f"row_{i}" for i in range(ladders.rows)]
    circuit = Circuit("row drivers")
    loads = [f"Iload_{i} 0 {node} 0" for i, node in enumerate(nodes)]
    circuit.raw_spice = "\n".join([*ladders.cells(), *ladders.lines(nodes), *loads]) + "\n"
    span = ladders.full_v - ladders.rest_v
    # Rows draw towards the rest, wherever the other rail is.
    load = -_LOAD_SHARE * span / float(ladders.resistors_ohm[:, -1].mean())
    runs = [(code, current) for current in (0.0, load) for code in range(2**ladders.bits)]
    bound = 2 * (abs(ladders.rest_v) + abs(ladders.full_v))
    found = []
    for start in range(0, len(runs), _RUNS_PER_DECK):
        answer = yield Problem(
            circuit=circuit,
            analysis=OperatingPoint(),
            probes=(Probe("row", voltage_vectors(nodes), (ladders.rows,), bound),),
            alterations=tuple(
                ladders.settings([code] * ladders.rows)
                | {f"iload_{i}": current for i in range(ladders.rows)}
                for code, current in runs[start : start + _RUNS_PER_DECK]
            ),
            options=_OPTIONS,
            temperature_degc=temperature_degc,
        )
        found.append(answer.final("row"))
    both = np.concatenate(found).reshape(2, -1, ladders.rows)
    return both[0].T, (both[1] - both[0]).T / load
