"""Gate sizes of all transistors of a SAR ADC, counted from the cells that the generator uses."""

from __future__ import annotations

from imccircuit.circuits.sar_adc import SarAdc, top_load
from imccircuit.circuits.sar_transistors import PHASE, PMOS, SarLatch, SarSwitches

_LATCH_COUNT = {"wn_in": 2, "wn_latch": 2, "wp_latch": 2, "w_tail": 1, "w_reset": 4}


def transistor_sizes(adc: SarAdc) -> list[tuple[float, float]]:
    """Width and length in m of every transistor, the logic's apart."""
    sizes: list[tuple[float, float]] = []
    if adc.switches is not None:
        sizes += _switch_sizes(adc, adc.switches)
    if adc.latch is not None:
        sizes += _latch_sizes(adc, adc.latch)
    return sizes


def _pair(part: SarSwitches | SarLatch, width: float) -> list[tuple[float, float]]:
    """An NMOS and the PMOS beside it: an inverter or a transmission gate."""
    size = part.technology.size
    return [size("nmos", width), size("pmos", PMOS * width)]


def _phase(part: SarSwitches | SarLatch, width: float) -> list[tuple[float, float]]:
    return [*_pair(part, width / 2), *_pair(part, width), *_pair(part, width)]


def _switch_sizes(adc: SarAdc, switches: SarSwitches) -> list[tuple[float, float]]:
    capacitors = [float(value) for value in adc.bit_capacitors_f]
    if adc.dummy_f > 0:
        capacitors.append(adc.dummy_f)
    sizes = 2 * _phase(switches, PHASE * switches.driver)
    sizes += (1 if adc.split is None else 2) * _pair(switches, switches.top)
    for value in capacitors:
        share = value / max(capacitors)
        sample, reference, driver = switches.widths(share)
        sizes += _pair(switches, sample) + _pair(switches, reference) + 2 * _pair(switches, driver)
    return sizes


def _latch_sizes(adc: SarAdc, latch: SarLatch) -> list[tuple[float, float]]:
    sizes = _phase(latch, PHASE)
    for key, count in _LATCH_COUNT.items():
        kind = "pmos" if key in ("wp_latch", "w_reset") else "nmos"
        sizes += count * [(latch.width_m(key), latch.technology.size(kind)[1])]
    if adc.switches is not None:
        sizes += _pair(adc.switches, adc.switches.top)
        widths = top_load(adc).widths * adc.switches.reference
        sizes.append(adc.switches.technology.size("nmos", widths))
    return sizes
