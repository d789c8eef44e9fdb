"""One drawn charge-domain array, and the problems that are asked about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from imccircuit.benches.bench import Variation
from imccircuit.benches.charge_parameters import ChargeParameters
from imccircuit.benches.cost import Meter
from imccircuit.benches.problem import NOISE_VECTOR, Noise, Probe, Problem, Transient
from imccircuit.circuits.charge_column import ChargeArray, Switches, charge_array, energy_sources
from imccircuit.circuits.charge_mismatch import ChargeMismatch, draw_mismatch
from imccircuit.circuits.charge_noise import (
    ChargeColumn,
    NoiseCircuit,
    gates_noise,
    sampling_noise,
    sharing_noise,
)
from imccircuit.circuits.technology import Technology, check_mismatch
from imccircuit.devices.draws import Draws
from imccircuit.metrics.charge import compute_charge_voltage

Floats = NDArray[np.float64]
Bits = NDArray[np.int64]

# Trapezoidal integration rings on charges. Ideal switches and linear capacitors need no more time
# points than their edges give; but transistors inject while an edge lasts, and at ngspice's own
# chgtol, ten times a cell's charge, their injection is 6 % too small (1 % at this one).
_IDEAL: Mapping[str, str | float] = {"method": "gear", "chgtol": 1e-12}
_TRANSISTOR: Mapping[str, str | float] = {"method": "gear", "chgtol": 1e-17, "reltol": 1e-4}
# A closing ideal switch draws its charge within picoseconds: at the options above a third more
# energy is counted than there is, at these 0.2 % less. With a chgtol of 1e-18 it would be 0.03 %,
# but no step across the closing of a thousand switches passes. In steps so short the engine's own
# pivrel of 0.5 loses the voltage of a floating line with wires.
_IDEAL_ENERGY: Mapping[str, str | float] = {
    "method": "gear", "chgtol": 1e-16, "reltol": 1e-6, "pivrel": 1e-3,
}  # fmt: skip
_LARGEST_TRANSISTOR_CURRENT_A = 10e-3


@dataclass(frozen=True)
class Chip:
    """An array with its capacitors drawn, and the input bits of a batch.

    Attributes
    ----------
    array : what the generator needs.
    bits : (batch, row) input bits, 0 or 1 (−1 of ``xnor`` is 0).
    unit_f : nominal unit capacitor in F.
    temperature_degc : in degC.
    """

    array: ChargeArray
    bits: Bits
    unit_f: float
    temperature_degc: float

    @property
    def step_v(self) -> float:
        """What one product more moves a nominal output, in V: the LSB of this bench."""
        return self.full_scale_v / self.array.rows

    @property
    def full_scale_v(self) -> float:
        """Nominal output with all products one, in V."""
        total = self.array.rows * self.unit_f
        return self.array.supply_v * total / (total + self.array.line_f)

    @property
    def products(self) -> Bits:
        """(batch, row, col) 1 where a capacitor is charged to the supply."""
        bits, stored = self.bits[:, :, None], self.array.stored[None]
        if self.array.product == "and":
            return np.asarray(bits * stored, dtype=np.int64)
        return np.asarray(bits == stored, dtype=np.int64)

    @property
    def expected_v(self) -> Floats:
        """(batch, col) output by charge conservation with the drawn capacitors, in V."""
        array = self.array
        return compute_charge_voltage(
            self.products, array.capacitors_f, array.line_f, array.supply_v
        )

    @property
    def meter(self) -> Meter:
        """Sources whose energy is measured, and blocks that have none."""
        return make_meter(self.array.switches)

    def operation(self, which: Sequence[int], cycles: int) -> Problem:
        """Transient of that many identical operations for some vectors of the batch.

        Probes: ``output`` (col,), and those of the meter if there is more than one operation.
        """
        array = self.array
        ideal = array.switches == "sw"
        step = self._step_s()
        bound_v = 4 * array.supply_v
        # Every cell and driver at once, through its closed switch.
        each = array.supply_v / array.r_on_ohm if ideal else _LARGEST_TRANSISTOR_CURRENT_A
        bound_a = 10 * each * (array.rows * array.cols + array.rows)
        outputs = tuple(f"v({node})" for node in array.output_nodes)
        probes = [Probe("output", outputs, (array.cols,), bound_v)]
        if cycles > 1:
            probes += self.meter.probes(bound_v, bound_a)
        starts = self._starts_v()
        return Problem(
            circuit=charge_array(array),
            analysis=Transient(cycles * array.cycle_s, step, step),
            probes=tuple(probes),
            alterations=tuple(
                {
                    **{f"ix_{row}": float(bit) for row, bit in enumerate(self.bits[index])},
                    "vstart": float(starts[index]),
                }
                for index in which
            ),
            options=(_IDEAL if cycles == 1 else _IDEAL_ENERGY) if ideal else _TRANSISTOR,
            temperature_degc=self.temperature_degc,
        )

    def _step_s(self) -> float:
        """Largest time step in s.

        Gear damps little with steps of many time constants: with a wire of 0.25 ns and steps of
        0.4 ns a reset leaves 1 LSB too much of 1024. Where a phase has but a hundred time
        constants, the steps are a fortieth of it. Else they may be a fifth of sharing: they grow
        from those of the edges, which are finer than any phase needs.
        """
        array = self.array
        if array.switches == "transmission_gate":
            return max(array.phase_s / 20, array.share_s / 200)
        # 4/π² of R·C is the slowest time constant of a wire driven at its end.
        wire = 4 / np.pi**2
        line_ohm = wire * array.rows * array.column_ohm
        total_f = array.rows * self.unit_f + array.line_f
        row_ohm = array.r_on_ohm + wire * array.cols * array.row_ohm
        slowest = (
            (line_ohm + array.r_on_ohm / array.reset_width) * array.line_f / array.phase_s,
            row_ohm * array.cols * (self.unit_f + array.row_f) / array.phase_s,
            (line_ohm * total_f + array.r_on_ohm * self.unit_f) / array.share_s,
        )
        if 100 * max(slowest) > 1:
            return min(array.phase_s, array.share_s) / 40
        return array.share_s / 5

    def _starts_v(self) -> Floats:
        """The end of the range that is farther from a vector's outputs, (batch,) in V."""
        low = self.expected_v.mean(axis=1) < self.full_scale_v / 2
        return np.where(low, self.full_scale_v, 0.0)

    def noise(self) -> tuple[Problem, Problem]:
        """Noise of a nominal column. Probe: ``noise``, for `noise_by_phase`.

        With ideal switches reset and sample, then share. With transistors kT/C of line and plates
        together, then of the line alone, in the middle of the range.
        """
        array = self.array
        if array.switches == "transmission_gate":
            whole, alone = (
                gates_noise(array, self.unit_f, self.full_scale_v / 2, shared=shared)
                for shared in (True, False)
            )
            return self._noise(whole), self._noise(alone)
        column = ChargeColumn(
            rows=array.rows,
            unit_f=self.unit_f,
            line_f=array.line_f,
            cell_ohm=array.r_on_ohm,
            reset_ohm=array.r_on_ohm / array.reset_width,
        )
        return self._noise(sampling_noise(column)), self._noise(sharing_noise(column))

    def noise_by_phase(self, first_v: float, second_v: float) -> tuple[float, float]:
        """Noise of sampling and of sharing in V, from what the problems of `noise` gave.

        Charges that sampling froze give kT/C of all that is joined; line and plates in equilibrium,
        while they are joined, give kT/C of the line: sharing is what that has more.
        """
        if self.array.switches == "transmission_gate":
            return first_v, float(np.sqrt(second_v**2 - first_v**2))
        return first_v, second_v

    def _noise(self, asked: NoiseCircuit) -> Problem:
        return Problem(
            circuit=asked.circuit,
            analysis=Noise(asked.node, "vquiet", asked.start_hz, asked.stop_hz),
            probes=(Probe("noise", (NOISE_VECTOR,), (), self.array.supply_v),),
            temperature_degc=self.temperature_degc,
        )


def make_meter(switches: Switches) -> Meter:
    """Sources whose energy is measured; ``row_logic`` is counted where the card says its cost."""
    missing = ["row_logic"] if switches == "transmission_gate" else ["row_logic", "phase_clocks"]
    return Meter(energy_sources(switches), tuple(missing))


def make_chip(parameters: ChargeParameters, variation: Variation) -> Chip:
    """Draw a chip's capacitors and transistors; weights and inputs are the same for all chips.

    Raises
    ------
    UsageError : ``transistor`` varies in a technology that takes no mismatch from outside.
    """
    circuit, shape = parameters.circuit, (parameters.rows, parameters.cols)
    entropy = variation.draws.entropy
    capacitors = np.full(shape, circuit.unit_f)
    generator = variation.generator("unit_capacitor")
    if generator is not None:
        units = np.ones(shape)
        capacitors = circuit.capacitor_card.draw_capacitors(generator, units, circuit.unit_f)
    array = ChargeArray(
        capacitors_f=capacitors,
        stored=_stored(parameters, entropy),
        line_f=parameters.line_f,
        product=circuit.product,
        switches=circuit.switches,
        storage=circuit.storage,
        technology=Technology(parameters.technology, parameters.corner, parameters.supply_v),
        phase_s=circuit.phase_time,
        share_s=circuit.share_time,
        r_on_ohm=circuit.switch_on_resistance,
        r_off_ohm=circuit.switch_off_resistance,
        reset_width=parameters.reset_width,
        driver_width=circuit.driver_width,
        row_ohm=circuit.row_ohm,
        row_f=circuit.row_f,
        column_ohm=circuit.column_ohm,
    )
    array = replace(array, mismatch=_mismatch(array, variation.generator("transistor")))
    bits = _bits(parameters, entropy)
    return Chip(array, bits, circuit.unit_f, parameters.conditions.temperature)


def _mismatch(array: ChargeArray, generator: np.random.Generator | None) -> ChargeMismatch | None:
    """Of all transistors that pass charge, if they vary."""
    if generator is None:
        return None
    check_mismatch(array.technology.card)
    shape = (array.rows, array.cols)
    return draw_mismatch(generator, array.technology, array.product, shape, array.reset_width)


def _stored(parameters: ChargeParameters, entropy: int) -> Bits:
    """Stored bits, 0 or 1: given, all ones, or a pattern that is the same for all chips."""
    circuit, shape = parameters.circuit, (parameters.rows, parameters.cols)
    if circuit.weights is not None:
        return np.asarray(circuit.weights > 0, dtype=np.int64)
    if circuit.weight_pattern == "ones":
        return np.ones(shape, dtype=np.int64)
    return Draws(entropy, 0).generator("weights").integers(0, 2, shape)


def active_counts(parameters: ChargeParameters) -> Bits:
    """Number of active rows of each vector of the staircase."""
    return np.rint(np.linspace(0, parameters.rows, parameters.batch)).astype(np.int64)


def _bits(parameters: ChargeParameters, entropy: int) -> Bits:
    """(batch, row) input bits, 0 or 1."""
    given = parameters.stimulus.inputs
    if given is not None:
        return np.asarray(given > 0, dtype=np.int64)
    rows = np.arange(parameters.rows)
    if parameters.stimulus.pattern == "staircase":
        return np.asarray(rows[None] < active_counts(parameters)[:, None], dtype=np.int64)
    generator = Draws(entropy, 0).generator("stimulus")
    # A density for each vector, so that the batch spans the range and not only its middle.
    density = generator.random((parameters.batch, 1))
    drawn = generator.random((parameters.batch, parameters.rows))
    return np.asarray(drawn < density, dtype=np.int64)
