"""A converter that somebody else drew, with clock, supplies and a stepped input around it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from imccircuit.circuits.foreign import Foreign

if TYPE_CHECKING:
    from PySpice.Spice.Netlist import Circuit

_EDGE = 0.01
_NEVER_S = 1.0


@dataclass(frozen=True)
class DutAdc(Foreign):
    """The converter and what is around it; see `Foreign` for its other attributes.

    Attributes
    ----------
    nodes : the roles are ``input``, ``clock``, ``start``, ``supply``, ``reference``,
        ``common_mode`` and ``bit_<k>``.
    supply_v, reference_v, common_mode_v : sources in V.
    clock_s : period of the clock; its first rising edge comes after one period.
    start_s : ``start`` is high from the beginning until then.
    repeat_s : ``start`` rises again after that time; a multiple of the clock.
    """

    supply_v: float
    reference_v: float
    common_mode_v: float
    clock_s: float
    start_s: float
    repeat_s: float


def dut_adc(dut: DutAdc) -> Circuit:
    """The subcircuit in its fixture. The bench alters the source ``vin``.

    Nodes: those named above. The input begins at the end of the range that is farther from its
    level and steps there at a hundredth of a clock, so that nothing is sampled already in the
    operating point.
    """
    from PySpice.Spice.Netlist import Circuit

    circuit = Circuit(f"converter under test, {dut.subcircuit}")
    lines = [dut.library]
    far = f"(v(level)<{dut.reference_v / 2!r} ? {dut.reference_v!r} : 0)"
    lines.append(f"Binput input 0 V=v(arrive)*v(level)+(1-v(arrive))*{far}")
    lines += dut.instance()
    circuit.raw_spice = "\n".join(lines)
    ground, edge = circuit.gnd, _EDGE * dut.clock_s
    circuit.V("supply", "supply", ground, dut.supply_v)
    circuit.V("ref", "reference", ground, dut.reference_v)
    circuit.V("cm", "common_mode", ground, dut.common_mode_v)
    circuit.V("in", "level", ground, 0)
    circuit.V("arrive", "arrive", ground,
              f"pulse(0 1 {edge!r} {edge!r} {edge!r} {_NEVER_S} {2 * _NEVER_S})")  # fmt: skip
    high = dut.supply_v
    circuit.V("clock", "clock", ground,
              f"pulse(0 {high!r} {dut.clock_s!r} {edge!r} {edge!r} {dut.clock_s / 2 - edge!r} "
              f"{dut.clock_s!r})")  # fmt: skip
    low_s = dut.repeat_s - dut.start_s - 2 * edge
    times = f"{dut.start_s!r} {edge!r} {edge!r} {low_s!r} {dut.repeat_s!r}"
    circuit.V("start", "start", ground, f"pulse({high!r} 0 {times})")
    return circuit
