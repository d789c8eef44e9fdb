"""Parameters of the comparator bench: the tables of its recipes."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from imccircuit.benches.bench import Parameters, Section
from imccircuit.circuits.sar_transistors import SarLatch
from imccircuit.circuits.technology import Technology
from imccircuit.units import Length, Resistance, SIArray, Time, Voltage

_BEHAVIOURAL = ("offset", "offset_sigma", "noise_sigma")
_TRANSISTORS = (
    "input_width", "latch_nmos_width", "latch_pmos_width", "tail_width", "reset_width",
    "gate_length", "source_resistance", "cycle_time", "clock_edge",
)  # fmt: skip
_EDGES_PER_HALF = 10
_OVERDRIVES_V = np.array([30e-6, 1e-4, 3e-4, 1e-3, 3e-3, 10e-3, 30e-3, 100e-3])

Width = Annotated[Length, Field(gt=0, le=1e-3)] | None
# Of the smallest transistor, in gate widths of the technology: 500 nm where they are 120 nm.
_SCALE = 25 / 6


def check_edge(edge_s: float, cycle_s: float) -> None:
    """Refuse an edge that takes a large part of the half cycle.

    Raises
    ------
    PydanticCustomError : it does.
    """
    most = cycle_s / 2 / _EDGES_PER_HALF
    if edge_s > most:
        why = (
            f"clock_edge = {edge_s:g} s is too long for cycle_time = {cycle_s:g} s; allowed: up to "
            f"{most:g} s"
        )
        raise PydanticCustomError("clock", "{why}", {"why": why})


class Circuit(Section):
    """A comparator: StrongARM latch of transistors, or its behavioural stand-in."""

    implementation: Literal["strongarm", "behavioural"] = "strongarm"
    input_width: Width = Field(
        None, description="each of the input pair; default 50/3 of the technology's"
    )
    latch_nmos_width: Width = Field(
        None, description="NMOS of the cross-coupled pair; default 25/3 of the technology's"
    )
    latch_pmos_width: Width = Field(
        None, description="PMOS of the cross-coupled pair; default 25/6 of the technology's"
    )
    tail_width: Width = Field(None, description="clocked tail; default 50/3 of the technology's")
    reset_width: Width = Field(
        None, description="each of four precharge transistors; default 25/6 of the technology's"
    )
    gate_length: Width = Field(None, description="of all; default the technology's")
    source_resistance: Annotated[Resistance, Field(gt=0)] = Field(
        1e3, description="between each input source and the comparator"
    )
    cycle_time: Annotated[Time, Field(gt=0)] = Field(
        4e-9, description="clock period, half of it precharge"
    )
    clock_edge: Annotated[Time, Field(gt=0)] = Field(20e-12, description="rise and fall time")
    offset: Voltage = Field(0.0, description="of the behavioural one; positive: yes comes earlier")
    offset_sigma: Annotated[Voltage, Field(ge=0)] = Field(
        0.0, description="of the behavioural one, standard deviation from chip to chip"
    )
    noise_sigma: Annotated[Voltage, Field(ge=0)] = Field(
        0.0, description="of the behavioural one, input-referred"
    )

    @model_validator(mode="after")
    def _consistent(self) -> Circuit:
        check_edge(self.clock_edge, self.cycle_time)
        return self


class Decisions(Section):
    """What is asked of any comparator."""

    common_mode: Annotated[Voltage, Field(ge=0)] = Field(0.6, description="mean of the inputs")
    search_range: Annotated[Voltage, Field(gt=0, le=0.5)] = Field(
        0.1, description="the offset is searched between its negative and itself"
    )
    offset_tolerance: Annotated[Voltage, Field(gt=0)] = Field(
        1e-6, description="to which the bisection goes"
    )
    overdrives: Annotated[NDArray[np.float64], SIArray("V", 1)] | None = Field(
        None,
        description="inputs beyond the threshold, ascending: decision time and energy of each; "
        "default 30 uV to 100 mV",
    )

    @model_validator(mode="after")
    def _consistent(self) -> Decisions:
        drives = self.overdrive_v
        if len(drives) < 3 or np.any(drives <= 0) or np.any(np.diff(drives) <= 0):
            why = (
                "overdrives do not ascend from above 0 V, or are too few; allowed: three or more, "
                "each above the one before"
            )
            raise PydanticCustomError("overdrives", "{why}", {"why": why})
        if self.offset_tolerance >= self.search_range:
            why = (
                f"offset_tolerance = {self.offset_tolerance:g} V is not below search_range = "
                f"{self.search_range:g} V; allowed: less"
            )
            raise PydanticCustomError("offset", "{why}", {"why": why})
        return self

    @property
    def overdrive_v(self) -> NDArray[np.float64]:
        """Inputs beyond the threshold in V: given ones, or the default's eight."""
        return _OVERDRIVES_V if self.overdrives is None else self.overdrives


class Stimulus(Decisions):
    """What is asked of ours, whose transistors are known one by one."""

    noise_decisions: int | None = Field(
        None, ge=200, le=100_000, description="noisy decisions; none: noise is not measured"
    )


def check_stimulus(stimulus: Decisions, supply_v: float) -> None:
    """Refuse overdrives that the offset's own uncertainty blurs, and inputs above the supply.

    Raises
    ------
    PydanticCustomError : there are any.
    """
    first, known = float(stimulus.overdrive_v[0]), stimulus.offset_tolerance
    if first < 3 * known:
        why = (
            f"stimulus.overdrives begin at {first:g} V, where an offset known to "
            f"offset_tolerance = {known:g} V blurs them; allowed: from {3 * known:g} V"
        )
        raise PydanticCustomError("overdrives", "{why}", {"why": why})
    if stimulus.common_mode > supply_v:
        why = (
            f"stimulus.common_mode = {stimulus.common_mode:g} V is above the supply; "
            f"allowed: 0 to {supply_v:g} V"
        )
        raise PydanticCustomError("common_mode", "{why}", {"why": why})


class ComparatorParameters(Parameters):
    """Tables of a recipe of this bench."""

    circuit: Circuit = Field(default_factory=Circuit)
    stimulus: Stimulus = Field(default_factory=Stimulus)

    @property
    def has_transistors(self) -> bool:
        """The behavioural one has none."""
        return self.circuit.implementation == "strongarm"

    def idle_keys(self) -> Mapping[str, str]:
        """What the other implementation has."""
        why = f'implementation = "{self.circuit.implementation}"'
        if self.has_transistors:
            return dict.fromkeys((f"circuit.{key}" for key in _BEHAVIOURAL), why)
        keys = [f"circuit.{key}" for key in _TRANSISTORS]
        return dict.fromkeys((*keys, "stimulus.overdrives", "stimulus.common_mode"), why)

    def idle_quantities(self) -> Mapping[str, str]:
        """What the other implementation varies."""
        why = f'implementation = "{self.circuit.implementation}"'
        own = ("comparator_offset",) if self.has_transistors else ("input_pair", "latch_pairs")
        return dict.fromkeys(own, why)

    def transistor_quantities(self) -> Collection[str]:
        """Mismatch of input pair and latch."""
        return ("input_pair", "latch_pairs")

    @property
    def widths_m(self) -> Mapping[str, float]:
        """Gate widths in m, by their names in ``netlists/strongarm.subckt``."""
        circuit = self.circuit
        given = {
            "wn_in": circuit.input_width, "wn_latch": circuit.latch_nmos_width,
            "wp_latch": circuit.latch_pmos_width, "w_tail": circuit.tail_width,
            "w_reset": circuit.reset_width,
        }  # fmt: skip
        usual = SarLatch(Technology(self.technology, self.corner, self.supply_v), _SCALE)
        return {key: usual.width_m(key) if own is None else own for key, own in given.items()}

    @property
    def lengths_m(self) -> Mapping[str, float]:
        """Gate lengths in m of ``nmos`` and ``pmos``."""
        given, card = self.circuit.gate_length, self.technology
        return {"nmos": given or card.nmos.length.value, "pmos": given or card.pmos.length.value}

    @model_validator(mode="after")
    def _measurable(self) -> ComparatorParameters:
        if not self.has_transistors:
            return self
        check_stimulus(self.stimulus, self.supply_v)
        return self


class ComparatorGates(Section):
    """No surrogate is fitted to a comparator alone: nothing to judge."""
