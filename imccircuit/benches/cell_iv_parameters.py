"""Parameters of the bench of cell I-V curves: the tables of its recipes."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from imccircuit.benches.bench import Parameters, Section
from imccircuit.benches.idle import keys_idle, keys_of_others, never_mismatched, never_spread
from imccircuit.devices.cards import load_card
from imccircuit.devices.reference import CardOf
from imccircuit.devices.rram import RramCard, SinhConduction
from imccircuit.devices.wire import WireCard
from imccircuit.errors import UsageError
from imccircuit.units import SI, Length, Resistance, SIArray, Time, Voltage

_BIT_LINE_STEPS = 12
_WORD_LINE_SHARES = (0.25, 0.375, 0.5, 0.625, 0.75, 0.875, 1.0)
_MOST_CELLS = 4096
_CELL_KEYS = {
    "1r_sinh": ("circuit.sinh_voltage",),
    "1t1r": ("circuit.sinh_voltage", "circuit.transistor_width", "circuit.cols",
             "stimulus.word_line_voltages"),
}  # fmt: skip


def refuse(kind: str, why: str) -> PydanticCustomError:
    """Error of one line: what is wrong, and what is allowed."""
    return PydanticCustomError(kind, "{why}", {"why": why})


class Circuit(Section):
    """Memory cells, and the lines of the array in which one of them is read."""

    cell: Literal["1r", "1r_sinh", "1t1r"] = "1r"
    device_card: Annotated[RramCard, CardOf("rram")] = Field(
        default_factory=lambda: load_card("rram_techC", "rram"),
        description="states, conduction law, spread",
    )
    levels: Annotated[NDArray[np.float64], SIArray("S", 1, least=1e-12)] | None = Field(
        None, description="programmed conductances; default on and off of the card"
    )
    cells: int = Field(1, ge=1, le=_MOST_CELLS, description="cells of each level on a chip")
    read_time: Time | None = Field(None, description="after programming; default the card's")
    sinh_voltage: Annotated[Voltage, Field(gt=0)] | None = Field(
        None, description="V0 of 1r_sinh, or of the element of 1t1r; default the card's"
    )
    transistor_width: Length | None = Field(None, description="gate width; default technology's")
    wire_card: Annotated[WireCard, CardOf("wire")] = Field(
        default_factory=lambda: load_card("wire_generic", "wire"), description="wire segments"
    )
    rows: int = Field(128, ge=1, le=65_536, description="cells along the bit line")
    cols: int = Field(128, ge=1, le=65_536, description="cells along the word line")
    driver_resistance: Resistance = Field(1e3, description="of bit-line and word-line driver")

    @model_validator(mode="after")
    def _consistent(self) -> Circuit:
        sinh = isinstance(self.device_card.conduction, SinhConduction)
        if self.cell == "1r" and sinh:
            raise refuse(
                "sinh", 'device_card has a sinh law; allowed: cell = "1r_sinh" or "1t1r" with it'
            )
        if self.cell == "1r_sinh" and self.v0_v is None:
            raise refuse(
                "sinh",
                "cell 1r_sinh needs V0; allowed: sinh_voltage, or a device_card whose conduction "
                "law is sinh, such as rram_sinh",
            )
        if len(self.level_s) * self.cells > _MOST_CELLS:
            raise refuse(
                "cells",
                f"{len(self.level_s)} levels of {self.cells} cells are too many; allowed: up to "
                f"{_MOST_CELLS} cells in all",
            )
        try:
            self.device_card.spread_at(self.read_time).mean_of(self.level_s)
        except UsageError as error:
            raise refuse("level", str(error)) from None
        return self

    @property
    def level_s(self) -> NDArray[np.float64]:
        """Programmed conductances (level,) in S."""
        if self.levels is not None:
            return self.levels
        card = self.device_card
        return np.array([card.on_conductance.value, card.off_conductance.value])

    @property
    def v0_v(self) -> float | None:
        """V0 of the resistive element in V, None where it is linear."""
        if self.sinh_voltage is not None:
            return self.sinh_voltage
        conduction = self.device_card.conduction
        return conduction.v0.value if isinstance(conduction, SinhConduction) else None


class Stimulus(Section):
    """Voltages of the curves, and the read whose cost is measured."""

    bit_line_voltages: Annotated[NDArray[np.float64], SIArray("V", 1)] | None = Field(
        None, description="default: 13 from 0 to max_voltage of the device card"
    )
    word_line_voltages: Annotated[NDArray[np.float64], SIArray("V", 1)] | None = Field(
        None, description="of 1t1r; default: 7 from a quarter of the supply to the supply"
    )
    read_pulse: Annotated[Time, Field(gt=0)] = Field(10e-9, description="length of a read")
    edge_time: Annotated[Time, Field(gt=0)] = Field(0.1e-9, description="of the drivers")
    read_bits: int = Field(
        6, ge=1, le=12, description="the read has settled within half an LSB of this resolution"
    )

    @model_validator(mode="after")
    def _consistent(self) -> Stimulus:
        if self.edge_time > self.read_pulse / 4:
            raise refuse(
                "time",
                f"edge_time of {self.edge_time:g} s is too long for read_pulse of "
                f"{self.read_pulse:g} s; allowed: up to a quarter of it",
            )
        for key in ("bit_line_voltages", "word_line_voltages"):
            given = getattr(self, key)
            if given is not None and np.any(np.diff(given) <= 0):
                raise refuse("voltage", f"{key} do not rise; allowed: strictly rising voltages")
        return self


class CellParameters(Parameters):
    """Tables of a recipe of this bench."""

    circuit: Circuit = Field(default_factory=Circuit)
    stimulus: Stimulus = Field(default_factory=Stimulus)

    @property
    def has_transistors(self) -> bool:
        """Only the cell 1t1r has any."""
        return self.circuit.cell == "1t1r"

    @property
    def has_temperature(self) -> bool:
        """Resistors keep their value where the card knows no other, and no noise is measured."""
        known = self.circuit.device_card.temperature_coefficient is not None
        return self.has_transistors or known

    def idle_keys(self) -> Mapping[str, str]:
        """Keys of other cells, and the supply where the word line's voltages are given."""
        given = self.stimulus.word_line_voltages is not None
        return {
            **keys_of_others(_CELL_KEYS, "cell", self.circuit.cell, prefix=""),
            **keys_idle(given, "stimulus.word_line_voltages given", "conditions.supply"),
        }

    def idle_quantities(self) -> Mapping[str, str]:
        """Mismatch without transistors, or without spread."""
        why = f'cell = "{self.circuit.cell}"'
        return {
            **keys_idle(never_spread(self.circuit.device_card), "this device_card", "conductance"),
            **keys_idle(never_mismatched(self.technology.nmos), "this technology", "transistor"),
            **keys_idle(not self.has_transistors, why, "transistor"),
        }

    def transistor_quantities(self) -> Collection[str]:
        """Mismatch of the cells' transistors."""
        return ("transistor",)

    @property
    def bit_line_v(self) -> NDArray[np.float64]:
        """Voltages of the bit line (bit_line,) in V."""
        if self.stimulus.bit_line_voltages is not None:
            return self.stimulus.bit_line_voltages
        return np.linspace(0.0, self.circuit.device_card.max_voltage.value, _BIT_LINE_STEPS + 1)

    @property
    def word_line_v(self) -> NDArray[np.float64]:
        """Voltages of the word line (word_line,) in V."""
        if self.stimulus.word_line_voltages is not None:
            return self.stimulus.word_line_voltages
        return np.array(_WORD_LINE_SHARES) * self.supply_v

    @property
    def word_line_shares(self) -> NDArray[np.float64] | None:
        """Word-line voltages over the supply, None where they are given in volts."""
        return None if self.stimulus.word_line_voltages is not None else np.array(_WORD_LINE_SHARES)

    @model_validator(mode="after")
    def _consistent(self) -> CellParameters:
        largest = float(np.max(np.abs(self.bit_line_v)))
        limit = self.circuit.device_card.max_voltage.value
        # In 1t1r the transistor takes its share, but at the highest gate voltage hardly any.
        if largest > limit * (1 + 1e-12):
            raise refuse(
                "voltage",
                f"bit_line_voltages reach {largest:g} V, beyond the law of device_card; allowed: "
                f"up to {limit:g} V",
            )
        if not np.any(self.bit_line_v > 0):
            raise refuse(
                "voltage", "bit_line_voltages hold none above 0 V; allowed: at least one to read at"
            )
        return self


class CellGates(Section):
    """What the surrogate of a cell must reach on SPICE data it never saw."""

    nrmse: Annotated[float, SI(""), Field(gt=0)] = Field(
        0.01, description="rms error of the current over its rms"
    )
    max_error: Annotated[float, SI("FS"), Field(gt=0)] = Field(
        0.02, description="largest error over the largest current"
    )
    spread_factor: float = Field(
        1.75,
        gt=1,
        description="the spread of cells over chips is right within this factor: the 90 % "
        "interval of held-out over fitted spread lies between its inverse and itself",
    )
    mean_shift: float = Field(
        0.75,
        gt=0,
        description="mean of the cells of every level, right within this many of its standard "
        "deviations: the 90 % interval of held-out less fitted mean lies within",
    )
    chip_spread_factor: float = Field(
        3.5,
        gt=1,
        description="the same as spread_factor for what cells of a chip have in common",
    )
