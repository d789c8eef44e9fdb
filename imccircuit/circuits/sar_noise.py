"""The sampling network of a SAR ADC with its closed switches as resistors, for noise."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imccircuit.circuits.sar_adc import SarAdc

if TYPE_CHECKING:
    from PySpice.Spice.Netlist import Circuit


SWITCH_OHM = 100.0
"""Of each closed switch: kT/C has none of it, so it is the same for all kinds of switches."""


def sar_noise(adc: SarAdc) -> Circuit:
    """Sampling phase; node ``sampled`` is the noise that is left behind, referred to the input.

    The top switch opens first and freezes the charge of its plate. That charge, over the
    capacitance by which the input moves the plate, is what the node shows; of a split array both
    plates' charges count, the lower one through the bridge. What the switches' resistance is
    does not matter.
    """
    from PySpice.Spice.Netlist import Circuit

    circuit = Circuit(f"SAR ADC, {adc.bits} bit, sampling noise")
    ground = circuit.gnd
    circuit.V("in", "input", ground, "dc 0 ac 1")
    charges: dict[str, list[str]] = {"top": [], "lower": []}
    below = 0.0
    input_f = {"top": 0.0, "lower": 0.0}
    for name, bit, value in [
        *((f"bit_{bit}", bit, float(f)) for bit, f in enumerate(adc.bit_capacitors_f)),
        ("dummy", None, adc.dummy_f),
    ]:
        if value == 0:
            continue
        node = adc.top_of(bit)
        circuit.R(name, "input", f"bottom_{name}", SWITCH_OHM)
        circuit.C(name, node, f"bottom_{name}", value)
        charges[node].append(f"{value!r}*(v({node})-v(bottom_{name}))")
        input_f[node] += value
    circuit.R("top", "top", ground, SWITCH_OHM)
    if adc.parasitic_f > 0:
        circuit.C("parasitic", "top", ground, adc.parasitic_f)
        charges["top"].append(f"{adc.parasitic_f!r}*v(top)")
    ratio = 0.0
    if adc.split is not None:
        circuit.R("lower", "lower", ground, SWITCH_OHM)
        circuit.C("bridge", "top", "lower", adc.split.bridge_f)
        charges["top"].append(f"{adc.split.bridge_f!r}*(v(top)-v(lower))")
        charges["lower"].append(f"{adc.split.bridge_f!r}*(v(lower)-v(top))")
        if adc.split.parasitic_f > 0:
            circuit.C("lower_parasitic", "lower", ground, adc.split.parasitic_f)
            charges["lower"].append(f"{adc.split.parasitic_f!r}*v(lower)")
        below = input_f["lower"] + adc.split.parasitic_f
        ratio = adc.split.bridge_f / (adc.split.bridge_f + below)
    total = input_f["top"] + ratio * input_f["lower"]
    expression = f"({'+'.join(charges['top'])})/{total!r}"
    if ratio > 0:
        expression += f"+{ratio!r}*({'+'.join(charges['lower'])})/{total!r}"
    circuit.raw_spice += f"\nBsampled sampled 0 V={expression}"
    return circuit
