"""Front ends and digital-to-analog converters of known origin, in plain numpy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from synthetic import write

Floats = NDArray[np.float64]
Chip = dict[str, NDArray[Any]]

RANGE_A, LEVELS, BITS = 40e-6, 17, 8
SUPPLY_V = 1.2


def front_end(output_v: Any, input_v: Any, *, energy_j: float = 1e-12) -> Chip:
    """All variables of the read-out bench for a tia whose curves are these functions of A."""
    drive = np.linspace(-RANGE_A, 2 * RANGE_A, 3 * (LEVELS - 1) + 1)
    current = drive[LEVELS - 1 : 2 * LEVELS - 1]
    output, seen = output_v(current), input_v(current)
    nan = np.asarray(np.nan)
    return {
        "output_voltage": output,
        "input_voltage": seen,
        "inl_end_point": np.zeros(LEVELS),
        "inl_best_fit": np.zeros(LEVELS),
        "driven_output": output_v(drive),
        "gain": np.asarray(np.polyfit(current, output, 1)[0]),
        "gain_error": np.asarray(0.0),
        "lsb": np.asarray(abs(output[-1] - output[0]) / 2**BITS),
        "offset_current": np.asarray(0.0),
        "offset_voltage": np.asarray(0.0),
        "input_resistance": np.asarray(np.polyfit(current, seen, 1)[0]),
        "linear_low": nan,
        "linear_high": nan,
        "swing_low": nan,
        "swing_high": nan,
        "step_response": np.zeros(401),
        "settling_time": np.array([3e-9, 4e-9]),
        "noise_part": np.array([5e-4]),
        "noise_sigma": np.asarray(5e-4),
        "noise_current": np.asarray(5e-8),
        "pair_offset_sigma": nan,
        "energy": np.array([energy_j, 2e-13, np.nan]),
        "energy_returned": np.array([0.0, 0.0, np.nan]),
        "latency": np.asarray(4e-9),
        "area": nan,
    }


def ideal_tia(gain: float = 1000.0, feedback_ohm: float = 10e3, reference_v: float = 0.6) -> Chip:
    """Amplifier of finite gain A: V_in = V_ref + R_f·I/(1 + A), V_out = V_in - R_f·I, 0.1 V up."""

    def input_v(current: Floats) -> Floats:
        return reference_v + feedback_ohm * current / (1 + gain)

    return front_end(lambda i: np.maximum(input_v(i) - feedback_ohm * i, 0.1), input_v)


def mirrors(count: int, seed: int, spread: float = 1.0) -> list[Chip]:
    """Clamps whose mirror has an output resistance: each chip its own offset, gain and Early.

    V = top - R·M·(I + keep)·(1 + (top - V)/V_A), solved for V by hand: curved, no polynomial.
    """
    rng = np.random.default_rng(seed)
    return [_mirror(*(spread * rng.standard_normal(3))) for _ in range(count)]


def _mirror(offset: float, gain: float, early: float) -> Chip:
    def output_v(current: Floats) -> Floats:
        drop = np.maximum(10e3 * (1 + 0.01 * gain) * (current + 10e-6 * (1 + 0.1 * offset)), 0)
        # With u = top - V: u = drop·(1 - u/V_A).
        return SUPPLY_V - drop / (1 + drop / (20 * (1 + 0.1 * early)))

    return front_end(output_v, lambda i: 0.65 + 2.5e-3 * offset + 50 * i)


def write_mirrors(path: Path, count: int, seed: int, spread: float = 1.0) -> Path:
    """Write a results file of mirrors; the recipe is a tia's, which names the dimensions."""
    settings = ["circuit.amplifier.offset_sigma=1 mV", 'variation.quantities=["offset"]']
    return write(path, "readout_tia", settings, mirrors(count, seed, spread))


# --- digital-to-analog converters ------------------------------------------------------------

DAC_BITS = 6
REFERENCE_V = 0.5
CODES = np.arange(2**DAC_BITS)


def dac_chip(levels: Floats, blocks: int, parts: int) -> Chip:
    """All variables of the DAC bench for a converter with these levels; its parts are NaN."""
    lsb = (levels[-1] - levels[0]) / (len(levels) - 1)
    steps = np.diff(levels) / lsb - 1
    return {
        "output_level": levels,
        "inl": (levels - levels[0]) / lsb - np.arange(len(levels)),
        "dnl": steps,
        "lsb": np.asarray(lsb),
        "offset": np.asarray(levels[0]),
        "gain_error": np.asarray(0.0),
        "part_value": np.full(parts, np.nan),
        "energy": np.full(blocks, 1e-13),
        "energy_returned": np.zeros(blocks),
        "latency": np.asarray(1e-9),
        "area": np.asarray(1e-10),
    }


def group_levels(unit_f: Floats, dummy: float) -> Floats:
    """Charge shared by capacitors of which the set bits stood at the reference."""
    bits = (CODES[:, None] >> np.arange(DAC_BITS)) & 1
    return REFERENCE_V * (bits @ unit_f) / (unit_f.sum() + dummy)


def groups(count: int, seed: int, spread: float = 0.01, injected_v: float = 0.0) -> list[Chip]:
    """Capacitor groups of unit spread; ``injected_v`` is added to the codes 2 mod 8 of all."""
    rng = np.random.default_rng(seed)
    units = 2.0 ** np.arange(DAC_BITS)
    found = []
    for _ in range(count):
        caps = units + spread * np.sqrt(units) * rng.standard_normal(DAC_BITS)
        levels = group_levels(caps, 1.0) + injected_v * (CODES % 8 == 2)
        found.append(dac_chip(levels, 2, DAC_BITS + 1))
    return found


def strings(count: int, seed: int, spread: float = 0.01) -> list[Chip]:
    """Resistor strings of independent resistors."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        ohm = 1 + spread * rng.standard_normal(2**DAC_BITS)
        below = np.concatenate([[0.0], np.cumsum(ohm)[:-1]])
        found.append(dac_chip(REFERENCE_V * below / ohm.sum(), 2, 2**DAC_BITS))
    return found


def pulses(count: int, seed: int) -> list[Chip]:
    """Widths of a clock of 1 ns with 5 ± 1 ps of each driver's own, and short pulses shorter."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        width = 1e-9 * CODES + 1e-12 * (5 + rng.standard_normal()) - 3e-12 * np.exp(-CODES / 1.0)
        found.append(dac_chip(np.where(CODES > 0, width, 0.0), 2, 4))
    return found


def write_dac(path: Path, kind: str, chips: list[Chip]) -> Path:
    """Write a results file of converters of a kind."""
    own = {"string": "resistors", "capacitor": "capacitors"}
    settings = [f"circuit.kind={kind}"]
    if len(chips) > 1 and kind in own:
        settings.append(f'variation.quantities=["{own[kind]}"]')
    else:
        settings.append("variation.quantities=[]")
    return write(path, str(_recipe(path.parent)), settings, chips)


def _recipe(folder: Path) -> Path:
    path = folder / "plain_dac.toml"
    path.write_text(
        'title = "plain"\nbench = "dac_ladder"\n[circuit]\nkind = "string"\n'
        "[variation]\nsamples = 1\nseed = 1\n"
    )
    return path
