"""Parameters of the macro bench: the tables of its recipes.

Array and converter are those of the benches `crossbar_mvm` and `adc_transfer`, with the same keys
under ``circuit.array`` and ``circuit.converter``, and front ends that are not ideal those of
`readout_transfer`, under ``circuit.front_end``; here stands what joins them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from imccircuit.benches import adc_parameters, crossbar_parameters, dac_parameters
from imccircuit.benches.adc_parameters import AdcParameters
from imccircuit.benches.bench import Parameters, Section
from imccircuit.benches.crossbar_parameters import CrossbarParameters
from imccircuit.benches.dac_parameters import DacParameters
from imccircuit.benches.idle import keys_idle
from imccircuit.benches.macro_driver_parameters import Driver
from imccircuit.benches.macro_front_parameters import FrontEnd
from imccircuit.benches.readout_parameters import ReadoutParameters
from imccircuit.units import SI, Resistance, SIArray, Voltage, format_quantity

_ROWS, _COLS = 64, 8
# What a macro calls the quantities of `readout_transfer`.
FRONT_QUANTITIES = {"offset": "front_end_offset", "transistor": "front_end_transistors"}
"""Quantity of a front end alone → that of the macro."""


class Circuit(Section):
    """Array, a transimpedance amplifier a column, converters behind the first columns."""

    array: crossbar_parameters.Circuit = Field(
        default_factory=lambda: crossbar_parameters.Circuit(readout="tia", rows=_ROWS, cols=_COLS),
    )
    converter: adc_parameters.Circuit = Field(default_factory=adc_parameters.Circuit)
    driver: Driver = Field(default_factory=Driver)
    front_end: FrontEnd = Field(default_factory=FrontEnd)
    converters: int | None = Field(
        None, ge=1, le=64, description="columns with a converter, the first ones; default all"
    )
    bias_voltage: Voltage = Field(
        0.1, description="of the bit lines, and of the front ends' outputs at no current"
    )
    output_resistance: Resistance = Field(
        1e3, description="of a front end's driver, through which its converter samples"
    )
    reference_resistance: Resistance = Field(
        0.0, description="between the reference and all converters together"
    )

    @model_validator(mode="after")
    def _joined(self) -> Circuit:
        array, converter = self.array, self.converter
        if array.readout != "tia":
            raise _bad("array.readout", array.readout, 'allowed: "tia"')
        if array.cell == "1t1r":
            raise _bad("array.cell", array.cell, 'allowed: "1r", "1r_sinh"')
        cols = array.physical_shape[1]
        if self.converters is not None and self.converters > cols:
            raise _bad("converters", str(self.converters), f"allowed: 1 to {cols}, one a column")
        if converter.group_size > cols:
            raise _bad("converter.group_size", str(converter.group_size), f"allowed: 1 to {cols}")
        return self


def _bad(key: str, value: str, allowed: str) -> PydanticCustomError:
    return PydanticCustomError("macro", "{why}", {"why": f"circuit.{key} = {value}; {allowed}"})


class Stimulus(Section):
    """Inputs of the rows."""

    inputs: Annotated[NDArray[np.float64], SIArray("", 2, least=0.0, most=1.0)] | None = Field(
        None,
        description="inputs (batch, row), 0 to 1; default drawn, the rows of a vector from 0 to 1 "
        "with a mean that is itself drawn, so that outputs spread over the converter's range",
    )
    batch: int | None = Field(None, ge=1, le=4096, description="vectors, default 8; follows inputs")
    read_voltage: Voltage = Field(
        -0.1, description="across a cell at input 1; below 0 the rows lie below the bit lines and "
        "outputs rise with the inputs"
    )  # fmt: skip
    null_tolerance: Annotated[float, SI("LSB"), Field(gt=0, le=1)] = Field(
        0.001, description="a level that moves by less between two passes is found"
    )
    energy_inputs: int = Field(
        0, ge=0, le=256, description="inputs, evenly spread, over which the energy of a converter "
        "alone is averaged, and the array's power measured; 0: neither is"
    )  # fmt: skip

    @model_validator(mode="after")
    def _reads(self) -> Stimulus:
        if self.read_voltage == 0:
            raise PydanticCustomError("macro", "read_voltage = 0 V reads nothing; allowed: others")
        return self


class MacroParameters(Parameters):
    """Tables of a recipe of this bench."""

    circuit: Circuit = Field(default_factory=Circuit)
    stimulus: Stimulus = Field(default_factory=Stimulus)

    @property
    def has_transistors(self) -> bool:
        """Whether the converters, the front ends or the rows' drivers are made of any."""
        converter = self.converter_parameters(0)
        return converter.has_transistors or self._has_gates or self._has_amplifiers

    @property
    def has_supply(self) -> bool:
        """Likewise, and for the energy of the counted logic."""
        converter = self.converter_parameters(0)
        return converter.has_supply or self._has_gates or self._has_amplifiers

    @property
    def _has_amplifiers(self) -> bool:
        return self.circuit.front_end.implementation == "transistor"

    @property
    def _has_gates(self) -> bool:
        alone = self.driver_parameters()
        return alone is not None and alone.has_transistors

    @property
    def rows(self) -> int:
        """Number of inputs."""
        inputs = self.stimulus.inputs
        return self.circuit.array.physical_shape[0] if inputs is None else int(inputs.shape[1])

    @property
    def cols(self) -> int:
        """Number of physical columns."""
        return self.circuit.array.physical_shape[1]

    @property
    def converters(self) -> int:
        """Number of columns with a converter."""
        return self.cols if self.circuit.converters is None else self.circuit.converters

    @property
    def batch(self) -> int:
        """Number of input vectors."""
        inputs = self.stimulus.inputs
        return self.stimulus.batch or 8 if inputs is None else len(inputs)

    def driver_parameters(self) -> DacParameters | None:
        """A row's driver alone, its output counted from the bias on; None for sources."""
        bits = self.circuit.driver.bits
        if bits is None:
            return None
        # The read voltage is that of the last code, one step below full scale.
        span = abs(self.stimulus.read_voltage) * 2**bits / (2**bits - 1)
        return DacParameters.model_construct(
            technology=self.technology,
            conditions=self.conditions,
            circuit=self.circuit.driver.converter(bits, span),
            stimulus=dac_parameters.Stimulus(),
        )

    def front_end_parameters(self) -> ReadoutParameters | None:
        """A column's front end alone, its bit line held at the bias; None for ideal ones."""
        front, circuit = self.circuit.front_end, self.circuit
        if front.is_ideal:
            return None
        full, rising = circuit.converter.reference_voltage, self.stimulus.read_voltage < 0
        range_a = front.currents_a(circuit.bias_voltage, full, rising=rising)
        return ReadoutParameters.model_construct(
            technology=self.technology,
            conditions=self.conditions,
            circuit=front.circuit(circuit.bias_voltage),
            stimulus=front.stimulus(range_a, self._column_s, circuit.converter.resolution),
        )

    @property
    def _column_s(self) -> float:
        """All cells of a column together in S, mean over columns, as programmed."""
        array = self.circuit.array
        card = array.device_card
        on, off = card.on_conductance.value, card.off_conductance.value
        if array.conductances is not None:
            return float(array.conductances.sum(axis=0).mean())
        if array.weights is None:
            return self.rows * (on + off) / 2
        # Of the two columns of a pair one has |w| of the span, the other none.
        sizes = np.abs(array.weights).sum(axis=0).mean() / 2
        return float(self.rows * off + (on - off) * sizes)

    def array_parameters(
        self, voltage_v: NDArray[np.float64], driver_ohm: float = 0.0
    ) -> CrossbarParameters:
        """Array and front ends alone, driven with (batch, row) voltages in V.

        The bias is an offset of all ideal front ends: that is where they hold the bit lines.
        With others it is the array alone, its bit lines at 0 V, and voltages count from the bias.

        Parameters
        ----------
        driver_ohm : resistance of the rows' drivers in ohm, beside that of the recipe.
        """
        array = self.circuit.array
        ends: dict[str, float | str] = {"readout": "ideal"}
        if self.circuit.front_end.is_ideal:
            ends = {"tia_offset": array.tia_offset + self.circuit.bias_voltage}
        driver = array.driver_resistance + driver_ohm
        # Not validated again: that an offset is a bias, and a voltage counts from it, is new.
        return CrossbarParameters.model_construct(
            technology=self.technology,
            conditions=self.conditions,
            circuit=array.model_copy(update={**ends, "driver_resistance": driver}),
            stimulus=crossbar_parameters.Stimulus(
                voltages=voltage_v, cell_voltages=False, power=self.stimulus.energy_inputs > 0
            ),
        )

    def converter_parameters(self, column: int) -> AdcParameters:
        """Converter of one column alone."""
        own, stimulus = {"column": column, "columns": self.cols}, self.stimulus
        return AdcParameters.model_construct(
            technology=self.technology,
            conditions=self.conditions,
            circuit=self.circuit.converter.model_copy(update=own),
            stimulus=adc_parameters.Stimulus(energy_inputs=stimulus.energy_inputs).model_copy(
                update={"null_tolerance": stimulus.null_tolerance}
            ),
        )

    def idle_keys(self) -> Mapping[str, str]:
        """Those of the parts, and what the macro sets itself."""
        array = _within("array", self.array_parameters(np.zeros((1, self.rows))).idle_keys())
        converter = _within("converter", self.converter_parameters(0).idle_keys())
        driver, front = self.circuit.driver.idle_keys(), self.circuit.front_end
        if not front.is_ideal:
            why = f'front_end.implementation = "{front.implementation}"'
            array = {
                key: why if key.startswith("circuit.array.tia_") else text.replace("ideal", "tia")
                for key, text in array.items()
            }
        return {
            **array,
            **converter,
            **self._idle_front_keys(),
            **{f"circuit.driver.{key}": why for key, why in driver.items()},
            **keys_idle(True, "a converter behind each of the first columns",
                        "circuit.converter.column"),
            # Of a converter alone it bounds the size of a group, and of a macro's nothing else.
            **keys_idle(self.circuit.converter.group_size == 1,
                        "a converter behind each of the first columns",
                        "circuit.converter.columns"),
            **keys_idle(not self.has_supply, "no transistor in the circuit and no logic counted",
                        "technology"),
            **keys_idle(self.stimulus.inputs is not None, "stimulus.inputs given",
                        "stimulus.batch"),
        }  # fmt: skip

    def _idle_front_keys(self) -> dict[str, str]:
        alone = self.front_end_parameters()
        keys = [f"circuit.front_end.{key}" for key in self.circuit.front_end.others()]
        if alone is None:
            return dict.fromkeys(keys, 'front_end.implementation = "ideal"')
        # Keys of other kinds are none of the macro's.
        idle = _within("front_end", alone.idle_keys())
        return {key: why for key, why in idle.items() if key in keys}

    def _idle_front_quantities(self) -> dict[str, str]:
        alone = self.front_end_parameters()
        why = f'front_end.implementation = "{self.circuit.front_end.implementation}"'
        if alone is None:
            return dict.fromkeys(FRONT_QUANTITIES.values(), why)
        idle = alone.idle_quantities()
        return {"tia_offset": why} | {FRONT_QUANTITIES[name]: idle[name] for name in idle}

    def idle_quantities(self) -> Mapping[str, str]:
        """Those of the parts."""
        found = {
            **self.array_parameters(np.zeros((1, self.rows))).idle_quantities(),
            **self.converter_parameters(0).idle_quantities(),
            **self._idle_front_quantities(),
        }
        driver = self.circuit.driver
        if driver.bits is None:
            found["driver_resistors"] = "driver.bits = none"
        elif driver.resistor_sigma == 0:
            found["driver_resistors"] = "driver.resistor_sigma = 0"
        return {name: why for name, why in found.items() if name in QUANTITIES}

    def transistor_quantities(self) -> Collection[str]:
        """Those of the converters and of the front ends."""
        own = self.converter_parameters(0).transistor_quantities()
        return (*own, FRONT_QUANTITIES["transistor"]) if self._has_amplifiers else own

    def spread_keys(self) -> Mapping[str, str | tuple[str, ...]]:
        """Those of the parts."""
        found = {
            **_within("array", self.array_parameters(np.zeros((1, self.rows))).spread_keys()),
            **_within("converter", self.converter_parameters(0).spread_keys()),
            "circuit.driver.resistor_sigma": "driver_resistors",
            "circuit.front_end.amplifier.offset_sigma": FRONT_QUANTITIES["offset"],
        }
        return {key: names for key, names in found.items() if key != "circuit.converter.column"}

    @model_validator(mode="after")
    def _consistent(self) -> MacroParameters:
        circuit, stimulus = self.circuit, self.stimulus
        self.converter_parameters(0).check_supply("circuit.converter")
        rows = circuit.array.physical_shape[0]
        if self.rows != rows:
            why = (
                f"stimulus.inputs has {self.rows} values a vector but the array has {rows} rows; "
                f"allowed: shape (batch, {rows})"
            )
            raise PydanticCustomError("array", "{why}", {"why": why})
        most = circuit.array.device_card.max_voltage.value
        if circuit.array.conductances is None and abs(stimulus.read_voltage) > most:
            why = (
                f"stimulus.read_voltage = {format_quantity(stimulus.read_voltage, 'V')}: beyond "
                f"the law of device_card; allowed: up to {format_quantity(most, 'V')} either way"
            )
            raise PydanticCustomError("voltage", "{why}", {"why": why})
        self._check_front_ends()
        return self._with_rails_inside()

    def _check_front_ends(self) -> None:
        alone, bias = self.front_end_parameters(), self.circuit.bias_voltage
        if alone is None:
            return
        amplifier, low, high = alone.circuit.amplifier, 0.0, self.supply_v
        if not alone.has_transistors:
            low, high = amplifier.swing_low, amplifier.swing_high
        if not low < bias < high:
            ends = [format_quantity(v, "V") for v in (bias, low, high)]
            why = (
                f"circuit.bias_voltage = {ends[0]}: an amplifier's output at no current, which it "
                f"does not reach; allowed: between {ends[1]} and {ends[2]}"
            )
            raise PydanticCustomError("front_end", "{why}", {"why": why})
        range_a = alone.stimulus.current_low, alone.stimulus.current_high
        if range_a[0] >= range_a[1]:
            ends = [format_quantity(i, "A") for i in range_a]
            why = (
                f"circuit.front_end.current_low = {ends[0]} is not below current_high = {ends[1]}; "
                "allowed: current_low < current_high"
            )
            raise PydanticCustomError("range", "{why}", {"why": why})

    def _with_rails_inside(self) -> MacroParameters:
        alone, bias = self.driver_parameters(), self.circuit.bias_voltage
        if alone is None or not alone.has_transistors:
            return self
        end = bias + np.sign(self.stimulus.read_voltage) * alone.circuit.reference_voltage
        if min(bias, end) < 0 or max(bias, end) > self.supply_v:
            rails = " and ".join(format_quantity(float(v), "V") for v in (bias, end))
            why = (
                f"circuit.driver.switches = transistor: rails of {rails}, bias_voltage and one "
                f"step beyond read_voltage; allowed: 0 V to {format_quantity(self.supply_v, 'V')}"
            )
            raise PydanticCustomError("rails", "{why}", {"why": why})
        return self


QUANTITIES = (
    "driver_resistors",
    "conductance",
    "tia_offset",
    *FRONT_QUANTITIES.values(),
    "bit_capacitors",
    "comparator_offset",
    "comparator_transistors",
)
"""What may differ from chip to chip."""


def _within(part: str, keys: Mapping[str, str | tuple[str, ...]]) -> dict[str, str]:
    """Keys of a part's circuit as keys of the macro; others are not the macro's."""
    return {
        key.replace("circuit.", f"circuit.{part}.", 1): value  # type: ignore[misc]
        for key, value in keys.items()
        if key.startswith("circuit.")
    }


class MacroGates(Section):
    """What the surrogate of a macro must reach against the monolithic deck."""

    input_error: Annotated[float, SI("LSB"), Field(gt=0)] = Field(
        0.1, description="rms error of a conversion, referred to the converter's input"
    )
    transition_distance: Annotated[float, SI("LSB"), Field(gt=0)] = Field(
        0.3, description="largest distance of a differing code's input from a transition"
    )
