"""Parameters of the bench of 1T1R columns: the tables of its recipes."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from imccircuit.benches.bench import Parameters, Section
from imccircuit.benches.idle import keys_idle, never_spread
from imccircuit.devices.cards import load_card
from imccircuit.devices.mos import Transistor
from imccircuit.devices.reference import CardOf
from imccircuit.devices.rram import RramCard, SinhConduction
from imccircuit.devices.wire import WireCard
from imccircuit.errors import UsageError
from imccircuit.units import Length, Resistance, SIArray, Time, Voltage

_WIDTHS = 3.0


class Cells(Section):
    """Cells of a column and the lines between them."""

    word_line_voltage: Annotated[Voltage, Field(gt=0)] | None = Field(
        None, description="gates of active rows; default the supply"
    )
    transistor_width: Length | None = Field(
        None, description="gate width of a cell's transistor; default three of the technology's"
    )
    transistor_length: Length | None = Field(None, description="default the technology's")
    device_card: Annotated[RramCard, CardOf("rram")] = Field(
        default_factory=lambda: load_card("rram_10k", "rram"),
        description="low- and high-resistance state, spread",
    )
    read_time: Time | None = Field(None, description="after programming; default the card's")
    wire_card: Annotated[WireCard, CardOf("wire")] = Field(
        default_factory=lambda: load_card("wire_generic", "wire"), description="wire segments"
    )
    bit_segment_resistance: Resistance | None = Field(
        None, description="bit line, per cell; default the wire card's column"
    )
    source_segment_resistance: Resistance | None = Field(
        None, description="source line, per cell; default the wire card's column"
    )
    clamp_resistance: Resistance = Field(20.0, description="between source line and ground")
    sense_end: Literal["opposite", "same"] = Field(
        "opposite", description="end at which the source line leaves, seen from the bit line's feed"
    )
    weights: Annotated[NDArray[np.float64], SIArray("", 1, least=-1.0, most=1.0)] | None = Field(
        None, description="−1, 0 or 1 a row; default drawn once, a third each"
    )

    @model_validator(mode="after")
    def _cells_fit(self) -> Cells:
        if isinstance(self.device_card.conduction, SinhConduction):
            _refuse('device_card has a sinh law; allowed: a card with law = "linear"')
        if self.weights is not None and not np.all(np.isin(self.weights, (-1.0, 0.0, 1.0))):
            _refuse("weights holds a value that is not ternary; allowed: -1, 0 and 1")
        return self

    @property
    def bit_ohm(self) -> float:
        """Resistance of a bit-line segment in ohm."""
        given = self.bit_segment_resistance
        return self.wire_card.column_resistance.value if given is None else given

    @property
    def source_ohm(self) -> float:
        """Resistance of a source-line segment in ohm."""
        given = self.source_segment_resistance
        return self.wire_card.column_resistance.value if given is None else given


class Circuit(Cells):
    """One column of 1T1R cells, or a differential pair of them for ternary weights."""

    rows: int = Field(64, ge=2, le=1024, description="word lines")
    bias_rows: int = Field(
        0, ge=0, description="extra rows, always on and low-resistive, that shift the common mode"
    )
    ternary: bool = Field(False, description="measure a pair of columns with ternary weights")

    @model_validator(mode="after")
    def _consistent(self) -> Circuit:
        if self.bias_rows > self.rows:
            _refuse(f"bias_rows = {self.bias_rows} is more than rows; allowed: 0 to {self.rows}")
        if why := misfit_of_cells(self, self.rows):
            _refuse(why)
        return self


class Stimulus(Section):
    """What is read."""

    read_voltage: Annotated[Voltage, Field(gt=0)] = Field(0.2, description="of the bit line")
    active_rows: int | None = Field(
        None, ge=2, description="largest n of the sum I(n); default all rows"
    )
    inputs: Annotated[NDArray[np.float64], SIArray("", 2, least=0.0, most=1.0)] | None = Field(
        None, description="(batch, row) of 0 and 1 for the ternary pair; default drawn once"
    )
    batch: int | None = Field(
        None, ge=1, le=10_000, description="drawn input vectors, default 16; follows inputs"
    )
    pulse_width: Annotated[Time, Field(gt=1e-10)] = Field(
        0.5e-9, description="word lines are high for as long, then low for as long"
    )


class IrcParameters(Parameters):
    """Tables of a recipe of this bench."""

    circuit: Circuit = Field(default_factory=Circuit)
    stimulus: Stimulus = Field(default_factory=Stimulus)

    def idle_keys(self) -> Mapping[str, str]:
        """Keys of the ternary pair without one, and what others stand in place of."""
        stimulus = self.stimulus
        return {
            **keys_idle(not self.circuit.ternary, "ternary = false", "circuit.weights",
                        "stimulus.inputs", "stimulus.batch"),
            **keys_idle(stimulus.inputs is not None, "stimulus.inputs given", "stimulus.batch"),
            **keys_idle(self.circuit.word_line_voltage is not None,
                        "circuit.word_line_voltage given", "conditions.supply"),
        }  # fmt: skip

    def idle_quantities(self) -> Mapping[str, str]:
        """Spread of cards without any."""
        return without_spread(self.circuit.device_card, self.technology.nmos)

    def transistor_quantities(self) -> Collection[str]:
        """Mismatch of the cells' transistors."""
        return ("threshold", "current_factor")

    @model_validator(mode="after")
    def _consistent(self) -> IrcParameters:
        circuit, stimulus, rows = self.circuit, self.stimulus, self.circuit.rows
        if stimulus.active_rows is not None and stimulus.active_rows > rows:
            _refuse(
                f"stimulus.active_rows = {stimulus.active_rows} is more than circuit.rows; "
                f"allowed: 2 to {rows}"
            )
        if stimulus.read_voltage > circuit.device_card.max_voltage.value:
            _refuse(
                f"stimulus.read_voltage = {stimulus.read_voltage:g} V is beyond the law of "
                f"device_card; allowed: up to {circuit.device_card.max_voltage.value:g} V"
            )
        if why := misfit_of_inputs(stimulus.inputs, rows):
            _refuse(why)
        return self

    @property
    def gate_v(self) -> float:
        """Voltage of an active word line in V."""
        given = self.circuit.word_line_voltage
        return self.supply_v if given is None else given

    @property
    def width_m(self) -> float:
        """Gate width of a cell's transistor in m."""
        given = self.circuit.transistor_width
        return _WIDTHS * self.technology.nmos.width.value if given is None else given

    @property
    def length_m(self) -> float:
        """Gate length of a cell's transistor in m."""
        given = self.circuit.transistor_length
        return self.technology.nmos.length.value if given is None else given

    @property
    def active_rows(self) -> int:
        """Largest number of rows in the sum."""
        given = self.stimulus.active_rows
        return self.circuit.rows if given is None else given

    @property
    def batch(self) -> int:
        """Input vectors of the ternary pair."""
        if self.stimulus.inputs is not None:
            return len(self.stimulus.inputs)
        return self.stimulus.batch or 16


class NoGates(Section):
    """There is no surrogate of a column yet, so nothing to judge."""


def without_spread(card: RramCard, device: Transistor) -> dict[str, str]:
    """Quantities of a column's cells that vary nothing with these cards, each with why."""
    return {
        **keys_idle(never_spread(card), "this device_card", "conductance"),
        **keys_idle(device.a_vt.value == 0, "this technology", "threshold"),
        **keys_idle(device.a_beta.value == 0, "this technology", "current_factor"),
    }


def misfit_of_cells(cells: Cells, rows: int) -> str:
    """Why a read time or given weights do not fit a column; empty if they do."""
    try:
        cells.device_card.spread_at(cells.read_time)
    except UsageError as error:
        return f"read_time: {error}"
    if cells.weights is None or cells.weights.shape == (rows,):
        return ""
    return f"weights has {len(cells.weights)} entries; allowed: {rows}, one a row"


def misfit_of_inputs(inputs: NDArray[np.float64] | None, rows: int) -> str:
    """Why given inputs do not fit a column; empty if they do."""
    if inputs is None:
        return ""
    if inputs.shape[1] != rows:
        return f"stimulus.inputs is {inputs.shape}; allowed: shape (batch, {rows})"
    if not np.all(np.isin(inputs, (0.0, 1.0))):
        return "stimulus.inputs holds a value between; allowed: 0 and 1"
    return ""


def _refuse(why: str) -> None:
    raise PydanticCustomError("irc", "{why}", {"why": why})
