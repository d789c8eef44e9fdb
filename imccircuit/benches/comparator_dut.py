"""The comparator that one measurement has on the bench: drawn sizes, sources, options."""

from __future__ import annotations

from collections.abc import Mapping

from imccircuit.benches.bench import Variation
from imccircuit.benches.comparator_parameters import ComparatorParameters
from imccircuit.benches.cost import Meter
from imccircuit.circuits.comparator import Clocking, StrongArm
from imccircuit.circuits.technology import Technology, check_mismatch

# The nodes hold fF: ngspice's own chgtol of 1e-14 C is all of their charge, so that without this
# nothing but the largest step limits the error (wrong decisions at 1 mV with steps of 40 ps).
OPTIONS: Mapping[str, str | float] = {"method": "gear", "reltol": 1e-4, "chgtol": 1e-19}
# For what is read off waveforms: decision times were 0.8 % early, energies 0.5 % low. Trapezoids
# ring instead, and ringing counts where returned energy is not netted.
FINE_OPTIONS: Mapping[str, str | float] = {**OPTIONS, "reltol": 1e-5, "trtol": 1}
# Far above what gates of µm can draw, and above the spikes of ideal clock edges.
BOUND_A = 1.0

_PAIRS = {
    "input_pair": (("inp", "inn", "nmos", True),),
    "latch_pairs": (("nlp", "nln", "nmos", False), ("plp", "pln", "pmos", False)),
}


def draw_offset(parameters: ComparatorParameters, variation: Variation) -> float:
    """Offset of the behavioural comparator of one chip in V."""
    circuit = parameters.circuit
    rng = variation.generator("comparator_offset")
    drawn = 0.0 if rng is None else circuit.offset_sigma * float(rng.standard_normal())
    return circuit.offset + drawn


def draw_strongarm(parameters: ComparatorParameters, variation: Variation) -> StrongArm:
    """StrongARM comparator of one chip: thresholds of both pairs, current factors of the first."""
    circuit, card = parameters.circuit, parameters.technology
    lengths = {
        "nmos": circuit.gate_length or card.nmos.length.value,
        "pmos": circuit.gate_length or card.pmos.length.value,
    }
    widths = {
        "inp": circuit.input_width, "nlp": circuit.latch_nmos_width,
        "plp": circuit.latch_pmos_width,
    }  # fmt: skip
    mismatch: dict[str, float] = {}
    for quantity, pairs in _PAIRS.items():
        rng = variation.generator(quantity)
        if rng is None:
            continue
        check_mismatch(card)
        for p, n, kind, with_beta in pairs:
            device = card.nmos if kind == "nmos" else card.pmos
            shift, factor = device.draw_mismatch(rng, widths[p], lengths[kind], (2,))
            mismatch |= {f"dvt_{p}": float(shift[0]), f"dvt_{n}": float(shift[1])}
            if with_beta:
                mismatch |= {f"beta_{p}": float(factor[0]), f"beta_{n}": float(factor[1])}
    return StrongArm(
        input_m=circuit.input_width,
        latch_nmos_m=circuit.latch_nmos_width,
        latch_pmos_m=circuit.latch_pmos_width,
        tail_m=circuit.tail_width,
        reset_m=circuit.reset_width,
        length_m=lengths["nmos"],
        pmos_length_m=lengths["pmos"],
        mismatch=mismatch,
    )


def strongarm_technology(parameters: ComparatorParameters) -> Technology:
    """Transistors at the corner and supply of the conditions."""
    return Technology(parameters.technology, parameters.corner, parameters.supply_v)


def strongarm_clocking(parameters: ComparatorParameters) -> Clocking:
    """Clock and inputs of the test circuit."""
    circuit = parameters.circuit
    return Clocking(
        cycle_s=circuit.cycle_time,
        edge_s=circuit.clock_edge,
        common_mode_v=parameters.stimulus.common_mode,
        source_ohm=circuit.source_resistance,
    )


def meter(parameters: ComparatorParameters) -> Meter:
    """Sources whose energy counts."""
    if not parameters.has_transistors:
        return Meter({}, ("comparator",))
    return Meter(
        {
            "comparator": ("vdd", "vdd"),
            "latch": ("vddl", "vddl"),
            "clock": ("vclk", "clk"),
            "input_plus": ("bplus", "source_p"),
            "input_minus": ("bminus", "source_n"),
        }
    )


def blocks(parameters: ComparatorParameters) -> tuple[str, ...]:
    """Names along the dimension ``block``."""
    return meter(parameters).blocks
