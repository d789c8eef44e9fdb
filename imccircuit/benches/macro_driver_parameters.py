"""Parameters of the row drivers of a macro: an R-2R ladder a row, between two rails.

Defaults are chosen: 200 ohm loses 6 % of a row's voltage to eight cells of 39 µS.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from imccircuit.benches import dac_parameters
from imccircuit.benches.bench import Section
from imccircuit.units import SI, Length, Resistance


class Driver(Section):
    """What drives a row; without bits an ideal source."""

    bits: int | None = Field(
        None, ge=1, le=8, description="of an R-2R ladder a row; none: rows are driven by sources"
    )
    unit_resistor: Annotated[Resistance, Field(gt=0)] = Field(
        200.0, description="R of a ladder, and about what a row sees of it"
    )
    resistor_sigma: Annotated[float, SI(""), Field(ge=0, le=0.3)] = Field(
        0.01, description="standard deviation of a unit resistor over its mean"
    )
    switches: Literal["ideal", "transistor"] = Field(
        "ideal", description="between the legs and the rails"
    )
    switch_on_resistance: Annotated[Resistance, Field(gt=0)] = Field(
        10.0, description="of ideal switches"
    )
    switch_width: Annotated[Length, Field(gt=0, le=1e-3)] = Field(
        20e-6, description="NMOS of a transmission gate; its PMOS is twice as wide"
    )

    def converter(self, bits: int, span_v: float) -> dac_parameters.Circuit:
        """One ladder as a converter of its own, whose full scale is ``span_v`` in V."""
        return dac_parameters.Circuit.model_construct(
            kind="r2r",
            bits=bits,
            switches=self.switches,
            reference_voltage=span_v,
            unit_resistor=self.unit_resistor,
            resistor_sigma=self.resistor_sigma,
            switch_on_resistance=self.switch_on_resistance,
            switch_width=self.switch_width,
        )

    def idle_keys(self) -> dict[str, str]:
        """Without drivers all others, with them those of other switches; each with why."""
        others = [name for name in type(self).model_fields if name != "bits"]
        if self.bits is None:
            return dict.fromkeys(others, "driver.bits = none")
        idle = "switch_width" if self.switches == "ideal" else "switch_on_resistance"
        return {idle: f'driver.switches = "{self.switches}"'}
