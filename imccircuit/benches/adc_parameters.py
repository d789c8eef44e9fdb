"""Parameters of the ADC bench: the tables of its recipes."""

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
from imccircuit.units import (
    SI,
    Capacitance,
    Resistance,
    SIArray,
    Time,
    Voltage,
    format_quantity,
)

Widths = Annotated[float, Field(ge=1, le=1000)]

_SWITCH_KEYS = {
    "sw": ("switch_on_resistance", "switch_off_resistance"),
    "transmission_gate": ("sizes.sample", "sizes.reference", "sizes.top", "sizes.driver"),
}
_COMPARATOR_KEYS = {"strongarm": ("sizes.latch",)}


class Split(Section):
    """A bridge capacitor between lower and upper bits."""

    lower_bits: int | None = Field(
        None, ge=1, le=13, description="below the bridge; none: no split"
    )
    bridge_capacitor: Annotated[Capacitance, Field(gt=0)] | None = Field(
        None, description="default: exact for an array without parasitics"
    )
    bridge_parasitic: Capacitance = Field(0.0, description="top plate of the lower bits to ground")


class Sizes(Section):
    """Gate widths in multiples of the technology's own; PMOS are twice as wide."""

    sample: Widths = Field(16.0, description="input switch of the largest capacitor")
    reference: Widths = Field(8.0, description="reference and ground switch of the largest one")
    top: Widths = Field(32.0, description="switch between top plate and common mode")
    driver: Widths = Field(4.0, description="inverters that drive the largest one's switches")
    latch: Widths = Field(1.0, description="smallest transistor of the StrongARM")


class Circuit(Section):
    """A charge-redistribution SAR ADC."""

    bits: int | None = Field(
        None, ge=2, le=14, description="resolution, default 8; follows bit_capacitors if given"
    )
    bit_capacitors: Annotated[NDArray[np.float64], SIArray("F", 1, least=1e-21)] | None = Field(
        None, description="capacitors of the bits, LSB first; explicit ones are not varied"
    )
    unit_capacitor: Annotated[Capacitance, Field(gt=0)] | None = Field(
        None, description="unit of the binary capacitors and of the dummy; default the card's"
    )
    capacitor_card: Annotated[CapacitorCard, CardOf("capacitor")] = Field(
        default_factory=lambda: load_card("capacitor_pessimistic", "capacitor"),
        description="card with the mismatch law of the unit capacitor",
    )
    dummy_capacitor: Capacitance | None = Field(
        None, description="completes the binary sum; default one unit"
    )
    parasitic_capacitor: Capacitance = Field(40e-15, description="top plate to ground")
    split: Split = Split()
    reference_voltage: Annotated[Voltage, Field(gt=0)] = Field(1.0, description="full scale")
    common_mode_voltage: Voltage = Field(0.5, description="top plate while sampling")
    switches: Literal["sw", "transmission_gate"] = Field("sw", description="of input and bits")
    comparator: Literal["behavioural", "strongarm"] = "behavioural"
    sizes: Sizes = Sizes()
    comparator_offset: Voltage = Field(0.0, description="positive lowers every level")
    comparator_offset_sigma: Annotated[Voltage, Field(ge=0)] = Field(
        0.0, description="standard deviation of the offset from chip to chip"
    )
    comparator_noise: Annotated[Voltage, Field(ge=0)] = Field(
        0.0, description="standard deviation of the comparator's input noise"
    )
    cycle_time: Annotated[Time, Field(gt=0)] = Field(10e-9, description="of each bit")
    switch_on_resistance: Annotated[Resistance, Field(gt=0)] = Field(100.0)
    switch_off_resistance: Annotated[Resistance, Field(gt=0)] = Field(1e12)
    columns: int = Field(1, ge=1, le=65536, description="converters of the array")
    group_size: int = Field(1, ge=1, le=65536, description="columns that share a capacitor array")
    column: int = Field(0, ge=0, description="which one is measured")

    @model_validator(mode="after")
    def _consistent(self) -> Circuit:
        given = self.bit_capacitors
        if given is not None and not 2 <= len(given) <= 14:
            raise _bad(f"bit_capacitors has {len(given)} entries; allowed: 2 to 14")
        if self.group_size > self.columns:
            raise _bad(
                f"group_size = {self.group_size}: a group larger than the array; allowed: 1 to "
                f"{self.columns}, or more columns"
            )
        if self.column >= self.columns:
            raise _bad(f"column = {self.column}: no such column; allowed: 0 to {self.columns - 1}")
        self._check_split()
        return self

    def _check_split(self) -> None:
        split = self.split
        if split.lower_bits is None:
            for key, value in (
                ("bridge_capacitor", split.bridge_capacitor or 0.0),
                ("bridge_parasitic", split.bridge_parasitic),
            ):
                if value > 0:
                    raise _bad(f"split.{key} without a bridge; allowed: with split.lower_bits")
            return
        if split.lower_bits >= self.resolution:
            raise _bad(
                f"split.lower_bits = {split.lower_bits}: no bit is left above the bridge; "
                f"allowed: 1 to {self.resolution - 1}"
            )
        least, most = self._bridge_range
        if not least <= self.bridge_f <= most:
            allowed = f"{format_quantity(least, 'F')} to {format_quantity(most, 'F')}"
            raise _bad(
                f"split.bridge_capacitor = {format_quantity(self.bridge_f, 'F')}: impossible, the "
                "lower bits together would weigh less than a quarter or more than four times "
                f"the lowest upper bit; allowed: {allowed}"
            )

    @property
    def unit_f(self) -> float:
        """Unit capacitor in F."""
        if self.unit_capacitor is not None:
            return self.unit_capacitor
        return self.capacitor_card.unit_capacitance.value

    @property
    def resolution(self) -> int:
        """Number of bits."""
        if self.bit_capacitors is not None:
            return len(self.bit_capacitors)
        return 8 if self.bits is None else self.bits

    @property
    def bit_units(self) -> NDArray[np.int64]:
        """Unit capacitors of each bit, lowest first; above a bridge they begin again at one."""
        bit = np.arange(self.resolution)
        return np.asarray(2 ** np.where(bit < self.lower_bits, bit, bit - self.lower_bits))

    @property
    def lower_bits(self) -> int:
        """Bits below the bridge, 0 without one."""
        return self.split.lower_bits or 0

    @property
    def nominal_f(self) -> NDArray[np.float64]:
        """Nominal capacitors in F, LSB first."""
        if self.bit_capacitors is not None:
            return self.bit_capacitors
        return np.asarray(self.bit_units * self.unit_f)

    @property
    def dummy_f(self) -> float:
        """Nominal dummy in F."""
        return self.unit_f if self.dummy_capacitor is None else self.dummy_capacitor

    @property
    def bridge_f(self) -> float:
        """Nominal bridge in F; 0 without one.

        By default that with which the lower array, dummy included, weighs as much as one more of
        the lowest upper bit: C_below/(2^lower − 1). With a dummy of one unit it is a fraction above
        a unit, without a dummy exactly one unit.
        """
        if self.split.bridge_capacitor is not None or self.lower_bits == 0:
            return self.split.bridge_capacitor or 0.0
        below = float(self.nominal_f[: self.lower_bits].sum()) + self.dummy_f
        return float(below / (2**self.lower_bits - 1))

    @property
    def _bridge_range(self) -> tuple[float, float]:
        """Bridges with which the lower bits weigh a quarter and four times the lowest upper one."""
        switched = float(self.nominal_f[: self.lower_bits].sum())
        below = switched + self.dummy_f + self.split.bridge_parasitic
        upper = float(self.nominal_f[self.lower_bits])
        least, most = (
            below * part / (1 - part) if part < 1 else np.inf
            for part in (0.25 * upper / switched, 4 * upper / switched)
        )
        return least, most


def _bad(why: str) -> PydanticCustomError:
    return PydanticCustomError("circuit", "{why}", {"why": why})


class Stimulus(Section):
    """How the levels are measured and checked."""

    loop_input: Annotated[NDArray[np.float64], SIArray("", 1)] | None = Field(
        None,
        description="inputs of the closed-loop conversions as fractions of full scale; default: "
        "two around the level of each checked code",
    )
    loop_tolerance: Annotated[float, SI("LSB"), Field(gt=0, le=1)] = Field(
        0.01, description="distance of those two inputs from the level"
    )
    null_tolerance: Annotated[float, SI("LSB"), Field(gt=0, le=1)] = Field(
        0.001, description="a level that moves by less between two passes is found"
    )
    energy_inputs: int = Field(
        4, ge=0, le=256, description="inputs, evenly spread, over which energy is averaged"
    )
    sine_samples: int | None = Field(
        None, ge=8, le=4096, description="closed-loop record for the sine fit; none: no fit"
    )


class AdcParameters(Parameters):
    """Tables of a recipe of this bench."""

    circuit: Circuit = Field(default_factory=Circuit)
    stimulus: Stimulus = Field(default_factory=Stimulus)

    @property
    def has_transistors(self) -> bool:
        """Whether switches or comparator are made of any."""
        circuit = self.circuit
        return circuit.switches != "sw" or circuit.comparator != "behavioural"

    @property
    def has_supply(self) -> bool:
        """Also without transistors: the energy of the counted logic goes with its square."""
        counted = self.technology.logic is not None and self.stimulus.energy_inputs > 0
        return self.has_transistors or counted

    def idle_keys(self) -> Mapping[str, str]:
        """Keys of other switches and comparators; what given capacitors supersede is let pass."""
        circuit, stimulus = self.circuit, self.stimulus
        return {
            **keys_of_others(_SWITCH_KEYS, "switches", circuit.switches),
            **keys_of_others(_COMPARATOR_KEYS, "comparator", circuit.comparator),
            **keys_idle(stimulus.loop_input is not None, "stimulus.loop_input given",
                        "stimulus.loop_tolerance"),
            **keys_idle(not self.has_supply, "no transistor in the circuit and no logic counted",
                        "technology"),
        }  # fmt: skip

    def idle_quantities(self) -> Mapping[str, str]:
        """Given capacitors are not drawn; and a spread of zero."""
        circuit = self.circuit
        none = circuit.capacitor_card.reference_sigma.value == 0
        return {
            **keys_idle(none, "this capacitor_card", "bit_capacitors"),
            **keys_idle(circuit.bit_capacitors is not None, "circuit.bit_capacitors given",
                        "bit_capacitors"),
            **keys_idle(circuit.comparator_offset_sigma == 0, "a spread of zero",
                        "comparator_offset"),
            **keys_idle(never_mismatched(self.technology.nmos, self.technology.pmos),
                        "a spread of zero", "comparator_transistors"),
            **keys_idle(circuit.comparator != "strongarm", f'comparator = "{circuit.comparator}"',
                        "comparator_transistors"),
        }  # fmt: skip

    def transistor_quantities(self) -> Collection[str]:
        """Mismatch of the StrongARM's pairs."""
        return ("comparator_transistors",)

    def spread_keys(self) -> Mapping[str, str | tuple[str, ...]]:
        """Standard deviation of the offset, columns and groups, and a card that gives no unit."""
        card = self.circuit.unit_capacitor is not None
        return {
            "circuit.comparator_offset_sigma": "comparator_offset",
            "circuit.group_size": "bit_capacitors",
            "circuit.column": ("bit_capacitors", "comparator_offset", "comparator_transistors"),
            **keys_idle(card, "bit_capacitors", "circuit.capacitor_card"),
        }

    def bound_keys(self) -> Mapping[str, str]:
        """Number of columns: the draws of one do not depend on how many there are."""
        return {"circuit.columns": "circuit.group_size and circuit.column"}

    @model_validator(mode="after")
    def _within_supply(self) -> AdcParameters:
        self.check_supply("circuit")
        return self

    def check_supply(self, table: str) -> None:
        """Refuse voltages of transistors beyond their supply; ``table`` is where the keys stand.

        Raises
        ------
        PydanticCustomError : there are some.
        """
        if not self.has_transistors:
            return
        for key in ("reference_voltage", "common_mode_voltage"):
            value = getattr(self.circuit, key)
            if not 0 <= value <= self.supply_v:
                why = (
                    f"{table}.{key} = {format_quantity(value, 'V')}: outside the transistors' "
                    f"supply; allowed: 0 to {format_quantity(self.supply_v, 'V')}"
                )
                raise PydanticCustomError("supply", "{why}", {"why": why})


class AdcGates(Section):
    """What the surrogate of an ADC must reach on SPICE data it never saw."""

    max_error: Annotated[float, SI("LSB"), Field(gt=0)] = Field(
        0.05, description="largest error of a level"
    )
    spread_factor: float = Field(
        1.75,
        gt=1,
        description="the spread of bit weights over chips is right within this factor: the 90 % "
        "interval of held-out over drawn spread lies between its inverse and itself",
    )
    offset_spread_factor: float = Field(
        4.0, gt=1, description="the same for the offset; wider, for a chip has but one offset"
    )
