"""One drawn SAR converter as the null method and the closed loop want it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from imccircuit.benches.adc_parameters import AdcParameters, Circuit
from imccircuit.benches.bench import MeasurementError, Variation
from imccircuit.benches.comparator_dut import PAIRS, draw_pairs
from imccircuit.benches.problem import Answer, Probe, Problem, Transient
from imccircuit.circuits.sar_adc import SarAdc, SarSplit, sar_adc
from imccircuit.circuits.sar_transistors import LATCH, SarLatch, SarSwitches
from imccircuit.circuits.technology import Technology
from imccircuit.metrics.adc_split import CdacWeights, compute_cdac_weights

# Trapezoidal integration loses charge on a floating node: 0.14 LSB in the middle of 8 bits.
_OPTIONS: Mapping[str, str | float] = {"method": "gear"}
# Newton's iteration stops when a node moves by less than reltol of its voltage: at the default of
# 1e-3 a level at 0.6 V is 0.1 LSB of 8 bits off, at 1e-4 it is 0.004 LSB. A linear circuit has no
# such error.
_RELTOL_TRANSISTORS = 1e-4
# A latch near its threshold: at ngspice's own 7 steps are so long that Gear damps what should grow,
# and within 0.08 LSB of 8 bits it decides nothing, or wrongly. At 1 it turns within 0.01 LSB of
# where it does at steps a seventh as long.
_TRTOL_LATCH = 1
_STEPS_PER_CYCLE = 40


def draw_adc(parameters: AdcParameters, variation: Variation) -> SarAdc:
    """One manufactured converter.

    Capacitors belong to the group of columns that share an array, the comparator's offset and its
    transistors' mismatch to the column. Group 0 and column 0 have the streams of a converter that
    stands alone.
    """
    circuit = parameters.circuit
    capacitors, dummy, bridge = _draw_capacitors(circuit, variation)
    offset = circuit.comparator_offset
    generator = _generator(variation, "comparator_offset", circuit.column)
    if generator is not None:
        offset += circuit.comparator_offset_sigma * float(generator.standard_normal())
    switches, latch = _transistors(parameters, variation)
    lower = circuit.lower_bits
    return SarAdc(
        bit_capacitors_f=[float(value) for value in capacitors],
        dummy_f=dummy if circuit.dummy_capacitor is None else circuit.dummy_capacitor,
        parasitic_f=circuit.parasitic_capacitor,
        v_ref=circuit.reference_voltage,
        v_cm=circuit.common_mode_voltage,
        offset_v=offset,
        cycle_s=circuit.cycle_time,
        r_on_ohm=circuit.switch_on_resistance,
        r_off_ohm=circuit.switch_off_resistance,
        split=SarSplit(lower, bridge, circuit.split.bridge_parasitic) if lower else None,
        switches=switches,
        latch=latch,
    )


def weights_of(adc: SarAdc) -> CdacWeights:
    """Weights of the array of a converter, split or not."""
    split = adc.split
    return compute_cdac_weights(
        adc.bit_capacitors_f,
        adc.dummy_f,
        adc.parasitic_f,
        lower_bits=0 if split is None else split.lower_bits,
        bridge_f=0.0 if split is None else split.bridge_f,
        bridge_parasitic_f=0.0 if split is None else split.parasitic_f,
    )


def _generator(variation: Variation, quantity: str, index: int) -> np.random.Generator | None:
    """Stream of a quantity of one group or column; that of index 0 has the plain name."""
    if quantity not in variation.quantities:
        return None
    return variation.draws.generator(quantity if index == 0 else f"{quantity}/{index}")


def _draw_capacitors(
    circuit: Circuit, variation: Variation
) -> tuple[NDArray[np.float64], float, float]:
    """Bits, dummy and bridge in F; explicit bits, and the bridge beside them, are not varied."""
    nominal, bridge = circuit.unit_f, circuit.bridge_f
    if circuit.bit_capacitors is not None:
        return circuit.bit_capacitors, nominal, bridge
    units = np.append(circuit.bit_units, 1)
    group = circuit.column // circuit.group_size
    generator = _generator(variation, "bit_capacitors", group)
    if generator is None:
        drawn = units * nominal
    else:
        drawn = circuit.capacitor_card.draw_capacitors(generator, units, nominal)
        if bridge > 0:
            # A stream of its own: with or without a bridge the bits are the same chip's.
            name = "bridge_capacitor" if group == 0 else f"bridge_capacitor/{group}"
            stream = variation.draws.generator(name)
            bridge = float(circuit.capacitor_card.draw_capacitors(stream, [1], bridge)[0])
    return drawn[:-1], float(drawn[-1]), bridge


def _transistors(
    parameters: AdcParameters, variation: Variation
) -> tuple[SarSwitches | None, SarLatch | None]:
    circuit, sizes = parameters.circuit, parameters.circuit.sizes
    technology = Technology(parameters.technology, parameters.corner, parameters.supply_v)
    switches = latch = None
    if circuit.switches == "transmission_gate":
        switches = SarSwitches(technology, sizes.sample, sizes.reference, sizes.top, sizes.driver)
    if circuit.comparator == "strongarm":
        latch = SarLatch(technology, sizes.latch)
        generator = _generator(variation, "comparator_transistors", circuit.column)
        if generator is not None:
            latch = replace(latch, mismatch=_draw_mismatch(latch, generator))
    return switches, latch


def _draw_mismatch(latch: SarLatch, rng: np.random.Generator) -> dict[str, float]:
    """Mismatch of the input pair, then of both latch pairs."""
    technology = latch.technology
    widths = {key: latch.width_m(key) for key in LATCH}
    lengths = {kind: technology.size(kind)[1] for kind in ("nmos", "pmos")}
    found: dict[str, float] = {}
    for which in PAIRS:
        found |= draw_pairs(technology.card, which, widths, lengths, rng)
    return found


class SarConverter:
    """Problems on one drawn converter; a `NullConverter`.

    Attributes
    ----------
    adc : what the generator is given.
    temperature_degc : circuit temperature.
    lsb_v : full scale over 2^bits in V.
    """

    def __init__(self, adc: SarAdc, temperature_degc: float) -> None:
        self.adc = adc
        self.temperature_degc = temperature_degc
        self.lsb_v = adc.v_ref / 2**adc.bits
        self._bits = np.arange(adc.bits)

    @property
    def bits(self) -> int:
        """Resolution."""
        return self.adc.bits

    @property
    def options(self) -> Mapping[str, str | float]:
        """Simulator options of every problem."""
        if self.adc.has_transistors:
            return {**_OPTIONS, "reltol": _RELTOL_TRANSISTORS}
        return _OPTIONS

    @property
    def clocked_options(self) -> Mapping[str, str | float]:
        """Options of problems in which a decision counts."""
        return self.options if self.adc.latch is None else {**self.options, "trtol": _TRTOL_LATCH}

    @property
    def bound_v(self) -> float:
        """No node is farther from ground."""
        # Within the supplies but for charge kicks, which double them at most.
        adc = self.adc
        part = adc.switches or adc.latch
        supply = 0.0 if part is None else part.technology.supply_v
        return 4 * max(abs(adc.v_ref) + abs(adc.v_cm), supply) + abs(adc.offset_v)

    def transient(self, stop_s: float) -> Transient:
        """Analysis with steps that Gear needs."""
        # Gear damps badly with steps of many RC: 10 bits are 0.03 LSB off at steps of a tenth of a
        # cycle, 1e-8 at a fortieth.
        step = self.adc.cycle_s / _STEPS_PER_CYCLE
        return Transient(stop_s, step, step)

    def with_offset(self, offset_v: float) -> SarConverter:
        """The same converter with that much more comparator offset."""
        adc = replace(self.adc, offset_v=self.adc.offset_v + offset_v)
        return SarConverter(adc, self.temperature_degc)

    def _at(self, code: int, input_v: float) -> dict[str, float]:
        bits = {f"vbit_{k}": float(code >> k & 1) for k in range(self.bits)}
        return {**bits, "vin": float(input_v)}

    def forced(self, codes: NDArray[np.int64], inputs_v: NDArray[np.float64]) -> Problem:
        """Sample each input, force its code, read the comparator's core."""
        alterations = tuple(
            self._at(int(code), voltage) for code, voltage in zip(codes, inputs_v, strict=True)
        )
        return Problem(
            circuit=sar_adc(self.adc, "forced"),
            analysis=self.transient(self.adc.forced_stop_s),
            probes=(Probe("decision", ("v(decision)",), (), self.bound_v),),
            alterations=alterations,
            options=self.options,
            temperature_degc=self.temperature_degc,
        )

    def decisions(self, answer: Answer) -> NDArray[np.float64]:
        """Comparator's input of a `forced` answer in V, one for each run."""
        return answer.final("decision")

    def decide(self, code: int, input_v: float) -> Problem:
        """Sample an input, force a code, clock the latch once."""
        return Problem(
            circuit=sar_adc(self.adc, "decide"),
            analysis=self.transient(self.adc.forced_stop_s),
            probes=(Probe("decision", ("v(decision)",), (), self.bound_v),),
            alterations=(self._at(code, input_v),),
            options=self.clocked_options,
            temperature_degc=self.temperature_degc,
        )

    def decided(self, answer: Answer) -> bool:
        """Whether the latch said yes in a `decide` answer; undecided is no, as for the logic."""
        return bool(answer.final("decision")[0] > 0)

    def loop(self, inputs_v: NDArray[np.float64]) -> Problem:
        """Convert each input with clock and logic."""
        return Problem(
            circuit=sar_adc(self.adc, "loop"),
            analysis=self.transient(self.adc.loop_stop_s),
            probes=(self.bit_probe(),),
            alterations=tuple({"vin": float(voltage)} for voltage in inputs_v),
            options=self.clocked_options,
            temperature_degc=self.temperature_degc,
        )

    def bit_probe(self) -> Probe:
        """Outputs of the logic, LSB first."""
        names = tuple(f"v(bit_{k})" for k in self._bits)
        return Probe("bit", names, (self.adc.bits,), self.bound_v)

    def codes(self, answer: Answer) -> NDArray[np.int64]:
        """Codes of a `loop` answer, one for each run.

        Raises
        ------
        MeasurementError : a bit is neither 0 nor 1 at the end of the conversion.
        """
        level = answer.final("bit")
        if np.any(np.abs(level - np.round(level)) > 0.01) or np.any(np.abs(level - 0.5) > 0.51):
            raise MeasurementError("a bit is not at rest at the end of the conversion")
        return np.asarray((level > 0.5) @ (1 << self._bits), dtype=np.int64)
