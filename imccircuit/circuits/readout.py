"""Netlist of a read-out front end with what feeds it: a current, or the rows of an array.

Nodes: ``in`` (bit line), ``out``, ``ref``, ``rows``, ``vdd``. Sources that a bench alters: ``iin``
(current into the input in A, with an AC value of 1), and with a bit line ``vrest`` and ``vlevel``
in V: the rows stand at v(rest) + v(level)·v(step). ``vrows`` carries the rows' current.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from imccircuit.circuits.cells import read_cell
from imccircuit.circuits.readout_parts import (
    ClampMirror,
    ForeignFront,
    FrontEnd,
    Integrator,
    LinearAmplifier,
    Tia,
    TransistorAmplifier,
)

if TYPE_CHECKING:
    from PySpice.Spice.Netlist import Circuit

Phase = Literal["run", "reset", "hold"]


@dataclass(frozen=True)
class BitLine:
    """What stands at the input.

    Attributes
    ----------
    conductance_s : all cells of the column together, to the rows.
    capacitance_f : of the line, to ground.
    """

    conductance_s: float
    capacitance_f: float


@dataclass(frozen=True)
class Steps:
    """The rows step up for ``high_s``, then down for ``low_s``, twice; ``edge_s`` each edge."""

    high_s: float
    low_s: float
    edge_s: float


def readout(
    front: FrontEnd,
    *,
    line: BitLine | None = None,
    c_line_f: float = 0.0,
    c_load_f: float = 0.0,
    steps: Steps | None = None,
    phase: Phase = "run",
    hold_s: float = 0.0,
) -> Circuit:
    """Build the front end and its surroundings.

    Parameters
    ----------
    front : one of the three kinds, or somebody else's.
    line : rows and their cells; None: a current source only.
    c_line_f : capacitance at the input where ``line`` is None, in F.
    c_load_f : capacitance at the output in F.
    steps : of the rows; None: they stand at their level all the time.
    phase : of an integrator: ``run`` with a clocked switch; ``reset`` with a closed one, and a node
        ``held``: output that the charge on the input's node gives once the switch opens; ``hold``
        with, in its place, a conductance C_f/(2·hold_s) without noise: white current noise has then
        the variance at rest that it reaches after integrating for ``hold_s``.
    hold_s : see there, in s.

    Returns
    -------
    PySpice ``Circuit``.
    """
    from PySpice.Spice.Netlist import Circuit

    circuit = Circuit(f"read-out, {type(front).__name__.lower()}, {phase}")
    lines = _library(front)
    circuit.V("ref", "ref", circuit.gnd, front.reference_v)
    lines += ["iin 0 in dc 0 ac 1"]
    lines += _capacitor("line", "in", c_line_f if line is None else line.capacitance_f)
    lines += _capacitor("load", "out", c_load_f)
    if line is not None:
        lines += _rows(line, steps)
    amplifier = front.amplifier
    if isinstance(amplifier, TransistorAmplifier):
        circuit.V("dd", "vdd", circuit.gnd, amplifier.technology.supply_v)
        lines.append(f"ibias bias 0 {amplifier.bias_a!r}")
    if isinstance(front, ForeignFront):
        lines += [f"vdd vdd 0 {front.supply_v!r}", *front.instance(_FOREIGN_NODES)]
    elif isinstance(front, ClampMirror):
        lines += _clamp_mirror(front)
    else:
        lines += _opamp(front)
        lines += _feedback(front, phase, hold_s)
    if isinstance(front, Integrator) and phase == "reset":
        ratio = (c_line_f if line is None else line.capacitance_f) / front.c_feedback_f
        lines.append(f"bheld held 0 V=v(out)-v(in)-{ratio!r}*v(in)")
    circuit.raw_spice = "\n".join(lines) + "\n"
    return circuit


def tia_part(
    front: Tia, name: str, *, c_line_f: float = 0.0, c_load_f: float = 0.0
) -> tuple[list[str], str]:
    """One transimpedance amplifier as a subcircuit of a deck that holds more than it.

    Parameters
    ----------
    c_line_f, c_load_f : as of `readout`, both within the subcircuit.

    Returns
    -------
    The texts that it refers to, which a deck with several needs once, and the subcircuit of that
    name with the ports `tia_ports`. The ideal bias current is within, one for each.
    """
    amplifier, lines = front.amplifier, []
    if isinstance(amplifier, TransistorAmplifier):
        lines.append(f"ibias bias 0 {amplifier.bias_a!r}")
    lines += _capacitor("line", "in", c_line_f) + _capacitor("load", "out", c_load_f)
    lines += _opamp(front) + _feedback(front, "run", 0.0)
    head = " ".join([f".subckt {name}", *tia_ports(front)])
    return _library(front), "\n".join([head, *lines, f".ends {name}"])


def tia_ports(front: Tia) -> tuple[str, ...]:
    """Ports of a `tia_part` in order: a behavioural amplifier has no supply."""
    ports = ("in", "out", "ref")
    return (*ports, "vdd") if isinstance(front.amplifier, TransistorAmplifier) else ports


def _library(front: FrontEnd) -> list[str]:
    if isinstance(front, ForeignFront):
        return [front.library]
    amplifier = front.amplifier
    if isinstance(amplifier, LinearAmplifier):
        cells = ["opamp_behavioural"]
        if isinstance(front, ClampMirror):
            cells.append("clamp_mirror_behavioural")
        if isinstance(front, Integrator):
            cells.append("switch_sw")
        return [read_cell(cell) for cell in cells]
    cells = ["ota_pmos", "clamp_mirror" if isinstance(front, ClampMirror) else "opamp_two_stage"]
    if isinstance(front, Integrator):
        cells.append("transmission_gate")
    technology = amplifier.technology
    return [technology.include_line, *(technology.cell(cell) for cell in cells)]


_FOREIGN_NODES = {
    "input": "in", "output": "out", "supply": "vdd", "reference": "ref",
}  # fmt: skip


def _capacitor(name: str, node: str, value: float) -> list[str]:
    return [f"c{name} {node} 0 {value!r}"] if value > 0 else []


def _rows(line: BitLine, steps: Steps | None) -> list[str]:
    step = "1"
    if steps is not None:
        edge = repr(steps.edge_s)
        period = repr(steps.high_s + steps.low_s)
        step = f"pulse(0 1 0 {edge} {edge} {steps.high_s - steps.edge_s!r} {period})"
    return [
        "vrest rest 0 0",
        "vlevel level 0 0",
        f"vstep step 0 {step}",
        "brows drive 0 V=v(rest)+v(level)*v(step)",
        "vrows rows drive 0",
        f"rcells rows in {1 / line.conductance_s!r}",
    ]


def _words(values: Mapping[str, float]) -> str:
    return " ".join(f"{name}={float(value)!r}" for name, value in values.items())


def _opamp(front: Tia | Integrator) -> list[str]:
    amplifier = front.amplifier
    if isinstance(amplifier, LinearAmplifier):
        limits = {"low": amplifier.low_v, "high": amplifier.high_v}
        return [f"xamplifier ref in out opamp_behavioural {_words(amplifier.values | limits)}"]
    sizes = amplifier.opamp()
    values = {
        **_first_stage(amplifier),
        "wo": sizes["source"][1],
        "wd": sizes["driver"][1],
        "cc": amplifier.cc_f,
        "rz": amplifier.rz_ohm,
        **_mismatch(amplifier, sizes),
    }
    return [f"xamplifier ref in out bias vdd 0 opamp_two_stage {_words(values)}"]


def _first_stage(amplifier: TransistorAmplifier) -> dict[str, float]:
    sizes = amplifier.first_stage()
    return {
        "wp": sizes["p1"][1],
        "wn": sizes["n1"][1],
        "wt": sizes["tail"][1],
        "wb": sizes["bias"][1],
        "l": sizes["p1"][2],
        "lload": sizes["n1"][2],
    }


def _mismatch(amplifier: TransistorAmplifier, names: Mapping[str, object]) -> dict[str, float]:
    values: dict[str, float] = {}
    for name in names:
        if name in amplifier.mismatch:
            values[f"vt_{name}"], values[f"mu_{name}"] = amplifier.mismatch[name]
    return values


def _clamp_mirror(front: ClampMirror) -> list[str]:
    amplifier = front.amplifier
    if isinstance(amplifier, LinearAmplifier):
        values = {
            "gm": front.transconductance_s,
            "ibias": front.keep_a,
            "ratio": front.ratio,
            "rload": front.r_load_ohm,
            "low": amplifier.low_v,
            **amplifier.values,
        }
        return [
            f"vtop top 0 {front.top_v!r}",
            f"xfront in out ref top clamp_mirror_behavioural {_words(values)}",
        ]
    sizes = amplifier.clamp_mirror(front.keep_a, front.ratio)
    values = {
        **_first_stage(amplifier),
        "wk": sizes["keep"][1],
        "wc": sizes["clamp"][1],
        "wi": sizes["diode"][1],
        "wo": sizes["copy"][1],
        "lmir": sizes["copy"][2],
        "cc": amplifier.cc_f,
        **_mismatch(amplifier, sizes),
    }
    return [
        f"vtop top 0 {front.top_v!r}",
        f"rload top out {front.r_load_ohm!r}",
        f"xfront in out ref bias vdd 0 clamp_mirror {_words(values)}",
    ]


def _feedback(front: Tia | Integrator, phase: Phase, hold_s: float) -> list[str]:
    lines = []
    if front.c_feedback_f > 0:
        lines.append(f"cfeedback in out {front.c_feedback_f!r}")
    if isinstance(front, Tia):
        return [*lines, f"rfeedback in out {front.r_feedback_ohm!r}"]
    if phase == "hold":
        leak = front.c_feedback_f / (2 * hold_s)
        return [*lines, f"gleak in out in out {leak!r}"]
    if isinstance(front.amplifier, LinearAmplifier):
        if phase == "reset":
            return [*lines, f"rreset in out {front.r_reset_ohm!r}"]
        switch = f"ron={front.r_reset_ohm!r} roff=1e12"
        return [*lines, _reset_wave(front, "reset", 1.0, 0.0),
                f"xreset in out reset switch_sw {switch}"]  # fmt: skip
    supply = front.amplifier.technology.supply_v
    waves = [("reset", supply, 0.0), ("resetb", 0.0, supply)]
    if phase == "reset":
        lines += [f"v{name} {name} 0 {first!r}" for name, first, _ in waves]
    else:
        lines += [_reset_wave(front, *wave) for wave in waves]
    sizes = front.amplifier.reset_switch()
    (_, wn, ln), (_, wp, lp) = sizes["switch_n"], sizes["switch_p"]
    values = {"wn": wn, "wp": wp, "l": ln, "lp": lp}
    return [*lines, f"xreset in out reset resetb vdd 0 transmission_gate {_words(values)}"]


def _reset_wave(front: Integrator, name: str, closed: float, opened: float) -> str:
    """Clock that opens half an edge before the reset ends and closes half an edge after a slot."""
    edge, slot = front.edge_s, front.slot_s
    # The middle of the opening edge is at reset_s − edge/2, that of the closing one at the end of
    # the slot: the output is read half an edge before, when the switch begins to close.
    times = (front.reset_s - edge, edge, edge, front.integration_s - edge / 2, slot)
    return f"v{name} {name} 0 pulse({closed!r} {opened!r} {' '.join(map(repr, times))})"
