"""Parameters of the bench of ramp converters: the tables of its recipes."""

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
from imccircuit.units import SI, Capacitance, Current, Resistance, SIArray, Time, Voltage

LEAST_REACH = 0.8
"""Share of full scale that a ramp must reach: with less, a fifth of the codes would be lost."""

STAIRCASES = ("ladder", "cdac")

Length = Annotated[float, SI("m"), Field(gt=0)]

_MIRROR_MULTIPLES = 8.0, 16.0, 8.0
_MIRROR = ("capacitor", "current", "mirror_width", "mirror_length")
_RAMP_KEYS = {
    "ideal": ("capacitor", "current", "output_resistance"),
    "mirror": _MIRROR,
    "cascode": (*_MIRROR, "cascode_length"),
    "ladder": ("ladder_resistance", "ladder_mismatch"),
    "cdac": ("unit_capacitor", "capacitor_card"),
}
_COMPARATOR_KEYS = {
    "behavioural": ("comparator_offset", "comparator_offset_sigma", "comparator_delay"),
    "transistor": ("comparator_current",),
}
# switch_on_resistance counts with both: noise is that of a resistor at reset.
_RESET_KEYS = {"sw": ("switch_off_resistance",)}


class Circuit(Section):
    """A single-slope converter: one ramp for many columns."""

    ramp: Literal["ideal", "mirror", "cascode", "ladder", "cdac"] = Field(
        "ideal", description="what makes the ramp"
    )
    bits: int = Field(8, ge=2, le=12, description="resolution")
    columns: int = Field(4, ge=1, le=256, description="comparators on the one ramp")
    reference_voltage: Annotated[Voltage, Field(gt=0)] = Field(0.6, description="full scale")
    clock_period: Annotated[Time, Field(gt=0)] = Field(4e-9, description="of the counter")
    count_start: Annotated[Time, Field(ge=0)] = Field(
        0.0, description="from the ramp's release to the counter's start"
    )
    reset_time: Annotated[Time, Field(gt=0)] = Field(40e-9, description="before each ramp")
    capacitor: Annotated[Capacitance, Field(gt=0)] = Field(
        1e-12, description="that the current of ideal, mirror, cascode charges"
    )
    line_capacitor: Annotated[Capacitance, Field(ge=0)] = Field(
        0.0, description="of the line to the columns"
    )
    current: Annotated[Current, Field(gt=0)] | None = Field(
        None, description="of the ramp; default what reaches full scale in 2^bits clocks"
    )
    output_resistance: Annotated[Resistance, Field(gt=0)] = Field(
        50e6, description="of the ideal source, to ground: curvature"
    )
    mirror_width: Length | None = Field(
        None, description="gates of mirror and cascodes; default 8 of the technology's"
    )
    mirror_length: Length | None = Field(
        None, description="of the mirror; default 16 of the technology's"
    )
    cascode_length: Length | None = Field(
        None, description="of the cascodes; default 8 of the technology's"
    )
    ladder_resistance: Annotated[Resistance, Field(gt=0)] = Field(
        1e3, description="R of the R-2R ladder, and its output resistance"
    )
    ladder_mismatch: float = Field(
        0.002, ge=0, le=0.2, description="relative standard deviation of each resistor"
    )
    unit_capacitor: Annotated[Capacitance, Field(gt=0)] | None = Field(
        None, description="of the binary capacitors; default the card's"
    )
    capacitor_card: Annotated[CapacitorCard, CardOf("capacitor")] = Field(
        default_factory=lambda: load_card("capacitor_28nm", "capacitor"),
        description="card with the mismatch law of the unit capacitor",
    )
    reset_switch: Literal["sw", "transmission_gate"] = Field("sw", description="ramp to ground")
    switch_on_resistance: Annotated[Resistance, Field(gt=0)] = Field(
        1e3, description="of the reset; of a staircase's switches a tenth"
    )
    switch_off_resistance: Annotated[Resistance, Field(gt=0)] = Field(1e12)
    comparator: Literal["behavioural", "transistor"] = Field("behavioural")
    comparator_offset: Voltage = Field(0.0, description="positive lowers every level")
    comparator_offset_sigma: Annotated[Voltage, Field(ge=0)] = Field(
        0.0, description="its standard deviation from column to column"
    )
    comparator_delay: Annotated[Time, Field(gt=0)] = Field(
        1e-9, description="time constant of the behavioural comparator"
    )
    comparator_noise: Annotated[Voltage, Field(ge=0)] | None = Field(
        None,
        description="input-referred, rms, of one decision; default 0 V, of transistors: unknown",
    )
    comparator_current: Annotated[Current, Field(gt=0)] = Field(
        4e-6, description="tail current of a comparator of transistors"
    )

    @property
    def unit_f(self) -> float:
        """Unit capacitor in F."""
        if self.unit_capacitor is not None:
            return self.unit_capacitor
        return self.capacitor_card.unit_capacitance.value

    @property
    def run_s(self) -> float:
        """Time of 2^bits clocks, in s."""
        return float(2**self.bits * self.clock_period)

    @property
    def current_a(self) -> float:
        """Current of the ramp in A; by default what takes the capacitors to full scale."""
        if self.current is not None:
            return self.current
        capacitance = self.capacitor + self.line_capacitor
        return float(self.reference_voltage * capacitance / self.run_s)

    @property
    def reach_v(self) -> float:
        """Where the ramp ends without transistors and mismatch, in V."""
        if self.ramp == "ladder":
            return self.reference_voltage
        if self.ramp == "cdac":
            array = 2**self.bits * self.unit_f
            return float(self.reference_voltage * array / (array + self.line_capacitor))
        capacitance = self.capacitor + self.line_capacitor
        if self.ramp != "ideal":
            return float(self.current_a * self.run_s / capacitance)
        resistance = self.output_resistance
        share = -np.expm1(-self.run_s / (resistance * capacitance))
        return float(self.current_a * resistance * share)

    @model_validator(mode="after")
    def _consistent(self) -> Circuit:
        if self.comparator == "transistor" and self.ramp in STAIRCASES:
            _refuse(
                f"comparator = 'transistor' on the staircase {self.ramp!r}: its delay depends on "
                "how far a step overshoots, which is not characterised; allowed: behavioural, or "
                "a ramp of ideal, mirror, cascode"
            )
        if self.reach_v < LEAST_REACH * self.reference_voltage:
            _refuse(
                f"the ramp reaches {self.reach_v:.3g} V of the full scale of "
                f"{self.reference_voltage:.3g} V within 2^{self.bits} clocks; allowed: at least "
                f"{LEAST_REACH:.0%} of it, by more current, a longer clock_period, or less of "
                "what loads the ramp (capacitor, line_capacitor, output_resistance)"
            )
        return self


def _refuse(why: str) -> None:
    raise PydanticCustomError("ramp", "{why}", {"why": why})


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
    noise_conversions: int = Field(
        1000, ge=10, le=10**9,
        description="noise of the current that is slower than so many conversions is drift",
    )  # fmt: skip


class RampParameters(Parameters):
    """Tables of a recipe of this bench."""

    circuit: Circuit = Field(default_factory=Circuit)
    stimulus: Stimulus = Field(default_factory=Stimulus)

    @property
    def has_transistors(self) -> bool:
        """Whether ramp, reset switch or comparators are of transistors."""
        circuit = self.circuit
        return (
            circuit.ramp in ("mirror", "cascode")
            or circuit.reset_switch == "transmission_gate"
            or circuit.comparator == "transistor"
        )

    @property
    def has_supply(self) -> bool:
        """Also without transistors: the energy of the counted logic goes with its square."""
        return self.has_transistors or self.technology.logic is not None

    @property
    def mirror_m(self) -> tuple[float, float, float]:
        """Gates of the mirror in m: width, length, and length of the cascodes."""
        circuit, device = self.circuit, self.technology.pmos
        given = circuit.mirror_width, circuit.mirror_length, circuit.cascode_length
        usual = zip(_MIRROR_MULTIPLES, (device.width, device.length, device.length), strict=True)
        width, length, cascode = (
            times * own.value if one is None else one
            for one, (times, own) in zip(given, usual, strict=True)
        )
        return width, length, cascode

    @property
    def comparator_noise_v(self) -> float:
        """Noise of one decision in V rms; NaN for transistors of which none is given."""
        given, kind = self.circuit.comparator_noise, self.circuit.comparator
        return (0.0 if kind == "behavioural" else float("nan")) if given is None else given

    def idle_keys(self) -> Mapping[str, str]:
        """Keys of other ramps, comparators and reset switches."""
        circuit = self.circuit
        return {
            **keys_of_others(_RAMP_KEYS, "ramp", circuit.ramp),
            **keys_of_others(_COMPARATOR_KEYS, "comparator", circuit.comparator),
            **keys_of_others(_RESET_KEYS, "reset_switch", circuit.reset_switch),
            **keys_idle(self.stimulus.loop_input is not None, "stimulus.loop_input given",
                        "stimulus.loop_tolerance"),
            **keys_idle(circuit.ramp not in ("mirror", "cascode"), f'ramp = "{circuit.ramp}"',
                        "stimulus.noise_conversions"),
        }  # fmt: skip

    def idle_quantities(self) -> Mapping[str, str]:
        """Spread of what is not there, and spread of zero."""
        circuit, card = self.circuit, self.technology
        ramp, comparator = f'ramp = "{circuit.ramp}"', f'comparator = "{circuit.comparator}"'
        none = "a spread of zero"
        unit_sigma = circuit.capacitor_card.reference_sigma.value
        return {
            **keys_idle(never_mismatched(card.pmos), none, "ramp_transistors"),
            **keys_idle(circuit.ramp not in ("mirror", "cascode"), ramp, "ramp_transistors"),
            **keys_idle(circuit.ladder_mismatch == 0, none, "ladder_resistors"),
            **keys_idle(circuit.ramp != "ladder", ramp, "ladder_resistors"),
            **keys_idle(unit_sigma == 0, none, "staircase_capacitors"),
            **keys_idle(circuit.ramp != "cdac", ramp, "staircase_capacitors"),
            **keys_idle(circuit.comparator_offset_sigma == 0, none, "comparator_offset"),
            **keys_idle(circuit.comparator != "behavioural", comparator, "comparator_offset"),
            **keys_idle(never_mismatched(card.nmos, card.pmos), none, "comparator_transistors"),
            **keys_idle(circuit.comparator != "transistor", comparator, "comparator_transistors"),
        }

    def transistor_quantities(self) -> Collection[str]:
        """Mismatch of the ramp's mirror and the comparators."""
        return ("ramp_transistors", "comparator_transistors")

    def spread_keys(self) -> Mapping[str, str]:
        """Keys of the spread of resistors, capacitors, offsets."""
        given = self.circuit.unit_capacitor is not None
        return {
            "circuit.ladder_mismatch": "ladder_resistors",
            "circuit.comparator_offset_sigma": "comparator_offset",
            **keys_idle(given, "staircase_capacitors", "circuit.capacitor_card"),
        }

    @model_validator(mode="after")
    def _headroom(self) -> RampParameters:
        needs = self.circuit.ramp in ("mirror", "cascode") or (
            self.circuit.comparator == "transistor"
        )
        if needs and self.circuit.reference_voltage >= self.supply_v:
            _refuse(
                f"circuit.reference_voltage = {self.circuit.reference_voltage:.3g} V is not below "
                f"the supply of {self.supply_v:.3g} V from which the transistors work; allowed: "
                "less, so much that they stay saturated"
            )
        return self


class RampGates(Section):
    """What the surrogate of a ramp converter must reach on SPICE data it never saw."""

    max_error: Annotated[float, SI("LSB"), Field(gt=0)] = Field(
        0.05, description="largest error of a level"
    )
    spread_factor: float = Field(
        1.75,
        gt=1,
        description="the spread of ramps over chips is right within this factor: the 90 % interval "
        "of held-out over fitted spread lies between its inverse and itself",
    )
    offset_spread_factor: float = Field(
        1.75, gt=1, description="the same for the offsets of columns"
    )
