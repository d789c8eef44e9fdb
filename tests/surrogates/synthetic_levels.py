"""Converters that are no SAR: levels of known law, as files of the benches for foreign ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from synthetic import Floats, checked, write

_NETLIST = """\
.subckt ANY VIN AVDD AVSS {bits}
R1 VIN AVSS 1k
R2 AVDD AVSS 1k
{outputs}
.ends ANY
"""


def flash(count: int, seed: int, bits: int = 6, sigma_lsb: float = 0.1) -> Floats:
    """Levels (chip, code) in V of 1 V full scale, each with an error of its own."""
    rng = np.random.default_rng(seed)
    ideal = np.arange(1, 2**bits)
    return np.sort(ideal + sigma_lsb * rng.standard_normal((count, 2**bits - 1)), axis=1) / 2**bits


def ladder(count: int, seed: int, bits: int = 6, sigma_lsb: float = 0.1) -> Floats:
    """Levels (chip, code) in V of a string of resistors from 0 V to 1 V, of independent errors.

    By Ohm's law: the level of code k is what k of 2^bits resistors are of all.
    """
    rng = np.random.default_rng(seed)
    resistors = 1 + sigma_lsb * rng.standard_normal((count, 2**bits))
    sums = np.cumsum(resistors, axis=1)
    return np.asarray(sums[:, :-1] / sums[:, -1:])


def write_levels(path: Path, levels: Floats) -> Path:
    """Levels as ``import-levels`` brings them in."""
    recipe = path.with_suffix(".toml")
    rows = ",\n".join(str(row) for row in levels.tolist())
    recipe.write_text(
        f'bench = "adc_levels"\nengine = "imported"\n[circuit]\nlevels = [\n{rows}]\n'
        'reference_voltage = "1 V"\n'
    )
    chips = [{"transition_level": row, "reference_voltage": np.asarray(1.0)} for row in levels]
    return write(path, str(recipe), [], chips)


def write_dut(path: Path, levels: Floats, loop_shift_v: float = 0.0) -> Path:
    """Levels as those of a netlist, with whole conversions 0.02 LSB below and above each.

    ``loop_shift_v`` is what the levels of the whole conversions are above these.
    """
    bits = int(levels.shape[1]).bit_length()
    names = [f"B{k}" for k in range(bits)]
    outputs = "\n".join(f"RB{k} B{k} AVSS 1k" for k in range(bits))
    netlist = path.with_name("any.spice")
    netlist.write_text(_NETLIST.format(bits=" ".join(names), outputs=outputs))
    ports = "\n".join(f'B{k} = "bit_{k}"' for k in range(bits))
    recipe = path.with_suffix(".toml")
    recipe.write_text(
        f'bench = "dut_adc"\n[circuit]\ndut = "{netlist.name}:ANY"\nbits = {bits}\n'
        'reference_voltage = "1 V"\n'
        f'[circuit.ports]\nVIN = "input"\nAVDD = "supply"\nAVSS = "ground"\n{ports}\n'
    )
    step = 0.02 / 2**bits
    chips = []
    for row in levels:
        middle = row[np.array(checked(bits)) - 1] + loop_shift_v
        inputs = np.stack([middle - step, middle + step], axis=1).ravel()
        chip: dict[str, NDArray[Any]] = {
            "transition_level": row,
            "loop_input": inputs,
            "loop_code": np.array([np.count_nonzero(row + loop_shift_v < v) for v in inputs]),
            "loop_difference": np.zeros(len(inputs)),
            "reference_voltage": np.asarray(1.0),
            "energy": np.full(6, np.nan),
            "energy_returned": np.full(6, np.nan),
            "latency": np.asarray(np.nan),
            "area": np.asarray(np.nan),
        }
        chips.append(chip)
    return write(path, str(recipe), [], chips)
