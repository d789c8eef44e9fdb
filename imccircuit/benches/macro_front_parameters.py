"""Parameters of a macro's front ends: transimpedance amplifiers as those of `readout_transfer`.

Their reference is the macro's bias. The range of currents over which each is measured alone runs,
if it is not given, from no current to that at which the output is at 90 % of the converters' full
scale, or at 15 % where the rows read upwards: from there on an amplifier that ends at the supplies
has little left.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from imccircuit.benches import readout_parameters
from imccircuit.benches.bench import Section
from imccircuit.benches.readout_parameters import Amplifier, Transistors
from imccircuit.units import Capacitance, Current, Resistance, Time

_LOW_SHARE, _HIGH_SHARE = 0.15, 0.9


class FrontEnd(Section):
    """A transimpedance amplifier a column; ideal ones have their keys with the array."""

    implementation: Literal["ideal", "behavioural", "transistor"] = Field(
        "ideal", description="ideal: controlled sources, of the keys circuit.array.tia_…"
    )
    feedback_resistance: Annotated[Resistance, Field(gt=0)] = 10e3
    feedback_capacitance: Capacitance = Field(100e-15, description="against ringing")
    load_capacitance: Capacitance = Field(50e-15, description="at the output, beside a converter's")
    line_capacitance: Capacitance = Field(100e-15, description="of a bit line, at the input")
    current_low: Current | None = Field(
        None,
        description="low end of the measured range; default: output at 90 % of full scale",
    )
    current_high: Current | None = Field(
        None, description="its high end; default: 0; of a positive read_voltage output at 15 %"
    )
    levels: int = Field(17, ge=5, le=101, description="currents from end to end")
    step_time: Annotated[Time, Field(gt=0)] = Field(
        60e-9, description="of the rows, where settling and energy are measured"
    )
    amplifier: Amplifier = Field(default_factory=Amplifier)
    transistors: Transistors = Field(default_factory=Transistors)

    @property
    def is_ideal(self) -> bool:
        """Whether the array's own controlled sources are the front ends."""
        return self.implementation == "ideal"

    def currents_a(
        self, bias_v: float, full_scale_v: float, *, rising: bool
    ) -> tuple[float, float]:
        """Range of currents into the input in A, low and high end.

        Parameters
        ----------
        bias_v : output at no current.
        full_scale_v : of the converters.
        rising : whether outputs rise with the rows' inputs.
        """
        share = _HIGH_SHARE if rising else _LOW_SHARE
        far = (bias_v - share * full_scale_v) / self.feedback_resistance
        low = min(far, 0.0) if self.current_low is None else self.current_low
        high = max(far, 0.0) if self.current_high is None else self.current_high
        return low, high

    def circuit(self, bias_v: float) -> readout_parameters.Circuit:
        """One of them alone, its bit line held at ``bias_v``."""
        return readout_parameters.Circuit.model_construct(
            kind="tia",
            implementation="transistor" if self.implementation == "transistor" else "behavioural",
            reference_voltage=bias_v,
            feedback_resistance=self.feedback_resistance,
            feedback_capacitance=self.feedback_capacitance,
            load_capacitance=self.load_capacitance,
            amplifier=self.amplifier,
            transistors=self.transistors,
        )

    def stimulus(
        self, range_a: tuple[float, float], column_s: float, bits: int
    ) -> readout_parameters.Stimulus:
        """What one of them alone is measured with.

        Parameters
        ----------
        range_a : of currents.
        column_s : all cells of a column together.
        bits : of a converter.
        """
        return readout_parameters.Stimulus.model_construct(
            current_low=range_a[0],
            current_high=range_a[1],
            levels=self.levels,
            resolution=bits,
            cell_conductance=column_s,
            line_capacitance=self.line_capacitance,
            step_time=self.step_time,
        )

    def others(self) -> tuple[str, ...]:
        """All keys but ``implementation``, dotted."""
        return tuple(key for key in _leaves(type(self)) if key != "implementation")


def _leaves(section: type[BaseModel], before: str = "") -> list[str]:
    found = []
    for name, field in section.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            found += _leaves(kind, f"{before}{name}.")
        else:
            found.append(f"{before}{name}")
    return found
