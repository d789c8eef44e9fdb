"""The converter that one measurement has on the bench: drawn parts, circuit, sources, area."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from imccircuit.benches.bench import Variation
from imccircuit.benches.cost import Meter
from imccircuit.benches.dac_parameters import QUANTITIES, Circuit, DacParameters
from imccircuit.circuits.dac import (
    Drive,
    Pulses,
    Row,
    Switches,
    capacitor_dac,
    pulse_width_dac,
    r2r_dac,
    string_dac,
)
from imccircuit.circuits.technology import Technology, check_mismatch
from imccircuit.devices.laws import LogNormal, uniform

if TYPE_CHECKING:
    from PySpice.Spice.Netlist import Circuit as SpiceCircuit

Floats = NDArray[np.float64]

# Time constants of the row that a gap between pulses lasts.
_GAP_CONSTANTS = 20


def part_count(circuit: Circuit) -> int:
    """Number of drawn parts: resistors, capacitors, or transistors of the driver."""
    bits = circuit.bits
    counts = {"string": 1 << bits, "r2r": 2 * bits, "capacitor": bits + 1, "pulse_width": 4}
    return counts[circuit.kind]


def draw_parts(parameters: DacParameters, variation: Variation) -> Floats:
    """(part,) values: ohm, F, or threshold shifts in V, as `part_count` counts them."""
    circuit = parameters.circuit
    own = QUANTITIES[circuit.kind]
    rng = variation.generator(own)
    if circuit.kind == "capacitor":
        return _capacitors(circuit, rng)
    if circuit.kind == "pulse_width":
        return _thresholds(parameters, rng)
    return draw_resistors(circuit, rng)


def draw_resistors(
    circuit: Circuit, rng: np.random.Generator | None, shape: tuple[int, ...] = ()
) -> Floats:
    """(…, part) resistors in ohm of a string or an R-2R ladder, or of ``shape`` of them.

    Parameters
    ----------
    rng : None: nothing is drawn.
    """
    # Units in series: a string's resistors are one each, a leg of an R-2R ladder is two.
    units = np.ones(part_count(circuit))
    if circuit.kind == "r2r":
        units[: circuit.bits + 1] = 2
    nominal = np.broadcast_to(units * circuit.unit_resistor, (*shape, len(units)))
    if rng is None or circuit.resistor_sigma == 0:
        return nominal
    drawn = LogNormal().quantile(
        uniform(rng, nominal.shape), 1.0, circuit.resistor_sigma / np.sqrt(units)
    )
    return np.asarray(nominal * drawn)


def _capacitors(circuit: Circuit, rng: np.random.Generator | None) -> Floats:
    units = np.append(2 ** np.arange(circuit.bits), 1)
    if rng is None:
        return np.asarray(units * circuit.unit_f)
    return circuit.capacitor_card.draw_capacitors(rng, units, circuit.unit_f)


def _thresholds(parameters: DacParameters, rng: np.random.Generator | None) -> Floats:
    """Shifts of NMOS and PMOS of the first inverter, then of the second."""
    if rng is None:
        return np.zeros(4)
    card, width = parameters.technology, parameters.circuit.driver_width
    check_mismatch(card)
    ln, lp = parameters.lengths_m
    sizes = (
        (card.nmos, 0.25, ln),
        (card.pmos, 0.5, lp),
        (card.nmos, 1.0, ln),
        (card.pmos, 2.0, lp),
    )
    return np.array(
        [
            float(device.draw_mismatch(rng, scale * width, length, ())[0])
            for device, scale, length in sizes
        ]
    )


def part_unit(circuit: Circuit) -> str:
    """Unit of the drawn parts."""
    return {"capacitor": "F", "pulse_width": "V"}.get(circuit.kind, "ohm")


@dataclass(frozen=True)
class Built:
    """A drawn converter.

    Attributes
    ----------
    parameters : of the recipe.
    parts : what `draw_parts` gave.
    """

    parameters: DacParameters
    parts: Floats

    @property
    def technology(self) -> Technology | None:
        """Transistors, if there are any."""
        p = self.parameters
        return Technology(p.technology, p.corner, p.supply_v) if p.has_transistors else None

    @property
    def row(self) -> Row:
        """Line that the converter drives."""
        c = self.parameters.circuit
        return Row(c.row_resistance, c.row_capacitance, c.load_conductance)

    @property
    def switches(self) -> Switches:
        """Switches of a string, a ladder or a group of capacitors."""
        c, width = self.parameters.circuit, self.parameters.circuit.switch_width
        return Switches(
            self.technology, c.switch_on_resistance, c.switch_off_resistance, width, 2 * width,
            *self.parameters.lengths_m,
        )  # fmt: skip

    def circuit(self, cycle_s: float | None) -> SpiceCircuit:
        """Circuit whose code is switched: static (None), or applied in every cycle."""
        c, switches = self.parameters.circuit, self.switches
        drive = Drive(c.reference_voltage, cycle_s)
        parts = [float(value) for value in self.parts]
        if c.kind == "string":
            return string_dac(parts, switches, self.row, drive)
        if c.kind == "r2r":
            return r2r_dac(parts, switches, self.row, drive)
        return capacitor_dac(parts, c.parasitic_capacitor, switches, self.row, drive)

    def pulses(self, codes: list[int]) -> Pulses:
        """Pulses of the given codes, far enough apart for the row to come to rest."""
        c = self.parameters.circuit
        driver = c.driver_resistance
        if self.technology is not None:
            # On-resistance of a driver of the class: about 5 kohm·um.
            driver = 5e3 * 1e-6 / c.driver_width
        constant = (driver + c.row_resistance) * (c.row_capacitance + 10e-15)
        gap = _GAP_CONSTANTS * constant + 4 * c.edge_time + c.rise_delay + c.fall_delay
        return Pulses(codes, c.clock_time, c.edge_time, c.rise_delay, c.fall_delay, gap)

    def pulse_circuit(self, pulses: Pulses) -> SpiceCircuit:
        """Circuit of the pulse-width driver."""
        c = self.parameters.circuit
        return pulse_width_dac(
            pulses, self.row, self.parameters.full_scale_v,
            "ideal" if self.technology is None else "transistor", self.technology,
            resistance_ohm=c.driver_resistance, widths_m=(c.driver_width, 2 * c.driver_width),
            lengths_m=self.parameters.lengths_m, delta_vth_v=[float(v) for v in self.parts],
        )  # fmt: skip

    @property
    def meter(self) -> Meter:
        """Sources whose energy counts; controls of ideal switches are no energy."""
        return dac_meter(self.parameters)

    def counter_j(self) -> float:
        """Energy in J of counting to the end once and of comparing with the code, NaN if unknown.

        A binary counter of B bits toggles 2^(B+1) − 2 outputs in 2^B clocks, and each of them one
        gate of the comparison.
        """
        logic = self.parameters.technology.logic
        if logic is None or not self.parameters.has_transistors:
            return float("nan")
        toggles = 2 * ((2 << self.parameters.circuit.bits) - 2)
        return toggles * logic.toggle_energy.value

    def area_m2(self) -> float:
        """Counted area: units of the parts, and transistors; NaN where something has none."""
        p, c = self.parameters, self.parameters.circuit
        layout = p.technology.layout
        if layout is None or not p.has_transistors:
            return float("nan")
        gate, (ln, lp) = layout.transistor_area_m2, p.lengths_m
        if c.kind == "pulse_width":
            w = c.driver_width
            logic = p.technology.logic
            if logic is None:
                return float("nan")
            drive = sum(gate(s * w, ln) + gate(2 * s * w, lp) for s in (0.25, 1.0))
            # Of a counter that all rows share only the comparison is a row's own.
            return drive + c.bits * logic.gate_area.value
        pair = gate(c.switch_width, ln) + gate(2 * c.switch_width, lp)
        pairs = {"string": 2 * ((1 << c.bits) - 1), "r2r": 2 * c.bits, "capacitor": 2 * c.bits + 1}
        area = pairs[c.kind] * pair
        if c.kind == "capacitor":
            return area + (1 << c.bits) * c.unit_f / layout.capacitance_density.value
        units = 1 << c.bits if c.kind == "string" else 3 * c.bits + 1
        squares = c.unit_resistor / layout.sheet_resistance.value
        return area + units * squares * layout.resistor_square.value


def dac_meter(parameters: DacParameters) -> Meter:
    """Sources of a converter, block by block."""
    c = parameters.circuit
    if c.kind == "pulse_width":
        supply = {"driver": ("vdd", "vdd")} if parameters.has_transistors else {}
        source = "driver_input" if parameters.has_transistors else "driver"
        return Meter({**supply, source: ("vpulse", "pulse")}, ("counter",))
    sources = {"reference": ("vref", "ref")}
    if not parameters.has_transistors:
        return Meter(sources, ("switch_control",))
    sources["gate_bulks"] = ("vdd", "vdd")
    for k in range(c.bits):
        sources[f"bit_{k}"] = (f"bon_{k}", f"on_{k}")
        sources[f"bit_{k}_inverse"] = (f"boff_{k}", f"off_{k}")
    if c.kind == "capacitor":
        sources |= {"reset": ("bclear", "clear"), "reset_inverse": ("bnclear", "nclear")}
    return Meter(sources)
