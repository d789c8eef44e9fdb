"""What a conversion of a SAR ADC costs: energy source by source, settling, latency, area."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from imccircuit.benches.adc_sar import SarConverter, weights_of
from imccircuit.benches.bench import Arrays, MeasurementError
from imccircuit.benches.cost import Meter, mean_energy
from imccircuit.benches.problem import Answer, Probe, Problem, Run
from imccircuit.circuits.sar_adc import HOLD_DELAY, SarAdc, sar_adc
from imccircuit.circuits.sar_area import transistor_sizes
from imccircuit.devices.mos import MosCard
from imccircuit.metrics.energy import compute_remainder, compute_settling_time
from imccircuit.metrics.sar_logic import GATES_PER_BIT, compute_sar_toggles

# What the logic's outputs deliver into the gates of the first inverters is a block of its own.
_DRIVE = "logic_outputs"
BLOCKS = ("reference", "common_mode", "input", "switch_drivers", "comparator", _DRIVE, "logic")
# Behind the second conversion, in cycles: the window must end inside the simulated time.
_AFTER = 0.02
_MOST_A = 1.0
# Currents are read at time points: with ideal switches they are spikes of picoseconds, of which
# the default of 1e-3 misses 5 % and this 0.1 %. Transistors are slower, and right to 0.2 % as is.
_RELTOL_SW = 1e-5


def energy_inputs(adc: SarAdc, count: int) -> NDArray[np.float64]:
    """Inputs over which the energy is averaged: the middles of equal parts of full scale, in V."""
    return np.asarray((np.arange(count) + 0.5) / count * adc.v_ref)


def two_conversions(converter: SarConverter, inputs_v: NDArray[np.float64]) -> Problem:
    """Convert each input twice, with all sources measured."""
    adc = converter.adc
    stop = adc.second_s[1] + _AFTER * adc.cycle_s
    options = dict(converter.options)
    options.setdefault("reltol", _RELTOL_SW)
    return Problem(
        circuit=sar_adc(adc, "twice"),
        analysis=converter.transient(stop),
        probes=(
            *_meter(adc).probes(converter.bound_v, _MOST_A),
            converter.bit_probe(),
            Probe("top", ("v(top)",), (), converter.bound_v),
        ),
        alterations=tuple({"vin": float(value)} for value in inputs_v),
        options=options,
        temperature_degc=converter.temperature_degc,
    )


def costs(converter: SarConverter, card: MosCard, supply_v: float, answer: Answer) -> Arrays:
    """``energy``, ``energy_returned`` (block,) in J and ``bit_settling`` in s.

    Energy is that of the second conversion, sampling included, averaged over the runs; a
    behavioural block's is NaN; the counted logic's goes with the square of its supply. Settling is
    the longest time from a clock edge until the top plate is within half an LSB of where it is when
    the comparator decides.

    Raises
    ------
    MeasurementError : a bit is neither 0 nor 1 at the end of a conversion.
    """
    adc = converter.adc
    meter = _meter(adc)
    found = mean_energy([meter.energy(run, adc.second_s) for run in answer.runs])
    block_of = np.array([name.partition("/")[0] for name in meter.blocks])
    energy = {
        name: np.array([values[block_of == b].sum() if b in block_of else np.nan for b in BLOCKS])
        for name, values in found.items()
    }
    if card.logic is not None:
        toggles = compute_sar_toggles(_codes(converter, answer), adc.bits)
        each = card.logic.toggle_energy.value * (supply_v / card.supply.value) ** 2
        logic = float(np.mean(toggles)) * each
        energy["energy"][BLOCKS.index("logic")] = logic
        energy["energy_returned"][BLOCKS.index("logic")] = 0.0
    settling = max(_settling_s(adc, converter.lsb_v, run) for run in answer.runs)
    return {**energy, "bit_settling": np.asarray(settling)}


def not_measured() -> Arrays:
    """What `costs` returns where no conversion was made for it."""
    nothing = np.full(len(BLOCKS), np.nan)
    return {"energy": nothing, "energy_returned": nothing, "bit_settling": np.asarray(np.nan)}


def latency_s(adc: SarAdc) -> float:
    """Time from the start of sampling until the last bit is decided: a clocked converter's own."""
    return (adc.bits + 1) * adc.cycle_s


def area_m2(adc: SarAdc, card: MosCard) -> float:
    """Counted area: unit capacitors, transistors, logic gates; NaN if a block is behavioural."""
    layout, logic = card.layout, card.logic
    if layout is None or logic is None or adc.switches is None or adc.latch is None:
        return float("nan")
    capacitors = float(np.sum(adc.bit_capacitors_f)) + adc.dummy_f
    if adc.split is not None:
        capacitors += adc.split.bridge_f
    # The comparator's other input hangs on a replica of the array's load.
    capacitors += weights_of(adc).load_f - adc.parasitic_f
    transistors = sum(layout.transistor_area_m2(w, length) for w, length in transistor_sizes(adc))
    gates = GATES_PER_BIT * adc.bits * logic.gate_area.value
    return capacitors / layout.capacitance_density.value + transistors + gates


def _meter(adc: SarAdc) -> Meter:
    sources: dict[str, tuple[str, str]] = {
        "reference": ("vref", "ref"),
        "common_mode": ("vcm", "cm"),
        "input": ("vin", "input"),
    }
    outputs: list[tuple[str, str]] = []
    if adc.switches is not None:
        sources["switch_drivers"] = ("vdd", "vdd")
        plates = [*(f"xbit_{bit}" for bit in range(adc.bits)), *(["xdummy"] * (adc.dummy_f > 0))]
        outputs += [(plate, node) for plate in plates for node in ("up", "down")]
        outputs += [(f"xphase_{phase}", "phase") for phase in ("sample", "track")]
    if adc.latch is not None:
        sources["comparator"] = ("vdd_latch", "vdd_latch")
        outputs.append(("xphase_latch_clock", "phase"))
    # Of the cells sar_bit_tg and sar_phase: source b<node> at a node of that name, or at p.
    for cell, node in outputs:
        at = "p" if node == "phase" else node
        sources[f"{_DRIVE}/{cell}.{node}"] = (f"b.{cell}.b{node}", f"{cell}.{at}")
    return Meter(sources)


def _at(run: Run, name: str, time_s: float) -> NDArray[np.float64]:
    """Values of a probe at the last step at or before a time."""
    step = int(np.searchsorted(run.axis, time_s, side="right")) - 1
    return np.asarray(run.values[name][step])


def _codes(converter: SarConverter, answer: Answer) -> NDArray[np.int64]:
    # Just before the bits are let go of at the end of the second conversion.
    adc = converter.adc
    when = adc.second_s[1] - 0.1 * adc.cycle_s
    level = np.stack([_at(run, "bit", when) for run in answer.runs])
    if np.any(np.abs(level - np.round(level)) > 0.01):
        raise MeasurementError("a bit is not at rest at the end of the conversion")
    return np.asarray(np.round(level).astype(np.int64) @ (1 << np.arange(adc.bits)))


def _settling_s(adc: SarAdc, lsb_v: float, run: Run) -> float:
    weights = weights_of(adc)
    half = 0.5 * lsb_v * weights.input_f / weights.load_f
    cycle = adc.cycle_s
    # The edge that begins the second conversion's first bit; that one is connected a little later.
    first = adc.period_s + cycle
    worst = 0.0
    for bit in range(adc.bits):
        edge = first + bit * cycle + (HOLD_DELAY * cycle if bit == 0 else 0.0)
        # The latch decides in the second half of a cycle; its kick is not the array's settling.
        inside = (run.axis >= edge) & (run.axis <= first + (bit + 0.5) * cycle)
        time_s, top = run.axis[inside], run.values["top"][inside]
        found = compute_settling_time(time_s, top, half, start_s=edge)
        if not np.isfinite(found) or compute_remainder(time_s, top, half) > half:
            return float("nan")
        worst = max(worst, found)
    return worst


def all_costs(found: Mapping[str, NDArray[np.float64]], adc: SarAdc, card: MosCard) -> Arrays:
    """All cost variables of the bench from what `costs` or `not_measured` gave."""
    return {
        **found,
        "latency": np.asarray(latency_s(adc)),
        "area": np.asarray(area_m2(adc, card)),
    }
