"""Results files with numbers of known origin: plain numpy, no generator, bench or solver of ours.

The recipe and the writer are the package's, the physics stands here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import root

from imccircuit.engines.contract import Status
from imccircuit.recipes.load import load_recipe
from imccircuit.recipes.plan import Plan
from imccircuit.results.schema import Provenance, TaskRecord
from imccircuit.results.write import write_results

Floats = NDArray[np.float64]
Arrays = Mapping[str, NDArray[Any]]


def write(
    path: Path,
    recipe: str,
    settings: Sequence[str],
    chips: Sequence[Arrays | None],
    digest: str = "",
) -> Path:
    """Write chips as samples of the only point; None stands for one that failed."""
    plan = Plan(load_recipe(recipe, [*settings, f"variation.samples={len(chips)}"]))
    records = [
        TaskRecord(0, k, Status.TIMEOUT, "took too long")
        if chip is None
        else TaskRecord(0, k, Status.GOOD, arrays=chip)
        for k, chip in enumerate(chips)
    ]
    provenance = Provenance(
        recipe_name=recipe,
        recipe_text=plan.recipe.text,
        recipe_resolved=plan.resolved,
        inputs=plan.arrays,
        bench=plan.recipe.bench.name,
        title="synthetic",
        seed=1,
        digest=digest or str(path),
        file_hashes={},
        versions={"engine": "numpy", "version": "0"},
    )
    write_results(path, plan.groups, plan.samples, records, provenance, {}, complete=True)
    return path


# --- converters ------------------------------------------------------------------------------


def static_levels(caps: Floats, dummy: float, offset_v: float) -> Floats:
    """S_d of a charge-redistribution converter of 1 V full scale, no parasitic, by its charges."""
    bits = len(caps)
    total = float(np.sum(caps)) + dummy
    levels = [
        sum(caps[k] for k in range(bits) if code >> k & 1) / total - offset_v
        for code in range(1, 2**bits)
    ]
    return np.array(levels)


def search(levels: Floats, bits: int, voltage: float) -> int:
    """One successive-approximation conversion, bit by bit."""
    code = 0
    for k in reversed(range(bits)):
        trial = code | 1 << k
        if voltage > levels[trial - 1]:
            code = trial
    return code


def transitions(levels: Floats, bits: int) -> Floats:
    """T[k]: for every k the lowest static level above which the search gives k or more."""
    edges = np.sort(levels)
    points = np.concatenate([[edges[0] - 1], (edges[1:] + edges[:-1]) / 2, [edges[-1] + 1]])
    codes = np.array([search(levels, bits, v) for v in points])
    return np.array([edges[np.argmax(codes >= k) - 1] for k in range(1, 2**bits)])


def adc_chip(
    caps: Floats,
    dummy: float,
    offset_v: float,
    *,
    inputs: Floats | None = None,
    tolerance_lsb: float = 0.01,
    curvature_v: Floats | float = 0.0,
) -> dict[str, NDArray[Any]]:
    """All variables of the ADC bench for one chip, loops as true conversions.

    ``curvature_v`` (code,) adds to the levels of forced codes.

    The drawn capacitors and offset are NaN: a fit that looked at them would show.
    """
    bits = len(caps)
    static = static_levels(caps, dummy, offset_v) + curvature_v
    levels = transitions(static, bits)
    if inputs is None:
        codes = np.array(checked(bits))
        step = tolerance_lsb / 2**bits
        inputs = np.stack([levels[codes - 1] - step, levels[codes - 1] + step], axis=1).ravel()
    return {
        "transition_level": levels,
        "forced_level": static,
        "null_residual": np.asarray(0.0),
        "loop_input": inputs,
        "loop_code": np.array([search(static, bits, v) for v in inputs]),
        "loop_difference": np.zeros(len(inputs)),
        "reference_voltage": np.asarray(1.0),
        "bit_capacitor": np.full(bits, np.nan),
        "comparator_offset": np.asarray(np.nan),
    }


def checked(bits: int) -> list[int]:
    """Codes around which the bench converts."""
    last = 2**bits - 1
    codes = {1, 2, last - 1, last}
    for k in range(bits):
        codes |= {2**k, 2**k - 1, 3 * 2**k // 2}
    return sorted(code for code in codes if 1 <= code <= last)


def adc_population(
    count: int, seed: int, bits: int = 6, spread: float = 0.01, offset_v: float = 1e-3,
    curvature_v: Floats | float = 0.0,
) -> list[dict[str, NDArray[Any]]]:  # fmt: skip
    """Chips whose unit capacitors and offsets are Gaussian."""
    rng = np.random.default_rng(seed)
    units = 2.0 ** np.arange(bits)
    return [
        adc_chip(
            units + spread * np.sqrt(units) * rng.standard_normal(bits),
            1 + spread * rng.standard_normal(),
            offset_v * rng.standard_normal(),
            curvature_v=curvature_v,
        )
        for _ in range(count)
    ]


# --- crossbars -------------------------------------------------------------------------------


def crossbar_currents(
    g: Floats, drive: Floats, *, r_row: float, r_col: float, r_driver: float = 0.0,
    r_sense: float = 0.0, end_v: Floats | None = None, v0: float | None = None,
) -> Floats:  # fmt: skip
    """Column currents (batch, col) by a dense system over all node voltages.

    Word line i: drive, r_driver + r_row, cell 0, r_row, cell 1 …; bit line j: cell 0, r_col, …,
    cell of the last row, r_col + r_sense, a voltage ``end_v`` j. All resistances above 0.
    """
    rows, cols = g.shape
    end = np.zeros(cols) if end_v is None else end_v

    def node(i: int, j: int, line: int) -> int:
        return (line * rows + i) * cols + j

    count = 2 * rows * cols
    matrix = np.zeros((count, count))

    def resistor(a: int, b: int, ohm: float) -> None:
        for p, q in ((a, b), (b, a)):
            matrix[p, p] += 1 / ohm
            matrix[p, q] -= 1 / ohm

    first, last = 1 / (r_driver + r_row), 1 / (r_col + r_sense)
    for i in range(rows):
        matrix[node(i, 0, 0), node(i, 0, 0)] += first
        for j in range(1, cols):
            resistor(node(i, j - 1, 0), node(i, j, 0), r_row)
    for j in range(cols):
        matrix[node(rows - 1, j, 1), node(rows - 1, j, 1)] += last
        for i in range(1, rows):
            resistor(node(i - 1, j, 1), node(i, j, 1), r_col)
    ends = [node(rows - 1, j, 1) for j in range(cols)]
    half = rows * cols

    def left_over(v: Floats, into: Floats) -> Floats:
        across = v[:half] - v[half:]
        cell = g.ravel() * v0 * np.sinh(across / v0)
        return (matrix @ v + np.concatenate([cell, -cell])) / np.max(g) - into

    currents = []
    for vector in drive:
        into = np.zeros(count)
        into[[node(i, 0, 0) for i in range(rows)]] = first * vector
        into[ends] += last * end

        linear = matrix.copy()
        for k in range(half):
            for p, q in ((k, k + half), (k + half, k)):
                linear[p, p] += g.ravel()[k]
                linear[p, q] -= g.ravel()[k]
        voltage = np.linalg.solve(linear, into)
        if v0 is not None:
            # Equations in units of the largest cell current, so that the tolerance means something.
            voltage = root(left_over, voltage, args=(into / np.max(g),), tol=1e-13).x
        currents.append(last * (voltage[ends] - end))
    return np.array(currents)


def crossbar_chip(
    g: Floats, drive: Floats, *, amplifier_offset: Floats | None = None, gain: float = 1000.0,
    feedback: float = 5e3, r_in: float = 1e9, pairs: bool = False, **wires: Any,
) -> dict[str, NDArray[Any]]:  # fmt: skip
    """All variables of the crossbar bench for one chip.

    With amplifiers: V_out = A (vos - V_in), and the input current is
    V_in/R_in + (V_in - V_out)/R_f. Solved for V_in that is a resistance behind a voltage.
    """
    arrays: dict[str, NDArray[Any]] = {"row_voltage": drive, "conductance": g}
    if amplifier_offset is None:
        arrays["output_current"] = crossbar_currents(g, drive, **wires)
    else:
        admittance = 1 / r_in + (1 + gain) / feedback
        stand = gain * amplifier_offset / feedback / admittance
        wires["r_sense"] = wires.get("r_sense", 0.0) + 1 / admittance
        current = crossbar_currents(g, drive, end_v=stand, **wires)
        v_in = stand + current / admittance
        arrays["output_current"] = current
        arrays["output_voltage"] = gain * (amplifier_offset - v_in)
        arrays["tia_offset"] = np.full(g.shape[1], np.nan)
    if pairs:
        current = arrays["output_current"]
        arrays["pair_current"] = current[:, 0::2] - current[:, 1::2]
    return arrays


# The recipe must name some V0; what comes out of a fit comes from the currents.
SINH = ("circuit.cell=1r_sinh", "circuit.sinh_voltage=1 V")


def crossbar_settings(rows: int, cols: int, batch: int, *more: str) -> list[str]:
    """Settings of the shipped recipe for an array of this size, cell voltages not stored."""
    return [
        f"circuit.rows={rows}",
        f"circuit.cols={cols}",
        f"stimulus.batch={batch}",
        "stimulus.cell_voltages=false",
        *more,
    ]


def array_and_drive(rows: int, cols: int, batch: int, seed: int = 5) -> tuple[Floats, Floats]:
    """Conductances of 1 to 100 µS and drives of 0 to 0.2 V."""
    rng = np.random.default_rng(seed)
    return 1e-6 * rng.uniform(1, 100, (rows, cols)), 0.2 * rng.random((batch, rows))
