"""Grouped-capacitor array in ngspice against charge conservation, step by step.

Truth, written down here and nowhere taken from the library. A plate at voltage V that has a linear
capacitance C and a junction of zero-bias capacitance J and potential P to ground holds

    q(V) = C·V + 2·J·P·(√(1 + V/P) − 1).

1. Precharge: the plates of group g of a row (1, 1, 2, 4 … units) are at V_DD if input bit g − 1
   is 1 and at 0 if not, group 0 always at 0; every line is at 0.
2. Share: the row's total charge stays, on all its plates and on the row line.
3. Multiply: plates of cells whose weight bit is 0 go to 0; the others keep their charge.
4. Sum: the charge of the cells of a bit column stays, on these cells and both segments of its line.
5. Weigh: of bit column j the first 2^j cells with their line are connected to the output line with
   its dummy, which were at 0.
6. Time: the delays t0 + a·V of the arrays add; those of the reference are t0 each.

Tolerance: an open switch of R_off leaks, a plate of C loses V·t·n/(R_off·C) in time t through the
n = 4 open switches around it. With 1e12 ohm, 2 fF and 10 ns that is 2e-5 of V. A hundredth of an
output LSB of 8 bits is 4e-5 of full scale. With 1e14 ohm the leak is 2e-7 and what is left is
integration, bounded by a tenth of that hundredth.
"""

import shutil
from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import brentq

from imccircuit.benches.problem import Probe, Problem, Transient
from imccircuit.circuits.aidac import Aidac, aidac
from imccircuit.circuits.aidac_driver import LinearDrivers
from imccircuit.circuits.aidac_shape import AidacCapacitors, AidacPhases, AidacShape
from imccircuit.circuits.aidac_time import BehaviouralTime
from imccircuit.circuits.aidac_wiring import IdealWiring
from imccircuit.engines.contract import Status
from imccircuit.engines.ngspice import NgspiceEngine

pytestmark = [
    pytest.mark.ngspice,
    pytest.mark.skipif(shutil.which("ngspice") is None, reason="ngspice is not installed"),
]

V_DD, UNIT = 1.2, 2e-15
T0, SLOPE = 0.4e-9, 1e-9
LSB_8 = 1 / 256


def held(c, j, v, potential):
    return c * v + 2 * j * potential * (np.sqrt(1 + v / potential) - 1)


def shared(charge, c, j, potential):
    """Voltage at which plates of total C and J hold ``charge``."""
    if j == 0:
        return charge / c
    return brentq(lambda v: held(c, j, v, potential) - charge, -0.1, 2 * V_DD, xtol=1e-15)


def by_hand(part, inputs):
    """(output, array) voltages of the output lines."""
    shape, caps = part.shape, part.capacitors
    j, p = caps.junction, caps.junction_potential_v
    found = np.zeros((shape.outputs, shape.arrays))
    bits = 2**shape.input_bits
    group = [0] + [g for g in range(1, shape.input_bits + 1) for _ in range(2 ** (g - 1))]
    assert len(group) == bits
    for a in range(shape.arrays):
        plate = np.zeros((shape.rows, bits))
        for i in range(shape.rows):
            charge, total, units = 0.0, caps.row_line * bits, bits
            for u in range(bits):
                on = group[u] > 0 and (int(inputs[a, i]) >> (group[u] - 1)) & 1
                charge += held(caps.cell[a, i, u], j, V_DD * on, p)
                total += caps.cell[a, i, u]
            plate[i] = shared(charge, total, units * j, p)
        for o in range(shape.outputs):
            charge, total, units = 0.0, caps.dummy[a, o] + caps.output_line, 0
            for b in range(shape.weight_bits):
                cell = o * shape.weight_bits + b
                wire, column, cs = caps.bit_line * shape.rows, 0.0, 0.0
                for i in range(shape.rows):
                    w = (int(part.weights[a, i, o]) >> b) & 1
                    column += held(caps.cell[a, i, cell], j, plate[i, cell] * w, p)
                    cs += caps.cell[a, i, cell]
                v = shared(column, cs + wire, shape.rows * j, p)
                near = sum(caps.cell[a, i, cell] for i in range(2**b)) + caps.bit_line * 2**b
                charge += held(near, 2**b * j, v, p)
                total += near
                units += 2**b
            found[o, a] = shared(charge, total, units * j, p)
    return found


def build(seed, *, arrays=2, rows=8, outputs=4, bits=4, spread=0.05, lines=0.2e-15, junction=0.0,
          r_off=1e14, curvature=0.0):  # fmt: skip
    rng = np.random.default_rng(seed)
    shape = AidacShape(arrays, rows, outputs, outputs, bits, 2**bits // outputs)
    caps = AidacCapacitors(
        cell=UNIT * (1 + spread * rng.standard_normal((arrays, rows, shape.cells))),
        lumped=np.zeros((arrays, rows, bits + 1)),
        dummy=UNIT * (1 + spread * rng.standard_normal((arrays, outputs))),
        row_line=lines,
        bit_line=lines,
        output_line=5 * lines,
        junction=junction,
    )
    ones = np.ones((outputs + 1, arrays))
    return Aidac(
        shape,
        caps,
        AidacPhases(1e-9, arrays * 2e-9),
        IdealWiring(2e3, r_off, max(shape.heaviest, shape.row_units)),
        BehaviouralTime(T0 * ones, SLOPE * ones, curvature, 1.0),
        rng.integers(0, 2**shape.weight_bits, (arrays, rows, outputs)),
        V_DD,
    )


def simulate(part, inputs, **engine):
    """(run, output, array) line voltages and (run, output + 1, array) crossing times."""
    shape = part.shape
    outputs, stages = range(shape.built), range(shape.arrays)
    probes = (
        Probe("v", tuple(f"v(o{a}_{o})" for o in outputs for a in stages),
              (shape.built, shape.arrays), 10.0),
        Probe("k", tuple(f"v(k{o}_{a})" for o in range(shape.built + 1) for a in stages),
              (shape.built + 1, shape.arrays), 100.0),
    )  # fmt: skip
    phases = part.phases
    stop = phases.start_s + phases.operation_s
    alterations = tuple(
        {
            f"vx{a}_{i}_{g}": float((int(x[a, i]) >> (g - 1)) & 1)
            for a in stages
            for i in range(shape.rows)
            for g in range(1, shape.input_bits + 1)
        }
        for x in inputs
    )
    problem = Problem(
        aidac(part), Transient(stop, 12e-12, 12e-12), probes, alterations,
        {"method": "gear", "pivtol": 1e-20, "gmin": 1e-16, "reltol": 1e-6, "trtol": 7000},
    )  # fmt: skip
    (outcome,) = NgspiceEngine(**engine).solve([problem])
    assert outcome.status is Status.GOOD, outcome.reason
    voltages, times = [], []
    for run in outcome.answer.runs:
        at = phases.start_s + 5 * phases.phase_s
        v = run.values["v"].reshape(len(run.axis), -1)
        voltages.append([np.interp(at, run.axis, column) for column in v.T])
        k = run.values["k"].reshape(len(run.axis), -1)
        times.append([crossing(run.axis, column) for column in k.T])
    v_shape, k_shape = (shape.built, shape.arrays), (shape.built + 1, shape.arrays)
    launch = phases.start_s + phases.launch_s + phases.edge_s / 2
    return (
        np.array(voltages).reshape(-1, *v_shape),
        np.array(times).reshape(-1, *k_shape) - launch,
    )


def crossing(time, value):
    (rising,) = np.nonzero((value[:-1] < 0) & (value[1:] >= 0))
    n = rising[-1]
    return time[n] - value[n] * (time[n + 1] - time[n]) / (value[n + 1] - value[n])


def vectors(part, seed, count=2):
    rng = np.random.default_rng(seed)
    shape = part.shape
    return rng.integers(0, 2**shape.input_bits, (count, shape.arrays, shape.rows))


def test_ideal_array_is_the_product():
    # No parasitic, no spread: V = V_DD/(2^B·R·2^W)·ΣX·W with one dummy unit, by the words alone.
    part = build(1, spread=0.0, lines=0.0)
    x = vectors(part, 2)
    product = np.einsum("nai,aio->noa", x, part.weights)
    expected = V_DD * product / (16 * 8 * 16)
    assert np.array_equal(np.round(by_hand(part, x[0]), 12), np.round(expected[0], 12))
    voltage, time = simulate(part, x)
    full = V_DD * 15 * 15 / (16 * 16)
    assert np.max(np.abs(voltage - expected)) < 0.001 * LSB_8 * full
    delay = time[:, :-1, -1] - time[:, -1:, -1]
    assert np.max(np.abs(delay - SLOPE * expected.sum(axis=2))) < 0.01 * LSB_8 * SLOPE * full * 2


@pytest.mark.parametrize("junction", [0.0, 0.5e-15])
def test_mismatch_and_parasitics(junction):
    part = build(3, junction=junction)
    x = vectors(part, 4)
    expected = np.array([by_hand(part, one) for one in x])
    voltage, time = simulate(part, x)
    # Charge of a junction is only as good as Newton's iterations: reltol, a step, of what moves.
    assert np.max(np.abs(voltage - expected)) < (0.01 if junction else 0.001) * LSB_8 * V_DD
    delay = time[:, :-1, -1] - time[:, -1:, -1]
    full = V_DD * part.shape.arrays
    assert np.max(np.abs(delay - SLOPE * expected.sum(axis=2))) < 0.01 * LSB_8 * SLOPE * full
    # The parts that the two must not agree without: each moves the answer by much more.
    plain = replace(part, capacitors=build(3, spread=0.0, junction=junction).capacitors)
    assert np.max(np.abs(by_hand(plain, x[0]) - expected[0])) > 0.1 * LSB_8 * V_DD


def test_reference_counts_only_offsets():
    part = build(5)
    _, time = simulate(part, vectors(part, 6, 1))
    tolerance = 0.01 * LSB_8 * SLOPE * V_DD * 2
    assert np.abs(np.diff(time[0, -1]) - T0)[0] < tolerance
    # The launched edge has corners, at which integration starts anew: a fortieth of its 20 ps.
    assert np.abs(time[0, -1, 0] - T0) < 20e-12 / 40


def test_row_drivers_gain_and_offset():
    shape = build(7, arrays=1).shape
    gain, offset = np.full((1, 8, 2), 0.98), np.full((1, 8, 2), 3e-3)
    near = build(7, arrays=1, spread=0.0, lines=0.0)
    far = replace(
        near,
        capacitors=replace(near.capacitors, lumped=np.broadcast_to(
            UNIT * shape.group_units, (1, 8, 5)).astype(float)),
        drivers=LinearDrivers(gain, offset, 100.0),
    )  # fmt: skip
    x = vectors(near, 8, 1)
    voltage, _ = simulate(far, x)
    # v → 0.98·(v + 3 mV), twice.
    row = 0.98**2 * V_DD * x[0, 0] / 16 + 0.98**2 * 3e-3 + 0.98 * 3e-3
    expected = row @ far.weights[0] / (8 * 16)
    assert np.max(np.abs(voltage[0, :, 0] - expected)) < 0.001 * LSB_8 * V_DD


def test_sparse_and_klu_agree():
    part = build(9, rows=4, bits=3)
    x = vectors(part, 10, 1)
    klu, _ = simulate(part, x, solver="auto")
    sparse, _ = simulate(part, x, solver="sparse")
    assert np.max(np.abs(klu - sparse)) < 1e-3 * LSB_8 * V_DD
