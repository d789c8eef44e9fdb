"""Parameters of the charge-domain bench: the tables of its recipes."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from imccircuit.benches.bench import Parameters, Section
from imccircuit.benches.idle import keys_idle, keys_of_others, never_mismatched
from imccircuit.devices.capacitor import CapacitorCard
from imccircuit.devices.cards import load_card
from imccircuit.devices.reference import CardOf
from imccircuit.devices.wire import WireCard
from imccircuit.units import SI, Capacitance, Resistance, SIArray, Time

_DEFAULT_ROWS = 64
_DEFAULT_BATCH = 16

_SWITCH_KEYS = {
    "sw": ("switch_on_resistance", "switch_off_resistance"),
    "transmission_gate": ("driver_width",),
}


def _refuse(why: str) -> PydanticCustomError:
    return PydanticCustomError("charge", "{why}", {"why": why})


class Circuit(Section):
    """Columns of SRAM bits with product capacitors."""

    rows: int | None = Field(
        None, ge=1, le=4096, description="inputs, N; default 64, follows given arrays"
    )
    cols: int | None = Field(None, ge=1, le=4096, description="outputs; default 1, follows weights")
    product: Literal["and", "xnor"] = Field("and", description="of input and stored bit")
    weights: Annotated[NDArray[np.float64], SIArray("", 2, least=-1.0, most=1.0)] | None = Field(
        None, description="stored bits (row, col): 0 or 1 for and, −1 or 1 for xnor"
    )
    weight_pattern: Literal["drawn", "ones"] = Field(
        "drawn", description="stored bits where weights does not give them"
    )
    storage: Literal["static", "6t"] = Field(
        "static", description="stored bits as fixed voltages or six-transistor cells"
    )
    unit_capacitor: Annotated[Capacitance, Field(gt=0)] | None = Field(
        None, description="product capacitor; default the card's"
    )
    capacitor_card: Annotated[CapacitorCard, CardOf("capacitor")] = Field(
        default_factory=lambda: load_card("capacitor_28nm", "capacitor"),
        description="card with the mismatch law of the unit capacitor",
    )
    line_ratio: Annotated[float, SI(""), Field(ge=0)] = Field(
        0.3, description="line capacitance for each unit capacitor, in units of it"
    )
    line_capacitance: Annotated[Capacitance, Field(gt=0)] = Field(
        2e-15, description="line capacitance beside that"
    )
    switches: Literal["sw", "transmission_gate"] = "sw"
    switch_on_resistance: Annotated[Resistance, Field(gt=0)] = Field(1e3, description="of sw")
    switch_off_resistance: Annotated[Resistance, Field(gt=0)] = Field(1e13, description="of sw")
    reset_width: Annotated[float, Field(gt=0)] | None = Field(
        None, description="reset switch in units of a cell's switch; default rows/16, 1 at least"
    )
    driver_width: float = Field(
        4.0, gt=0, description="transistors of a row driver in units of a cell's switch"
    )
    wire_card: Annotated[WireCard, CardOf("wire")] = Field(
        default_factory=lambda: load_card("wire_generic", "wire"), description="wire segments"
    )
    row_segment_resistance: Resistance | None = Field(
        None, description="row wire, per cell; default the wire card's"
    )
    row_segment_capacitance: Capacitance | None = Field(
        None, description="row wire, per cell; default the wire card's"
    )
    column_segment_resistance: Resistance | None = Field(
        None, description="column line, per cell; default the wire card's"
    )
    phase_time: Annotated[Time, Field(gt=0)] = Field(2e-9, description="of reset and of sample")
    share_time: Annotated[Time, Field(gt=0)] = Field(6e-9, description="of share, to the read")

    @model_validator(mode="after")
    def _consistent(self) -> Circuit:
        weights, allowed = self.weights, (0.0, 1.0) if self.product == "and" else (-1.0, 1.0)
        if weights is not None and (wrong := weights[~np.isin(weights, allowed)]).size:
            raise _refuse(
                f"weights holds {wrong[0]:.6g}; allowed: {allowed[0]:g} or {allowed[1]:g} "
                f'with product = "{self.product}"'
            )
        for axis, key in enumerate(("rows", "cols")):
            given = getattr(self, key)
            if weights is not None and given is not None and given != weights.shape[axis]:
                raise _refuse(
                    f"{key} = {given} but weights has {weights.shape[axis]}; allowed: "
                    f"leave {key} out, or {weights.shape[axis]}"
                )
        if self.storage == "6t" and self.switches == "sw":
            raise _refuse(
                'storage "6t" stands beside ideal switches, which see only a level; allowed: '
                'switches = "transmission_gate", or storage = "static"'
            )
        if 2 * self.share_time < self.phase_time:
            raise _refuse(
                f"share_time = {self.share_time:.3g} s is too short for the edges of phases of "
                f"{self.phase_time:.3g} s; allowed: half a phase_time or more"
            )
        return self

    @property
    def unit_f(self) -> float:
        """Unit capacitor in F."""
        if self.unit_capacitor is not None:
            return self.unit_capacitor
        return self.capacitor_card.unit_capacitance.value

    @property
    def row_ohm(self) -> float:
        """Resistance of a row segment in ohm."""
        given = self.row_segment_resistance
        return self.wire_card.row_resistance.value if given is None else given

    @property
    def row_f(self) -> float:
        """Capacitance of a row segment in F."""
        given = self.row_segment_capacitance
        return self.wire_card.row_capacitance.value if given is None else given

    @property
    def column_ohm(self) -> float:
        """Resistance of a column segment in ohm."""
        given = self.column_segment_resistance
        return self.wire_card.column_resistance.value if given is None else given

    @property
    def col_count(self) -> int:
        """Number of outputs."""
        if self.weights is not None:
            return int(self.weights.shape[1])
        return self.cols or 1


class Stimulus(Section):
    """Input vectors."""

    inputs: Annotated[NDArray[np.float64], SIArray("", 2, least=-1.0, most=1.0)] | None = Field(
        None, description="input bits (batch, row): 0 or 1 for and, −1 or 1 for xnor"
    )
    pattern: Literal["drawn", "staircase"] = Field(
        "drawn",
        description="inputs otherwise: each vector with a density of its own, or the first k rows "
        "active with k from 0 to all",
    )
    batch: int | None = Field(
        None, ge=1, le=1024, description="number of these vectors, default 16; follows inputs"
    )
    cost_vectors: int = Field(
        2, ge=1, le=64, description="vectors, evenly from the batch, whose energy is averaged"
    )


class ChargeParameters(Parameters):
    """Tables of a recipe of this bench."""

    circuit: Circuit = Field(default_factory=Circuit)
    stimulus: Stimulus = Field(default_factory=Stimulus)

    @property
    def has_transistors(self) -> bool:
        """Whether the switches are transistors."""
        return self.circuit.switches == "transmission_gate"

    @property
    def has_supply(self) -> bool:
        """It drives the rows in either case."""
        return True

    def idle_keys(self) -> Mapping[str, str]:
        """Keys of the other switches, and what given arrays and wires leave nothing to."""
        circuit, stimulus = self.circuit, self.stimulus
        wires = (circuit.row_segment_resistance, circuit.row_segment_capacitance,
                 circuit.column_segment_resistance)  # fmt: skip
        return {
            **keys_of_others(_SWITCH_KEYS, "switches", circuit.switches),
            **keys_idle(None not in wires, "all three segment values given", "circuit.wire_card"),
            **keys_idle(circuit.weights is not None, "weights given", "circuit.weight_pattern"),
            **keys_idle(stimulus.inputs is not None, "stimulus.inputs given", "stimulus.pattern"),
        }  # fmt: skip

    def idle_quantities(self) -> Mapping[str, str]:
        """Capacitors and transistors of a card without mismatch, transistors that are not there."""
        card, still = self.circuit.capacitor_card, self.technology
        none = never_mismatched(still.nmos, still.pmos)
        return {
            **keys_idle(card.reference_sigma.value == 0, "this capacitor_card", "unit_capacitor"),
            **keys_idle(none, "this technology", "transistor"),
            **keys_idle(not self.has_transistors, 'switches = "sw"', "transistor"),
        }

    def transistor_quantities(self) -> Collection[str]:
        """Mismatch of transmission gates and reset switches."""
        return ("transistor",)

    def spread_keys(self) -> Mapping[str, str]:
        """Beside a unit capacitor of one's own the card says but its spread."""
        given = self.circuit.unit_capacitor is not None
        return keys_idle(given, "unit_capacitor", "circuit.capacitor_card")

    @model_validator(mode="after")
    def _consistent(self) -> ChargeParameters:
        inputs, circuit = self.stimulus.inputs, self.circuit
        if inputs is None:
            return self
        allowed = (0.0, 1.0) if circuit.product == "and" else (-1.0, 1.0)
        if (wrong := inputs[~np.isin(inputs, allowed)]).size:
            raise _refuse(
                f"stimulus.inputs holds {wrong[0]:.6g}; allowed: {allowed[0]:g} or "
                f'{allowed[1]:g} with product = "{circuit.product}"'
            )
        if len(inputs) > 1024:
            raise _refuse(f"stimulus.inputs has {len(inputs)} vectors; allowed: 1 to 1024")
        weights = circuit.weights
        rows = circuit.rows if weights is None else weights.shape[0]
        if rows is not None and inputs.shape[1] != rows:
            raise _refuse(
                f"stimulus.inputs has {inputs.shape[1]} bits a vector but the array has {rows} "
                f"rows; allowed: shape (batch, {rows})"
            )
        return self

    @property
    def rows(self) -> int:
        """Number of inputs."""
        if self.stimulus.inputs is not None:
            return int(self.stimulus.inputs.shape[1])
        if self.circuit.weights is not None:
            return int(self.circuit.weights.shape[0])
        return self.circuit.rows or _DEFAULT_ROWS

    @property
    def cols(self) -> int:
        """Number of outputs."""
        return self.circuit.col_count

    @property
    def batch(self) -> int:
        """Number of input vectors."""
        if self.stimulus.inputs is not None:
            return len(self.stimulus.inputs)
        return self.stimulus.batch or _DEFAULT_BATCH

    @property
    def line_f(self) -> float:
        """Capacitance of a column line in F."""
        circuit = self.circuit
        return circuit.line_ratio * self.rows * circuit.unit_f + circuit.line_capacitance

    @property
    def reset_width(self) -> float:
        """Reset switch in units of a cell's switch."""
        given = self.circuit.reset_width
        return max(1.0, self.rows / 16) if given is None else given


class ChargeGates(Section):
    """What the surrogate of a charge-domain array must reach on SPICE data it never saw."""

    max_error: Annotated[float, SI("LSB"), Field(gt=0)] = Field(
        0.02, description="largest error of an output with ideal switches; LSB: one product"
    )
    max_error_transistor: Annotated[float, SI("LSB"), Field(gt=0)] = Field(
        0.05, description="the same with switches of transistors"
    )
    spread_factor: float = Field(
        1.75,
        gt=1,
        description="the spread of outputs over chips is right within this factor: the 90 % "
        "interval of held-out over fitted spread lies between its inverse and itself",
    )
