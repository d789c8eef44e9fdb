"""Decisions of a clocked comparator that somebody else drew."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from imccircuit.benches.bench import Along, Bench, Measurement, Variation
from imccircuit.benches.comparator_dut import FINE_OPTIONS
from imccircuit.benches.comparator_measure import (
    DECISION_CURVES,
    DECISION_VARIABLES,
    Fixture,
    measure_decisions,
)
from imccircuit.benches.comparator_parameters import ComparatorGates
from imccircuit.benches.cost import Meter, blocks_along
from imccircuit.benches.dut_comparator_parameters import DutComparatorParameters
from imccircuit.circuits.comparator import Clocking
from imccircuit.circuits.dut_comparator import dut_comparator
from imccircuit.circuits.foreign import Foreign
from imccircuit.circuits.technology import Technology

# Steps are chosen by the error of a node's voltage relative to all of it, and what decides is a
# thousandth of it: on two nodes that nothing else keeps busy, decisions came 1.1 % early at 1e-5.
_FINE: Mapping[str, str | float] = {**FINE_OPTIONS, "reltol": 1e-7}

_SOURCES = {
    "supply": ("vdd", "vdd"),
    "clock": ("vclk", "clk"),
    "input_plus": ("bplus", "source_p"),
    "input_minus": ("bminus", "source_n"),
}


def _dut(parameters: DutComparatorParameters) -> Foreign:
    netlist = parameters.circuit.dut
    technology = Technology(parameters.technology, parameters.corner, parameters.supply_v)
    return Foreign(
        text=netlist.text,
        subcircuit=netlist.subcircuit,
        pins=netlist.pins,
        nodes=parameters.circuit.nodes,
        include_line=technology.include_line if parameters.uses_technology else "",
    )


def _meter(dut: Foreign) -> Meter:
    return Meter(_SOURCES | dut.meters)


def _sizes(parameters: DutComparatorParameters) -> dict[str, int]:
    blocks = _meter(_dut(parameters)).blocks
    return {"overdrive": len(parameters.stimulus.overdrive_v), "block": len(blocks)}


def _coordinates(parameters: DutComparatorParameters) -> Mapping[str, Any]:
    return {
        "overdrive": Along(parameters.stimulus.overdrive_v, "V", "input beyond the threshold"),
        "block": blocks_along(_meter(_dut(parameters)).blocks),
    }


def _measure(parameters: DutComparatorParameters, variation: Variation) -> Measurement:
    del variation
    circuit, dut = parameters.circuit, _dut(parameters)
    clocking = Clocking(
        cycle_s=circuit.cycle_time,
        edge_s=circuit.clock_edge,
        common_mode_v=parameters.stimulus.common_mode,
        source_ohm=circuit.source_resistance,
    )
    fixture = Fixture(
        circuit=dut_comparator(dut, clocking, parameters.supply_v),
        clocking=clocking,
        supply_v=parameters.supply_v,
        stimulus=parameters.stimulus,
        meter=_meter(dut),
        temperature_degc=parameters.conditions.temperature,
        native=tuple(map(str, circuit.dut.native)),
        fine=_FINE,
    )
    arrays, _ = yield from measure_decisions(fixture)
    return arrays | {"area": np.asarray(np.nan)}


BENCH = Bench(
    name="dut_comparator",
    summary="offset, decision time, regeneration, kickback and energy of your own comparator",
    parameters=DutComparatorParameters,
    gates=ComparatorGates,
    quantities=(),
    surrogate="",
    sizes=_sizes,
    variables=lambda _: DECISION_VARIABLES,
    coordinates=_coordinates,
    measure=_measure,
    curves=DECISION_CURVES,
)
