"""The comparator that one measurement has on the bench: drawn sizes, sources, options."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from imccircuit.benches.bench import Variation
from imccircuit.benches.comparator_parameters import ComparatorParameters
from imccircuit.benches.cost import Meter
from imccircuit.circuits.comparator import Clocking, StrongArm, hold_widths
from imccircuit.circuits.technology import Technology, check_mismatch
from imccircuit.devices.mos import MosCard

# The nodes hold fF: ngspice's own chgtol of 1e-14 C is all of their charge, so that without this
# nothing but the largest step limits the error (wrong decisions at 1 mV with steps of 40 ps).
OPTIONS: Mapping[str, str | float] = {"method": "gear", "reltol": 1e-4, "chgtol": 1e-19}
# For what is read off waveforms: decision times were 0.8 % early, energies 0.5 % low. Trapezoids
# ring instead, and ringing counts where returned energy is not netted.
FINE_OPTIONS: Mapping[str, str | float] = {**OPTIONS, "reltol": 1e-5, "trtol": 1}
# Far above what gates of µm can draw, and above the spikes of ideal clock edges.
BOUND_A = 1.0

# Of each quantity: the two transistors of a pair, their kind, the key of their width, and whether
# their current factors are drawn as well.
PAIRS = {
    "input_pair": (("inp", "inn", "nmos", "wn_in", True),),
    "latch_pairs": (
        ("nlp", "nln", "nmos", "wn_latch", False), ("plp", "pln", "pmos", "wp_latch", False),
    ),
}  # fmt: skip


def draw_offset(parameters: ComparatorParameters, variation: Variation) -> float:
    """Offset of the behavioural comparator of one chip in V."""
    circuit = parameters.circuit
    rng = variation.generator("comparator_offset")
    drawn = 0.0 if rng is None else circuit.offset_sigma * float(rng.standard_normal())
    return circuit.offset + drawn


def draw_strongarm(parameters: ComparatorParameters, variation: Variation) -> StrongArm:
    """StrongARM comparator of one chip: thresholds of both pairs, current factors of the first."""
    card, widths, lengths = parameters.technology, parameters.widths_m, parameters.lengths_m
    hold_nmos, hold_pmos = hold_widths(strongarm_technology(parameters))
    mismatch: dict[str, float] = {}
    for quantity in PAIRS:
        rng = variation.generator(quantity)
        if rng is not None:
            mismatch |= draw_pairs(card, quantity, widths, lengths, rng)
    return StrongArm(
        input_m=widths["wn_in"],
        latch_nmos_m=widths["wn_latch"],
        latch_pmos_m=widths["wp_latch"],
        tail_m=widths["w_tail"],
        reset_m=widths["w_reset"],
        hold_nmos_m=hold_nmos,
        hold_pmos_m=hold_pmos,
        length_m=lengths["nmos"],
        pmos_length_m=lengths["pmos"],
        mismatch=mismatch,
    )


def draw_pairs(
    card: MosCard, which: str, widths_m: Mapping[str, float], lengths_m: Mapping[str, float],
    rng: np.random.Generator,
) -> dict[str, float]:  # fmt: skip
    """Mismatch of one StrongARM's pairs, each transistor by itself, from the card's A_VT and A_β.

    Parameters
    ----------
    which : ``input_pair`` (thresholds and current factors) or ``latch_pairs`` (thresholds; they
        act when the pair has integrated already, and their current factors next to nothing).
    widths_m, lengths_m : by the names of ``netlists/strongarm.subckt``, and by kind.
    rng : the generator of that quantity.

    Returns
    -------
    Parameters ``dvt_…`` (V) and ``beta_…`` (1) of that cell.

    Raises
    ------
    UsageError : the card's transistors are subcircuits, which take none.
    """
    check_mismatch(card)
    mismatch: dict[str, float] = {}
    for p, n, kind, width, with_beta in PAIRS[which]:
        device = card.nmos if kind == "nmos" else card.pmos
        shift, factor = device.draw_mismatch(rng, widths_m[width], lengths_m[kind], (2,))
        mismatch |= {f"dvt_{p}": float(shift[0]), f"dvt_{n}": float(shift[1])}
        if with_beta:
            mismatch |= {f"beta_{p}": float(factor[0]), f"beta_{n}": float(factor[1])}
    return mismatch


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
