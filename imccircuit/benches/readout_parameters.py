"""Parameters of the read-out bench: the tables of its recipes."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from imccircuit.benches.bench import Parameters, Section
from imccircuit.benches.idle import keys_idle, keys_of_others, never_mismatched
from imccircuit.units import SI, Capacitance, Current, Resistance, SIArray, Time, Voltage

Kind = Literal["tia", "integrator", "clamp_mirror"]
Siemens = Annotated[float, SI("S"), Field(gt=0)]
Hertz = Annotated[float, SI("Hz"), Field(gt=0)]

_KIND_KEYS = {
    "tia": ("circuit.feedback_resistance", "circuit.feedback_capacitance", "stimulus.step_time"),
    "integrator": ("circuit.feedback_capacitance", "circuit.reset_time",
                   "circuit.integration_time"),
    "clamp_mirror": ("circuit.mirror_ratio", "circuit.load_resistance", "circuit.load_voltage",
                     "circuit.keep_current", "stimulus.step_time"),
}  # fmt: skip
_LINEAR = (
    "amplifier.gain", "amplifier.gain_bandwidth", "amplifier.input_resistance", "amplifier.offset",
    "amplifier.offset_sigma", "amplifier.swing_low", "amplifier.noise_resistance",
)  # fmt: skip
_OTA = tuple(
    f"transistors.{key}"
    for key in ("bias_current", "pair_widths", "load_widths", "bias_widths", "lengths",
                "load_lengths", "tail_ratio", "compensation_capacitance")
)  # fmt: skip
_OPAMP = (*_OTA, "transistors.output_ratio", "transistors.compensation_resistance")
# What an amplifier is made of, by implementation and kind.
_AMPLIFIER_KEYS = {
    "behavioural tia": (*_LINEAR, "amplifier.swing_high"),
    "behavioural integrator": (*_LINEAR, "amplifier.swing_high", "amplifier.reset_resistance"),
    "behavioural clamp_mirror": (*_LINEAR, "amplifier.transconductance"),
    "transistor tia": _OPAMP,
    "transistor integrator": (*_OPAMP, "transistors.switch_widths"),
    "transistor clamp_mirror": (
        *_OTA, "transistors.clamp_widths", "transistors.mirror_widths",
        "transistors.mirror_lengths",
    ),
}  # fmt: skip


class Amplifier(Section):
    """The amplifier where it is behavioural, with the switch and the clamp beside it."""

    gain: float = Field(1000.0, gt=0, description="open-loop gain")
    gain_bandwidth: Hertz = 500e6
    input_resistance: Annotated[Resistance, Field(gt=0)] = 1e9
    offset: Voltage = Field(0.0, description="input-referred")
    offset_sigma: Annotated[Voltage, Field(ge=0)] = Field(
        0.0, description="standard deviation of the offset from chip to chip"
    )
    swing_low: Voltage = Field(0.1, description="the output stops here")
    swing_high: Voltage = Field(1.1, description="and here; without effect on clamp_mirror")
    noise_resistance: Annotated[Resistance, Field(gt=0)] = Field(
        5e3, description="whose thermal noise is that of the input"
    )
    transconductance: Siemens = Field(1e-3, description="of the clamp")
    reset_resistance: Annotated[Resistance, Field(gt=0)] = Field(
        200.0, description="of the closed reset switch"
    )

    @model_validator(mode="after")
    def _consistent(self) -> Amplifier:
        if self.swing_low >= self.swing_high:
            why = (
                f"swing_low = {self.swing_low:g} V is not below swing_high = "
                f"{self.swing_high:g} V; allowed: swing_low < swing_high"
            )
            raise PydanticCustomError("swing", "{why}", {"why": why})
        return self


class Transistors(Section):
    """The amplifier where it is made of transistors; sizes in those of the technology's own."""

    bias_current: Annotated[Current, Field(gt=0)] = 40e-6
    pair_widths: float = Field(200.0, gt=0, le=1e5, description="input pair")
    load_widths: float = Field(40.0, gt=0, le=1e5, description="load of the pair")
    bias_widths: float = Field(80.0, gt=0, le=1e5, description="diode of the bias current")
    lengths: float = Field(2.0, gt=0, le=1e3, description="gate length of all that have no own")
    load_lengths: float = Field(6.0, gt=0, le=1e3, description="gate length of load and driver")
    tail_ratio: float = Field(2.0, gt=0, le=1e3, description="tail over bias current")
    output_ratio: float = Field(10.0, gt=0, le=1e3, description="second stage over bias current")
    compensation_capacitance: Capacitance = 0.2e-12
    compensation_resistance: Annotated[Resistance, Field(gt=0)] = 300.0
    clamp_widths: float = Field(160.0, gt=0, le=1e5)
    mirror_widths: float = Field(200.0, gt=0, le=1e5, description="input side of the mirror")
    mirror_lengths: float = Field(8.0, gt=0, le=1e3, description="of the mirror")
    switch_widths: float = Field(40.0, gt=0, le=1e5, description="reset switch; p twice that")


class Circuit(Section):
    """A read-out front end."""

    kind: Kind = "tia"
    implementation: Literal["behavioural", "transistor"] = "behavioural"
    reference_voltage: Voltage | None = Field(
        None, description="of the input; default 0.6 V, of a clamp_mirror 0.65 V"
    )
    feedback_resistance: Annotated[Resistance, Field(gt=0)] = Field(10e3, description="tia")
    feedback_capacitance: Capacitance | None = Field(
        None, description="tia: default 100 fF; integrator: default 2 pF"
    )
    reset_time: Annotated[Time, Field(gt=0)] = Field(10e-9, description="integrator")
    integration_time: Annotated[Time, Field(gt=0)] = Field(20e-9, description="integrator")
    mirror_ratio: float = Field(1.0, gt=0, le=1e3, description="clamp_mirror")
    load_resistance: Annotated[Resistance, Field(gt=0)] = Field(10e3, description="clamp_mirror")
    load_voltage: Annotated[Voltage, Field(gt=0)] | None = Field(
        None, description="where the load ends; default the supply"
    )
    keep_current: Annotated[Current, Field(gt=0)] = Field(
        10e-6, description="clamp_mirror: through the clamp at no input"
    )
    load_capacitance: Capacitance = Field(50e-15, description="at the output")
    amplifier: Amplifier = Field(default_factory=Amplifier)
    transistors: Transistors = Field(default_factory=Transistors)

    @model_validator(mode="after")
    def _consistent(self) -> Circuit:
        why = ""
        if self.kind == "integrator" and self.feedback_capacitance == 0:
            why = "feedback_capacitance = 0 F leaves nothing to integrate on; allowed: above 0 F"
        low, high = self.amplifier.swing_low, self.amplifier.swing_high
        behavioural = self.implementation == "behavioural"
        if behavioural and self.kind != "clamp_mirror" and not low < self.reference_v < high:
            why = (
                f"reference_voltage = {self.reference_v:g} V is outside the amplifier's swing; "
                f"allowed: between {low:g} V and {high:g} V"
            )
        if why:
            raise PydanticCustomError("readout", "{why}", {"why": why})
        return self

    @property
    def reference_v(self) -> float:
        """Voltage of the input in V."""
        if self.reference_voltage is not None:
            return self.reference_voltage
        return 0.65 if self.kind == "clamp_mirror" else 0.6

    @property
    def feedback_f(self) -> float:
        """Feedback capacitor in F."""
        if self.feedback_capacitance is not None:
            return self.feedback_capacitance
        return 2e-12 if self.kind == "integrator" else 100e-15


class Stimulus(Section):
    """The current, the bit line it comes from, and how the answer is judged."""

    current_low: Current = Field(0.0, description="low end of the range")
    current_high: Current = Field(40e-6, description="high end of the range")
    levels: int = Field(17, ge=5, le=101, description="currents from end to end")
    overdrive: float = Field(
        1.0, ge=0, le=10, description="how far beyond each end, in ranges, linearity is looked for"
    )
    currents: Annotated[NDArray[np.float64], SIArray("A", 1)] | None = Field(
        None, description="the transfer at these alone, and nothing else; default: levels"
    )
    resolution: int = Field(8, ge=2, le=14, description="bits by which the range is one LSB")
    linearity_limit: Annotated[float, SI("LSB"), Field(gt=0)] = Field(
        0.5, description="distance from the best-fit line that is still linear"
    )
    cell_conductance: Siemens = Field(400e-6, description="all cells of the column together")
    line_capacitance: Capacitance = Field(100e-15, description="of the bit line")
    step_time: Annotated[Time, Field(gt=0)] = Field(
        30e-9, description="how long a step of the current lasts; tia and clamp_mirror"
    )
    noise_start: Hertz = Field(1e4, description="band of the noise")
    noise_stop: Hertz = Field(1e12, description="band of the noise")

    @model_validator(mode="after")
    def _consistent(self) -> Stimulus:
        for low, high in (("current_low", "current_high"), ("noise_start", "noise_stop")):
            if getattr(self, low) >= getattr(self, high):
                unit = "A" if low.startswith("current") else "Hz"
                why = (
                    f"{low} = {getattr(self, low):g} {unit} is not below {high} = "
                    f"{getattr(self, high):g} {unit}; allowed: {low} < {high}"
                )
                raise PydanticCustomError("range", "{why}", {"why": why})
        if self.currents is not None and np.any(np.diff(self.currents) <= 0):
            why = "currents do not rise; allowed: strictly rising currents"
            raise PydanticCustomError("range", "{why}", {"why": why})
        return self

    @property
    def range_a(self) -> float:
        """Width of the range in A."""
        return self.current_high - self.current_low

    @property
    def inside(self) -> int:
        """Number of currents of the curve, those beyond the range left out."""
        return self.levels if self.currents is None else len(self.currents)

    @property
    def beyond(self) -> int:
        """Levels beyond each end of the range, as far apart as those inside."""
        return round(self.overdrive * (self.levels - 1)) if self.currents is None else 0

    @property
    def currents_a(self) -> NDArray[np.float64]:
        """Currents of the curve in A, those beyond the range included, ascending."""
        if self.currents is not None:
            return self.currents
        index = np.arange(-self.beyond, self.levels + self.beyond)
        return np.asarray(self.current_low + index * (self.range_a / (self.levels - 1)))


class ReadoutParameters(Parameters):
    """Tables of a recipe of this bench."""

    circuit: Circuit = Field(default_factory=Circuit)
    stimulus: Stimulus = Field(default_factory=Stimulus)

    @property
    def has_transistors(self) -> bool:
        """Only one of the two implementations has."""
        return self.circuit.implementation == "transistor"

    @property
    def has_supply(self) -> bool:
        """Also a behavioural clamp_mirror whose load ends at it."""
        return self.has_transistors or self._load_at_supply

    @property
    def _load_at_supply(self) -> bool:
        return self.circuit.kind == "clamp_mirror" and self.circuit.load_voltage is None

    def idle_keys(self) -> Mapping[str, str]:
        """Keys of other kinds, and of the other implementation."""
        circuit = self.circuit
        made = f"{circuit.implementation} {circuit.kind}"
        return {
            **keys_of_others(_KIND_KEYS, "kind", circuit.kind, prefix=""),
            **keys_of_others(_AMPLIFIER_KEYS, "implementation and kind", made),
        }

    def idle_quantities(self) -> Mapping[str, str]:
        """Spread of the other implementation, and spread of zero."""
        card, circuit = self.technology, self.circuit
        why = f'implementation = "{circuit.implementation}"'
        return {
            **keys_idle(never_mismatched(card.nmos, card.pmos), "this technology", "transistor"),
            **keys_idle(not self.has_transistors, why, "transistor"),
            **keys_idle(circuit.amplifier.offset_sigma == 0, "offset_sigma = 0 V", "offset"),
            **keys_idle(self.has_transistors, why, "offset"),
        }

    def transistor_quantities(self) -> Collection[str]:
        """Mismatch of amplifier and mirror."""
        return ("transistor",)

    def spread_keys(self) -> Mapping[str, str]:
        """Key of the spread of the offset."""
        return {"circuit.amplifier.offset_sigma": "offset"}

    @property
    def top_v(self) -> float:
        """Where the load of a clamp_mirror ends, in V."""
        given = self.circuit.load_voltage
        return self.supply_v if given is None else given

    @model_validator(mode="after")
    def _consistent(self) -> ReadoutParameters:
        circuit = self.circuit
        why = ""
        if self.has_transistors and not 0 < circuit.reference_v < self.supply_v:
            why = (
                f"reference_voltage = {circuit.reference_v:g} V is outside the supply; allowed: "
                f"between 0 V and {self.supply_v:g} V"
            )
        if circuit.kind == "clamp_mirror" and self.stimulus.current_low <= -circuit.keep_current:
            why = (
                f"current_low = {self.stimulus.current_low:g} A cuts the clamp off; allowed: above "
                f"-keep_current = {-circuit.keep_current:g} A"
            )
        if why:
            raise PydanticCustomError("readout", "{why}", {"why": why})
        return self


class ReadoutGates(Section):
    """What the surrogate of a front end must reach on SPICE data it never saw."""

    max_error: Annotated[float, SI("LSB"), Field(gt=0)] = Field(
        0.05, description="largest error of output and input voltage within the range"
    )
    spread_factor: float = Field(
        2.0,
        gt=1,
        description="the spread of the numbers of a chip is right within this factor: the 90 % "
        "interval of held-out over fitted spread lies between its inverse and itself",
    )
